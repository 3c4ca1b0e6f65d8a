import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** Bundles of a case's exhibits, and the numbers under which exhibits stand on the case's schedules. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  // A number is given once in a case and for ever: later schedules go on counting.
  await sql`
    create table schedule_items (
      "case" uuid not null references cases,
      number integer not null check (number > 0),
      exhibit uuid not null unique references exhibits,
      listed_at timestamptz not null,
      primary key ("case", number)
    )`.execute(db)
  await sql`
    create table bundles (
      id uuid primary key,
      "case" uuid not null references cases,
      schedule integer not null check (schedule > 0),
      person uuid not null references people,
      recipient text not null,
      purpose text not null,
      include_originals boolean not null,
      state text not null check (state in ('owed', 'working', 'ready', 'failed')),
      progress double precision not null default 0,
      failure text,
      size bigint, sha256 text,
      entry uuid not null, job uuid not null references jobs,
      asked_at timestamptz not null, ended_at timestamptz,
      unique ("case", schedule),
      constraint ready_bundle_is_whole check (state <> 'ready' or (size is not null and sha256 is not null))
    )`.execute(db)
  await sql`create index bundles_of_case on bundles ("case", id)`.execute(db)
  await sql`create index bundles_open on bundles (person) where state in ('owed', 'working')`.execute(db)
  // The words are those of the moment at which the bundle was asked for: what is said of an exhibit later is another schedule's.
  await sql`
    create table bundle_exhibits (
      bundle uuid not null references bundles,
      exhibit uuid not null references exhibits,
      number integer not null,
      reference text not null,
      description text not null,
      recording uuid not null references recordings,
      clip uuid references clips,
      primary key (bundle, exhibit),
      unique (bundle, number)
    )`.execute(db)
  await sql`create index bundle_exhibits_recording on bundle_exhibits (recording)`.execute(db)
  // What was disclosed stays what it was.
  await sql`
    create function guard_ready_bundle() returns trigger language plpgsql as $$
    begin
      raise exception 'a bundle that is ready does not change' using errcode = 'insufficient_privilege';
    end $$`.execute(db)
  await sql`
    create trigger ready_for_good before update on bundles
    for each row when (old.state = 'ready') execute function guard_ready_bundle()`.execute(db)
  await sql`grant select, insert on schedule_items, bundle_exhibits to exhibit_app`.execute(db)
  await sql`
    grant select, insert, update (state, progress, failure, size, sha256, job, ended_at) on bundles to exhibit_app`.execute(
    db,
  )
}
