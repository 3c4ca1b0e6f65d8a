import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/**
 * Under these ids objects may lie in the store that no rendition shows: of one that is being made beside what is watched,
 * of one that another took the place of. Each goes once its objects have gone.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table rendition_leftovers (
      rendition uuid primary key,
      recording uuid not null references recordings
    )`.execute(db)
  await sql`create index on rendition_leftovers (recording)`.execute(db)
  await sql`grant select, insert, delete on rendition_leftovers to exhibit_app`.execute(db)
}
