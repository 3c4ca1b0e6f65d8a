import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** Owed work. Written with its cause; Redis only carries the id (design, section 5). */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table jobs (
      id uuid primary key,
      name text not null, payload jsonb not null, cause uuid,
      state text not null check (state in ('owed', 'working', 'done', 'skipped', 'failed')),
      attempt int not null default 0, failures int not null default 0,
      due_at timestamptz not null, offered_at timestamptz, beat_at timestamptz,
      progress double precision not null default 0, said text,
      created_at timestamptz not null, ended_at timestamptz
    )`.execute(db)
  await sql`create index jobs_open on jobs (due_at) where state in ('owed', 'working')`.execute(db)
  await sql`create index jobs_state on jobs (state, id)`.execute(db)
  await sql`
    create function tell_of_job() returns trigger language plpgsql as $$
    begin perform pg_notify('jobs', ''); return null; end $$`.execute(db)
  await sql`create trigger told after insert on jobs for each statement execute function tell_of_job()`.execute(db)
  await sql`grant select, insert, update on jobs to exhibit_app`.execute(db)
}
