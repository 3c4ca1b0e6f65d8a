import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** A purge that braked may be given up. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`alter table purges drop constraint purges_state_check`.execute(db)
  await sql`
    alter table purges add constraint purges_state_check
    check (state in ('running', 'braked', 'done', 'failed', 'abandoned'))`.execute(db)
}
