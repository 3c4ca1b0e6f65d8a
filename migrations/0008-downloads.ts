import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** Short-lived addresses. Only the digest of the token is kept. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table downloads (
      id uuid primary key,
      token bytea not null unique,
      person uuid not null references people,
      recording uuid not null references recordings,
      entry uuid not null,
      made_at timestamptz not null, expires_at timestamptz not null
    )`.execute(db)
  await sql`create index downloads_expiry on downloads (expires_at)`.execute(db)
  await sql`grant select, insert on downloads to exhibit_app`.execute(db)
}
