import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** Who is watching what, and which of it they saw. Only the digest of the token is kept; the reason is in the entry. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  // Room on the page, and no index on what changes while it plays: a watched range costs no index entry.
  await sql`
    create table viewings (
      id uuid primary key,
      token bytea not null unique,
      person uuid not null references people,
      recording uuid not null references recordings,
      entry uuid not null,
      opened_at timestamptz not null, expires_at timestamptz not null, ended_at timestamptz,
      watched jsonb not null default '[]'
    ) with (fillfactor = 70)`.execute(db)
  await sql`create index viewings_open on viewings (person) where ended_at is null`.execute(db)
  // A segment is asked for by its name, and a long recording has thousands.
  await sql`create index rendition_objects_name on rendition_objects (rendition, name)`.execute(db)
  // The entry that ends a viewing says what was watched: after it, nothing of it changes.
  await sql`
    create function guard_ended_viewing() returns trigger language plpgsql as $$
    begin
      raise exception 'a viewing that has ended does not change' using errcode = 'insufficient_privilege';
    end $$`.execute(db)
  await sql`
    create trigger ended_for_good before update on viewings
    for each row when (old.ended_at is not null) execute function guard_ended_viewing()`.execute(db)
  await sql`grant select, insert, update (expires_at, ended_at, watched) on viewings to exhibit_app`.execute(db)
}
