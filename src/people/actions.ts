import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { IdOf, type PersonId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { type Db, inTransaction } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { cutPage } from './page.ts'
import { actor, type Person } from './person.ts'
import {
  joinOfficer,
  pageOfPeople,
  personBySubject,
  personForUpdate,
  setPersonSuspended,
  upsertPerson,
} from './queries.ts'
import type { PersonClaims } from './token.ts'

/**
 * The person of a verified token. At first sight they become an account, and the officer of their collar number, if known,
 * is joined to it; name, collar and roles follow the token. `suspended` is asked anew each time.
 */
export const recognise = async (
  { db, clock }: Pick<Engines, 'db' | 'clock'>,
  claims: PersonClaims,
): Promise<{ person: Person; suspended: boolean }> => {
  const { issuer, subject, roles } = claims
  const collar = claims.collar ?? null
  const known = await personBySubject(db, issuer, subject)
  const name = claims.name ?? known?.name ?? subject
  const described = (id: PersonId): Person => ({
    id,
    name,
    roles,
    ...(claims.collar === undefined ? {} : { collar: claims.collar }),
  })
  const sameRoles = known?.roles.join() === roles.join()
  if (known !== undefined && known.name === name && known.collar === collar && sameRoles) {
    return { person: described(known.id), suspended: known.suspendedAt !== null }
  }
  return await inTransaction(db, async (tx) => {
    const row = await upsertPerson(tx, { issuer, subject, name, collar, roles, at: clock.now() })
    const joined = collar !== null && (await joinOfficer(tx, collar, row.id))
    const person = described(row.id)
    if (row.fresh || joined) {
      await record(tx, clock, {
        operation: 'administration',
        action: row.fresh ? 'person.first-seen' : 'person.joined',
        subject: { type: 'person', id: row.id },
        actor: actor(person),
        ...(joined ? { detail: { officer: collar } } : {}),
      })
    }
    return { person, suspended: row.suspendedAt !== null }
  })
}

/** Suspends an account, or ends that. What is so already stays so, without an entry. Throws `not-found`. */
export const setSuspension = async (
  { db, clock }: Pick<Engines, 'db' | 'clock'>,
  by: Person,
  id: PersonId,
  suspended: boolean,
  reason: string | undefined,
): Promise<void> =>
  await inTransaction(db, async (tx) => {
    const person = await personForUpdate(tx, id)
    if (person === undefined) throw new Problem('not-found', 'Nobody with this id has signed in here.')
    if ((person.suspendedAt !== null) === suspended) return
    const now = clock.now()
    await setPersonSuspended(tx, id, suspended ? { suspendedAt: now } : { suspendedAt: null, resumedAt: now })
    await record(tx, clock, {
      operation: 'administration',
      action: suspended ? 'person.suspended' : 'person.resumed',
      subject: { type: 'person', id },
      actor: actor(by, 'person.suspend'),
      ...(reason === undefined ? {} : { purpose: reason }),
    })
  })

/** One page of the people who have signed in. Throws `bad-request` for a foreign cursor. */
export const listPeople = async (db: Db, limit: number, cursor: string | undefined) => {
  const [after] = cursor === undefined ? [] : decodeCursor(cursor)
  if (after !== undefined && !Value.Check(IdOf.person, after)) throw cursorProblem()
  const rows = await pageOfPeople(db, limit, after)
  return cutPage(
    rows,
    limit,
    ({ id, name, collar, firstSeenAt, suspendedAt }) => ({
      id,
      name,
      firstSeenAt: iso(firstSeenAt),
      ...(collar === null ? {} : { collar }),
      ...(suspendedAt === null ? {} : { suspendedAt: iso(suspendedAt) }),
    }),
    (row) => [row.id],
  )
}
