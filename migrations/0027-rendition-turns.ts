import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/**
 * Who makes a recording's renditions: one attempt at a job at a time. What it says counts for as long as that attempt is at
 * work.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table rendition_turns (
      recording uuid primary key references recordings,
      job uuid not null,
      attempt int not null
    )`.execute(db)
  await sql`grant select, insert, update, delete on rendition_turns to exhibit_app`.execute(db)
}
