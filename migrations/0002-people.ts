import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table people (
      id uuid primary key,
      issuer text not null, subject text not null,
      name text not null, collar text,
      first_seen_at timestamptz not null, suspended_at timestamptz,
      unique (issuer, subject)
    )`.execute(db)
  await sql`create index people_collar on people (collar)`.execute(db)
  await sql`
    create table officers (
      collar text primary key,
      person uuid references people,
      first_seen_at timestamptz not null
    )`.execute(db)
  await sql`grant select, insert, update on people, officers to exhibit_app`.execute(db)
}
