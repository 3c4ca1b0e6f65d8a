import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** What a person had open when they were suspended is over, also once the suspension is lifted. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`alter table people add resumed_at timestamptz`.execute(db)
}
