import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`create extension if not exists btree_gist`.execute(db)
  await sql`
    create table docks (
      id uuid primary key,
      name text not null, site text not null,
      public_key jsonb not null, thumbprint text not null,
      enrolled_at timestamptz not null, suspended_at timestamptz
    )`.execute(db)
  await sql`
    create table cameras (
      serial text primary key,
      model text, confirmed boolean not null,
      first_seen_at timestamptz not null
    )`.execute(db)
  await sql`
    create table assignments (
      camera text not null references cameras,
      officer text not null references officers,
      during tstzrange not null check (not isempty(during)),
      primary key (camera, during without overlaps)
    )`.execute(db)
  await sql`create index assignments_officer on assignments (officer)`.execute(db)
  await sql`grant select, insert, update on docks, cameras, assignments to exhibit_app`.execute(db)
}
