import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/**
 * `parts` are stored in the multipart upload of the original: part n covers the bytes from (n - 1) * part_size.
 * `tails` are shorter pieces in staging that wait until they make a part.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table uploads (
      id uuid primary key,
      dock uuid not null references docks,
      recording uuid not null unique,
      camera text not null references cameras,
      filename text not null, size bigint not null check (size >= 0),
      sha256 text, recorded_at timestamptz not null, metadata jsonb not null,
      part_size int not null,
      state text not null check (state in ('open', 'stored', 'completing', 'verified', 'quarantined', 'expired', 'ended')),
      received bigint not null default 0 check (received between 0 and size),
      kept boolean not null default false,
      writer bigint not null default 0,
      multipart text,
      created_at timestamptz not null, expires_at timestamptz not null
    )`.execute(db)
  await sql`create index uploads_dock on uploads (dock, state)`.execute(db)
  await sql`create index uploads_state on uploads (state, id)`.execute(db)
  await sql`create index uploads_file on uploads (camera, size, sha256)`.execute(db)
  await sql`
    create table upload_parts (
      upload uuid not null references uploads,
      number int not null, size int not null,
      sha256 bytea not null, etag text not null,
      primary key (upload, number)
    )`.execute(db)
  await sql`
    create table upload_tails (
      upload uuid not null references uploads,
      start bigint not null, size int not null,
      sha256 bytea not null, key text not null,
      primary key (upload, start)
    )`.execute(db)
  await sql`grant select, insert, update on uploads to exhibit_app`.execute(db)
  await sql`grant select, insert, update, delete on upload_parts, upload_tails to exhibit_app`.execute(db)
}
