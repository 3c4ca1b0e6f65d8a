import { type Expression, type SqlBool, sql } from 'kysely'
import type { CaseId, PersonId } from '../base/ids.ts'
import type { CaseStatus, MemberRole } from '../engines/case-tables.ts'
import type { Db, Tx } from '../engines/postgres.ts'

const caseColumns = ['cases.id', 'reference', 'title', 'status', 'openedAt', 'closedAt'] as const

export type CaseRow = {
  id: CaseId
  reference: string
  title: string
  status: CaseStatus
  openedAt: Date
  closedAt: Date | null
}

export const caseRow = async (tx: Tx, id: CaseId, lock?: 'share' | 'update'): Promise<CaseRow | undefined> =>
  await tx
    .selectFrom('cases')
    .select(caseColumns)
    .where('id', '=', id)
    .$if(lock === 'share', (query) => query.forShare())
    .$if(lock === 'update', (query) => query.forUpdate())
    .executeTakeFirst()

/** Breaks the constraint `case_reference` where a case has this reference, or one that looks the same. */
export const insertCase = async (tx: Tx, row: Omit<CaseRow, 'status' | 'closedAt'>): Promise<void> => {
  await tx
    .insertInto('cases')
    .values({ ...row, status: 'open' })
    .execute()
}

/** The same constraint. */
export const updateCase = async (
  tx: Tx,
  id: CaseId,
  change: Partial<Omit<CaseRow, 'id' | 'openedAt'>>,
): Promise<void> => {
  await tx.updateTable('cases').set(change).where('id', '=', id).execute()
}

/** The case that has this reference or one that looks the same, and whether this person is a member. */
export const caseUnder = async (db: Db, reference: string, person: PersonId) =>
  await db
    .selectFrom('cases')
    .leftJoin('caseMembers', (join) => join.onRef('case', '=', 'id').on('person', '=', person))
    .select(['cases.id', sql<boolean>`case_members.person is not null`.as('member')])
    .where(sql<boolean>`lower(normalize(reference, NFKC)) = lower(normalize(${reference}, NFKC))`)
    .executeTakeFirst()

/** One page of the cases of a member, newest first: those opened before `after`, one more than `limit` if there are more. */
export const pageOfCases = async (
  tx: Tx,
  person: PersonId,
  status: CaseStatus | undefined,
  after: CaseId | undefined,
  limit: number,
) =>
  await tx
    .selectFrom('cases')
    .innerJoin('caseMembers', 'case', 'cases.id')
    .select([...caseColumns, 'role'])
    .where('person', '=', person)
    .where((eb) => {
      const wanted: Expression<SqlBool>[] = []
      if (status !== undefined) wanted.push(eb('status', '=', status))
      if (after !== undefined) wanted.push(eb('cases.id', '<', after))
      return eb.and(wanted)
    })
    .orderBy('cases.id', 'desc')
    .limit(limit + 1)
    .execute()

export const memberRole = async (db: Db | Tx, id: CaseId, person: PersonId): Promise<MemberRole | undefined> => {
  const query = db.selectFrom('caseMembers').select('role').where('case', '=', id).where('person', '=', person)
  return (await query.executeTakeFirst())?.role
}

/** The members, in the order they came. */
export const membersOf = async (tx: Tx, id: CaseId) =>
  await tx
    .selectFrom('caseMembers')
    .innerJoin('people', 'people.id', 'person')
    .select(['people.id', 'name', 'role', 'since'])
    .where('case', '=', id)
    .orderBy('since')
    .orderBy('people.id')
    .execute()

/** Whether anybody but this person is a member with the role investigator, and not suspended. */
export const hasOtherInvestigator = async (tx: Tx, id: CaseId, person: PersonId): Promise<boolean> => {
  const other = await tx
    .selectFrom('caseMembers')
    .innerJoin('people', 'people.id', 'person')
    .select('person')
    .where('case', '=', id)
    .where('person', '!=', person)
    .where('role', '=', 'investigator')
    .where('suspendedAt', 'is', null)
    .executeTakeFirst()
  return other !== undefined
}

export const setMember = async (
  tx: Tx,
  row: { case: CaseId; person: PersonId; role: MemberRole; since: Date },
): Promise<void> => {
  await tx
    .insertInto('caseMembers')
    .values(row)
    .onConflict((conflict) => conflict.columns(['case', 'person']).doUpdateSet({ role: row.role }))
    .execute()
}

export const removeMember = async (tx: Tx, id: CaseId, person: PersonId): Promise<void> => {
  await tx.deleteFrom('caseMembers').where('case', '=', id).where('person', '=', person).execute()
}

export const personToJoin = async (tx: Tx, id: PersonId) =>
  await tx
    .selectFrom('people')
    .select(['id', 'name', 'roles', 'suspendedAt'])
    .where('id', '=', id)
    .forShare()
    .executeTakeFirst()

/**
 * Holds the recordings of all exhibits of a case until the transaction ends, as whatever makes footage stay longer does:
 * a purge that looks at them comes before it or after it. Call it before the case is locked.
 */
export const holdRecordings = async (tx: Tx, id: CaseId): Promise<void> => {
  await tx
    .selectFrom('recordings')
    .select('id')
    .where('id', 'in', (eb) =>
      eb.selectFrom('exhibits').select('recording').where('case', '=', id).where('withdrawnAt', 'is', null),
    )
    .orderBy('id')
    .forShare()
    .execute()
}
