import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** Policies and what they would do, holds, purges and what became of each recording, proofs of erasure, re-admissions. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await policies(db)
  await exceptions(db)
  await purges(db)
  await recordings(db)
}

const policies = async (db: Kysely<unknown>): Promise<void> => {
  // A category that is null stands for the recordings that have none.
  await sql`
    create table policies (
      id uuid primary key,
      category text, version integer not null check (version > 0),
      trigger text not null check (trigger in
        ('recorded', 'charged', 'no_further_action', 'acquitted', 'convicted', 'sentenced', 'released', 'closed')),
      period text not null, grace text not null,
      sealed text[] not null check (sealed <@ array['actor', 'purpose', 'recipient', 'policy', 'detail']),
      state text not null check (state in ('draft', 'approved', 'superseded')),
      drafted_by uuid not null references people, drafted_at timestamptz not null,
      approved_by uuid references people, approved_at timestamptz, superseded_at timestamptz,
      constraint policy_version unique nulls not distinct (category, version),
      constraint approved_by_another check (approved_by <> drafted_by),
      constraint approved_has_person check ((state = 'draft') = (approved_by is null))
    )`.execute(db)
  await sql`
    create unique index policy_in_force on policies (category) nulls not distinct where state = 'approved'`.execute(db)
  await sql`
    create table simulations (
      id uuid primary key,
      policy uuid not null references policies,
      state text not null check (state in ('owed', 'working', 'ready')),
      counts jsonb not null,
      asked_by uuid not null references people, asked_at timestamptz not null, ended_at timestamptz
    )`.execute(db)
  await sql`create index simulations_policy on simulations (policy, id)`.execute(db)
  await sql`
    create table simulation_items (
      simulation uuid not null references simulations,
      recording uuid not null references recordings,
      size bigint not null, old_at timestamptz, new_at timestamptz,
      primary key (simulation, recording)
    )`.execute(db)
  await sql`
    create table simulation_sights (
      simulation uuid not null references simulations,
      person uuid not null references people,
      seen_at timestamptz not null,
      primary key (simulation, person)
    )`.execute(db)
  await sql`
    grant select, insert, update (state, approved_by, approved_at, superseded_at) on policies to exhibit_app`.execute(
    db,
  )
  await sql`grant select, insert, update (state, counts, ended_at) on simulations to exhibit_app`.execute(db)
  await sql`grant select, insert, delete on simulation_items to exhibit_app`.execute(db)
  await sql`grant select, insert on simulation_sights to exhibit_app`.execute(db)
}

const exceptions = async (db: Kysely<unknown>): Promise<void> => {
  // Reasons are in the entries.
  await sql`
    create table holds (
      id uuid primary key,
      recording uuid not null references recordings,
      kind text not null check (kind in ('legal', 'complaint', 'disclosure', 'subject_access', 'other', 'restored')),
      review_on date,
      placed_by uuid not null references people, placed_at timestamptz not null, entry uuid not null,
      released_by uuid references people, released_at timestamptz,
      constraint released_has_person check ((released_at is null) = (released_by is null))
    )`.execute(db)
  await sql`create index holds_recording on holds (recording, id)`.execute(db)
  await sql`create index holds_in_force on holds (recording) where released_at is null`.execute(db)
  await sql`
    create table deletion_requests (
      id uuid primary key,
      recording uuid not null references recordings,
      asked_by uuid not null references people, asked_at timestamptz not null,
      approved_by uuid references people, approved_at timestamptz, ended_at timestamptz,
      constraint deletion_approved_by_another check (approved_by <> asked_by),
      constraint approved_has_time check ((approved_by is null) = (approved_at is null))
    )`.execute(db)
  await sql`create unique index deletion_request_open on deletion_requests (recording) where ended_at is null`.execute(
    db,
  )
  await sql`
    create index deletion_requests_approved on deletion_requests (approved_at, recording)
    where approved_at is not null and ended_at is null`.execute(db)
  await sql`grant select, insert, update (released_by, released_at) on holds to exhibit_app`.execute(db)
  await sql`
    grant select, insert, update (approved_by, approved_at, ended_at) on deletion_requests to exhibit_app`.execute(db)
}

const purges = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table purges (
      id uuid primary key,
      state text not null check (state in ('running', 'braked', 'done')),
      allowed integer not null, batch integer,
      hidden integer not null default 0, erased integer not null default 0,
      held integer not null default 0, failed integer not null default 0,
      said text,
      started_by uuid references people, started_at timestamptz not null,
      released_by uuid references people, released_at timestamptz, ended_at timestamptz,
      constraint released_by_another check (released_by <> started_by)
    )`.execute(db)
  await sql`create unique index purge_under_way on purges ((true)) where state <> 'done'`.execute(db)
  await sql`
    create table purge_items (
      purge uuid not null references purges,
      recording uuid not null references recordings,
      policy uuid references policies,
      request uuid references deletion_requests,
      state text not null check (state in ('hiding', 'grace', 'erasing', 'erased', 'restored')),
      previous text not null check (previous in ('verified', 'active')),
      hidden_at timestamptz not null, grace_until timestamptz not null,
      locked_until timestamptz, objects integer, said text, ended_at timestamptz,
      primary key (purge, recording)
    )`.execute(db)
  await sql`
    create unique index purge_item_open on purge_items (recording) where state in ('hiding', 'grace', 'erasing')`.execute(
    db,
  )
  await sql`
    create index purge_items_grace on purge_items (grace_until, recording)
    where state in ('hiding', 'grace', 'erasing')`.execute(db)
  await sql`
    create table erasures (
      recording uuid primary key references recordings,
      purge uuid not null references purges,
      erased_at timestamptz not null, objects integer not null,
      entry uuid not null, jws text not null
    )`.execute(db)
  // Which row it would be is the case's to know; that there is one, is the recording's.
  await sql`
    create function is_sheltered(which uuid) returns boolean language sql stable as $$
      select exists (select from holds where recording = which and released_at is null)
        or exists (select from exhibits join cases on cases.id = exhibits."case"
          where exhibits.recording = which and exhibits.withdrawn_at is null and cases.status = 'open')
    $$`.execute(db)
  // Whoever asks, and by whatever way: what begins to be erased has no hold and is in no open case, and does not come back.
  await sql`
    create function guard_purge_item() returns trigger language plpgsql as $$
    begin
      if old.state in ('erased', 'restored') or (old.state = 'erasing' and new.state not in ('erasing', 'erased'))
        or (new.state = 'erased' and old.state <> 'erasing')
      then raise exception 'an erasure goes one way' using errcode = 'insufficient_privilege'; end if;
      if new.state = 'erasing' and old.state <> 'erasing' and is_sheltered(new.recording)
      then raise exception 'a recording under a hold or in an open case is not erased' using errcode = 'insufficient_privilege'; end if;
      return new;
    end $$`.execute(db)
  await sql`
    create trigger one_way before update on purge_items for each row execute function guard_purge_item()`.execute(db)
  await sql`
    grant select, insert,
      update (state, allowed, batch, hidden, erased, held, failed, said, released_by, released_at, ended_at)
    on purges to exhibit_app`.execute(db)
  await sql`
    grant select, insert, update (state, policy, request, locked_until, objects, said, ended_at) on purge_items to exhibit_app`.execute(
    db,
  )
  await sql`grant select, insert on erasures to exhibit_app`.execute(db)
}

const recordings = async (db: Kysely<unknown>): Promise<void> => {
  // A supervisor lets docks bring an erased file once more: it becomes a recording of its own, and may be erased again.
  await sql`alter table recordings add column readmitted_at timestamptz`.execute(db)
  await sql`drop index recordings_file`.execute(db)
  await sql`
    create unique index recordings_file on recordings (camera, size, sha256)
    where status in ('verified', 'active', 'due', 'grace', 'erased') and duplicate_of is null and readmitted_at is null`.execute(
    db,
  )
  // From when a period counted from the recording counts, before anything else is known of it (src/retention/date.ts).
  await sql`
    create function retention_start(flags text[], corrected timestamptz, received timestamptz) returns timestamptz
    language sql immutable parallel safe
    return case when flags && array['clock_drift', 'clock_implausible'] then received else corrected end`.execute(db)
  await sql`
    create index recordings_retention on recordings (category, retention_start(flags, corrected_at, received_at), id)
    where status in ('verified', 'active', 'grace') and duplicate_of is null`.execute(db)
  await sql`
    create function guard_retention() returns trigger language plpgsql as $$
    begin
      if old.status = 'erased' or (new.status = 'erased' and old.status <> 'grace')
      then raise exception 'an erasure goes by way of grace, and one way' using errcode = 'insufficient_privilege'; end if;
      if new.status = 'grace' and is_sheltered(new.id)
      then raise exception 'a recording under a hold or in an open case is not hidden' using errcode = 'insufficient_privilege'; end if;
      return new;
    end $$`.execute(db)
  await sql`
    create trigger one_way before update of status on recordings
    for each row when (old.status is distinct from new.status) execute function guard_retention()`.execute(db)
}
