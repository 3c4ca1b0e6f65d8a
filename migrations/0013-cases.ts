import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** Cases, who is a member, what was put in them under which reference, and what happened to them on which day. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  // Whoever is made a member of a case has to hold a role: the ones their last token named.
  await sql`alter table people add column roles text[] not null default '{}'`.execute(db)
  await sql`
    create table cases (
      id uuid primary key,
      reference text not null,
      title text not null,
      status text not null check (status in ('open', 'closed')),
      opened_at timestamptz not null, closed_at timestamptz,
      constraint closed_has_time check ((status = 'closed') = (closed_at is not null))
    )`.execute(db)
  // Two references that differ in capitals or in the width of their letters alone would be taken for each other.
  await sql`create unique index case_reference on cases (lower(normalize(reference, NFKC)))`.execute(db)
  await sql`
    create table case_members (
      "case" uuid not null references cases,
      person uuid not null references people,
      role text not null check (role in ('investigator', 'disclosure')),
      since timestamptz not null,
      primary key ("case", person)
    )`.execute(db)
  await sql`create index case_members_person on case_members (person, "case")`.execute(db)
  // Rows are never deleted, so a reference is never given twice: not after a withdrawal, and not after a move.
  await sql`
    create table exhibits (
      id uuid primary key,
      "case" uuid not null references cases,
      recording uuid not null references recordings,
      clip uuid references clips,
      reference text not null check (reference ~ '^[A-Z]{1,5}/[1-9][0-9]{0,5}$'),
      sensitivity text not null check (sensitivity in ('none', 'sensitive')),
      description text not null,
      added_at timestamptz not null,
      added_by uuid not null references people,
      moved_from uuid unique references exhibits,
      withdrawn_at timestamptz,
      withdrawn_because text,
      constraint exhibit_reference unique ("case", reference),
      constraint withdrawn_has_reason check ((withdrawn_at is null) = (withdrawn_because is null))
    )`.execute(db)
  await sql`create index exhibits_recording on exhibits (recording) where withdrawn_at is null`.execute(db)
  await sql`create index exhibits_case on exhibits ("case", id)`.execute(db)
  await sql`
    create table case_events (
      id uuid primary key,
      "case" uuid not null references cases,
      kind text not null check
        (kind in ('charged', 'no_further_action', 'acquitted', 'convicted', 'sentenced', 'released', 'closed')),
      on_date date not null,
      note text,
      noted_at timestamptz not null,
      person uuid not null references people,
      entry uuid not null,
      withdrawn_at timestamptz,
      withdrawn_because text,
      constraint withdrawn_has_reason check ((withdrawn_at is null) = (withdrawn_because is null))
    )`.execute(db)
  await sql`create index case_events_case on case_events ("case", on_date, id)`.execute(db)
  // What was withdrawn is history.
  await sql`
    create function guard_withdrawn() returns trigger language plpgsql as $$
    begin
      raise exception 'what was withdrawn from a case does not change' using errcode = 'insufficient_privilege';
    end $$`.execute(db)
  for (const table of ['exhibits', 'case_events']) {
    await sql`
      create trigger withdrawn_for_good before update on ${sql.table(table)}
      for each row when (old.withdrawn_at is not null) execute function guard_withdrawn()`.execute(db)
  }
  await sql`grant select, insert, update (reference, title, status, closed_at) on cases to exhibit_app`.execute(db)
  await sql`grant select, insert, update (role), delete on case_members to exhibit_app`.execute(db)
  await sql`
    grant select, insert, update (sensitivity, description, withdrawn_at, withdrawn_because) on exhibits to exhibit_app`.execute(
    db,
  )
  await sql`grant select, insert, update (withdrawn_at, withdrawn_because) on case_events to exhibit_app`.execute(db)
}
