import { sql } from 'kysely'
import type { CaseEventId, CaseId } from '../base/ids.ts'
import type { NewCaseEvent } from '../engines/case-tables.ts'
import type { Tx } from '../engines/postgres.ts'

export const insertEvent = async (tx: Tx, row: NewCaseEvent): Promise<void> => {
  await tx.insertInto('caseEvents').values(row).execute()
}

export const eventForUpdate = async (tx: Tx, id: CaseEventId) =>
  await tx
    .selectFrom('caseEvents')
    .select(['id', 'case', 'kind', 'onDate', 'withdrawnAt'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()

/** The event that closed a case when it was last closed: one that a reopening overtook keeps nothing closed. */
export const closingEvent = async (tx: Tx, id: CaseId, closedAt: Date) =>
  await tx
    .selectFrom('caseEvents')
    .select(['id', 'onDate'])
    .where('case', '=', id)
    .where('kind', '=', 'closed')
    .where('notedAt', '=', closedAt)
    .where('withdrawnAt', 'is', null)
    .executeTakeFirst()

export const markEventWithdrawn = async (tx: Tx, id: CaseEventId, at: Date, because: string): Promise<void> => {
  await tx.updateTable('caseEvents').set({ withdrawnAt: at, withdrawnBecause: because }).where('id', '=', id).execute()
}

/** A row's place in the list: its day, then its id. */
export type EventPlace = { on: string; id: CaseEventId }

/** One page of a case's events, withdrawn ones among them, the latest day first; one more than `limit` if there are more. */
export const pageOfEvents = async (tx: Tx, id: CaseId, after: EventPlace | undefined, limit: number) =>
  await tx
    .selectFrom('caseEvents')
    .innerJoin('people', 'people.id', 'person')
    .select(['caseEvents.id', 'kind', 'onDate', 'note', 'notedAt', 'withdrawnAt', 'withdrawnBecause'])
    .select(['people.id as by', 'people.name as byName'])
    .where('case', '=', id)
    .where((eb) =>
      after === undefined
        ? eb.lit(true)
        : sql<boolean>`(case_events.on_date, case_events.id) < (${after.on}::date, ${after.id}::uuid)`,
    )
    .orderBy('onDate', 'desc')
    .orderBy('caseEvents.id', 'desc')
    .limit(limit + 1)
    .execute()
