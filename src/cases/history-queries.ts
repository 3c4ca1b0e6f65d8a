import { sql } from 'kysely'
import type { CaseId, EntryId, PersonId } from '../base/ids.ts'
import type { SealedParts } from '../engines/ledger-tables.ts'
import type { Tx } from '../engines/postgres.ts'

export type EntryRow = { id: EntryId; at: string; action: string; type: string; subject: string; parts: SealedParts }

/** Entries with these actions about a case and its exhibits, newest first, before `after`; one more than `limit` if there are more. */
export const entriesOf = async (
  tx: Tx,
  id: CaseId,
  actions: readonly string[],
  after: EntryId | undefined,
  limit: number,
): Promise<EntryRow[]> =>
  await tx
    .selectFrom('entryBodies')
    .select(['id', 'parts'])
    .select([
      sql<string>`entry::jsonb ->> 'at'`.as('at'),
      sql<string>`action`.as('action'),
      sql<string>`subject_type`.as('type'),
      sql<string>`subject_id`.as('subject'),
    ])
    .where(
      sql<boolean>`subject_id = any(array(
        select exhibits.id::text from exhibits where exhibits."case" = ${id} union all select ${id}::text))`,
    )
    .where('subjectType', 'in', ['case', 'exhibit'])
    .where('action', 'in', actions)
    .where((eb) => (after === undefined ? eb.lit(true) : eb('id', '<', after)))
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()

/** The names of these people, by id. */
export const peopleNamed = async (tx: Tx, ids: PersonId[]): Promise<ReadonlyMap<string, string>> => {
  if (ids.length === 0) return new Map()
  const rows = await tx.selectFrom('people').select(['id', 'name']).where('id', 'in', ids).execute()
  return new Map(rows.map(({ id, name }) => [id, name]))
}
