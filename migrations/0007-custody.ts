import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table announcements (
      camera text not null references cameras,
      size bigint not null, sha256 text not null,
      dock uuid not null references docks,
      name text not null, recorded_at timestamptz not null,
      number bigint, sequence text, clock_offset double precision,
      first_at timestamptz not null, last_at timestamptz not null,
      primary key (camera, size, sha256)
    )`.execute(db)
  await sql`create index announcements_number on announcements (camera, number)`.execute(db)
  await sql`
    create table receipts (
      upload uuid primary key references uploads,
      recording uuid not null references recordings,
      jws text not null, signed_at timestamptz not null
    )`.execute(db)
  await sql`
    create table discards (
      recording uuid primary key references recordings,
      asked_by uuid not null references people, reason text not null, asked_at timestamptz not null,
      approved_by uuid references people, approved_at timestamptz
    )`.execute(db)
  await sql`grant select, insert, update on announcements, discards to exhibit_app`.execute(db)
  await sql`grant select, insert on receipts to exhibit_app`.execute(db)
}
