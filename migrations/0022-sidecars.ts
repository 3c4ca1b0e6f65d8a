import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** What is kept beside each original, so that the catalogue can be rebuilt from the store: how far it is, and what is owed. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  // Of each log, the next leaf to look at for what it says of recordings.
  await sql`create table sidecar_positions (log int primary key references logs, next bigint not null)`.execute(db)
  // log, index: of the newest leaf that the sidecar holds; null where there is none in the store.
  await sql`
    create table sidecars (
      recording uuid primary key references recordings,
      owed boolean not null,
      log int, index bigint,
      signed_at timestamptz,
      constraint sidecar_is_whole check ((log is null) = (index is null) and (log is null) = (signed_at is null))
    )`.execute(db)
  await sql`create index sidecars_signed on sidecars (signed_at)`.execute(db)
  await sql`grant select, insert, update on sidecar_positions, sidecars to exhibit_app`.execute(db)
}
