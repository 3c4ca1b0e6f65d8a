import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** Exact ranges cut from recordings. Times in seconds from the recording's first frame; the reason is in the entry. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table clips (
      id uuid primary key,
      recording uuid not null references recordings,
      person uuid not null references people,
      title text not null,
      starts double precision not null, ends double precision not null,
      state text not null check (state in ('owed', 'working', 'ready', 'failed')),
      progress double precision not null default 0,
      failure text,
      attempt integer, sha256 text, size bigint, duration double precision, frames integer,
      method text check (method in ('copied-middle', 'encoded')),
      provenance jsonb,
      entry uuid not null, job uuid not null references jobs,
      asked_at timestamptz not null, ended_at timestamptz,
      constraint range_of_a_clip check (starts >= 0 and starts < ends and ends < 'infinity'),
      constraint ready_clip_is_whole check (state <> 'ready' or (attempt is not null and sha256 is not null and size is not null
        and duration is not null and frames is not null and method is not null and provenance is not null))
    )`.execute(db)
  await sql`create index clips_of_recording on clips (recording, id)`.execute(db)
  await sql`create index clips_open on clips (person, id) where state in ('owed', 'working')`.execute(db)
  // What is published is evidence: neither its range nor what came out ever changes.
  await sql`
    create function guard_ready_clip() returns trigger language plpgsql as $$
    begin
      raise exception 'a clip that is ready does not change' using errcode = 'insufficient_privilege';
    end $$`.execute(db)
  await sql`
    create trigger ready_for_good before update on clips
    for each row when (old.state = 'ready') execute function guard_ready_clip()`.execute(db)
  await sql`
    grant select, insert,
      update (state, progress, failure, attempt, sha256, size, duration, frames, method, provenance, ended_at)
    on clips to exhibit_app`.execute(db)
}
