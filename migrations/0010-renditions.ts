import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** Derived playback forms. One of a kind for each recording; whatever it is made of can be made again. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table renditions (
      id uuid primary key,
      recording uuid not null references recordings,
      kind text not null check (kind in ('hls', 'proxy', 'poster', 'storyboard')),
      state text not null check (state in ('owed', 'working', 'ready', 'failed')),
      progress double precision not null default 0,
      failure text,
      source_sha256 text not null,
      tool text,
      arguments jsonb not null default '[]',
      facts jsonb not null default '{}',
      size bigint, sha256 text,
      owed_at timestamptz not null, ended_at timestamptz,
      constraint rendition_of_a_kind unique (recording, kind),
      constraint ready_has_digest check (state <> 'ready' or (sha256 is not null and size is not null))
    )`.execute(db)
  await sql`
    create table rendition_objects (
      rendition uuid not null references renditions on delete cascade,
      number integer not null,
      name text not null,
      start double precision not null, duration double precision not null,
      size bigint not null, sha256 text not null,
      primary key (rendition, number)
    )`.execute(db)
  await sql`grant select, insert, update, delete on renditions, rendition_objects to exhibit_app`.execute(db)
}
