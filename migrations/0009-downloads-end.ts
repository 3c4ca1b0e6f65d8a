import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** An address that nobody can use any more need not be kept: its entry is. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`grant delete on downloads to exhibit_app`.execute(db)
}
