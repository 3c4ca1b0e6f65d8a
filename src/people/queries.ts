import { sql } from 'kysely'
import { type Collar, newId, type PersonId } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { Role } from './role.ts'

export const personBySubject = async (db: Db, issuer: string, subject: string) =>
  await db
    .selectFrom('people')
    .select(['id', 'name', 'collar', 'roles', 'suspendedAt'])
    .where('issuer', '=', issuer)
    .where('subject', '=', subject)
    .executeTakeFirst()

type Seen = { issuer: string; subject: string; name: string; collar: Collar | null; roles: Role[]; at: Date }

/** The account of this issuer and subject, made if there is none (`fresh`), with the name, collar and roles of now. */
export const upsertPerson = async (tx: Tx, { issuer, subject, name, collar, roles, at }: Seen) =>
  await tx
    .insertInto('people')
    .values({ id: newId<PersonId>(), issuer, subject, name, collar, roles, firstSeenAt: at })
    .onConflict((oc) => oc.columns(['issuer', 'subject']).doUpdateSet({ name, collar, roles }))
    .returning(['id', 'name', 'suspendedAt', sql<boolean>`xmax = 0`.as('fresh')])
    .executeTakeFirstOrThrow()

/** Joins an officer who is known but has no account yet to this one. Answers whether there was one to join. */
export const joinOfficer = async (tx: Tx, collar: Collar, person: PersonId): Promise<boolean> => {
  const joined = await tx
    .updateTable('officers')
    .set({ person })
    .where('collar', '=', collar)
    .where('person', 'is', null)
    .executeTakeFirst()
  return joined.numUpdatedRows > 0n
}

/** Makes the officer of this collar number known, joined to the account that signed in with it if one did. */
export const knowOfficer = async (tx: Tx, collar: Collar, at: Date): Promise<void> => {
  await tx
    .insertInto('officers')
    .values((eb) => ({
      collar,
      person: eb.selectFrom('people').select('id').where('collar', '=', collar).orderBy('firstSeenAt').limit(1),
      firstSeenAt: at,
    }))
    .onConflict((oc) => oc.column('collar').doNothing())
    .execute()
}

export const personForUpdate = async (tx: Tx, id: PersonId) =>
  await tx.selectFrom('people').select(['id', 'suspendedAt']).where('id', '=', id).forUpdate().executeTakeFirst()

/** Until the transaction ends nobody else acts in this person's name where that is counted, nor suspends them. Answers whether they are. */
export const holdPerson = async (tx: Tx, id: PersonId): Promise<boolean> => {
  const { suspendedAt } = await tx
    .selectFrom('people')
    .select('suspendedAt')
    .where('id', '=', id)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow()
  return suspendedAt !== null
}

/** Suspends a person, or lifts it: one of the two times is null. */
export const setPersonSuspended = async (
  tx: Tx,
  id: PersonId,
  times: { suspendedAt: Date } | { suspendedAt: null; resumedAt: Date },
): Promise<void> => {
  await tx.updateTable('people').set(times).where('id', '=', id).execute()
}

/** One page of people in the order they were first seen: those after `after`, one more than `limit` if there are more. */
export const pageOfPeople = async (db: Db, limit: number, after: PersonId | undefined) =>
  await db
    .selectFrom('people')
    .select(['id', 'name', 'collar', 'firstSeenAt', 'suspendedAt'])
    .$if(after !== undefined, (query) => query.where('id', '>', after ?? newId<PersonId>()))
    .orderBy('id')
    .limit(limit + 1)
    .execute()
