import { sql } from 'kysely'
import type { Db } from '../src/engines/postgres.ts'

/** Writes so many entries as they ought to be, in one statement of the database for every 50,000. */
export const manyEntries = async (db: Db, count: number): Promise<void> => {
  for (let from = 0; from < count; from += 50_000) {
    await sql`
      with numbered as materialized (
        select uuidv7()::text as id, n::text as n, decode(md5('salt ' || n), 'hex') as salt, md5('actor ' || n) as actor_salt
        from generate_series(${from}::int, ${Math.min(count, from + 50_000) - 1}::int) as n
      ), sealed as materialized (
        select *, encode(sha256(decode(actor_salt, 'hex') || convert_to('{"id":"person ' || n || '","kind":"person"}', 'UTF8')), 'hex') as actor
        from numbered
      ), made as materialized (
        select *, '{"action":"recording.read","at":"2026-11-25T22:15:10.000000Z","id":"' || id ||
          '","operation":"consultation","outcome":"allowed","sealed":{"actor":"' || actor ||
          '"},"subject":{"id":"01a2107f-f878-7b43-9c50-4fa401b6f2b1","type":"recording"},"v":1}' as entry
        from sealed
      ), leaf as (
        insert into entries (id, leaf) select id::uuid, sha256(salt || convert_to(entry, 'UTF8')) from made
      )
      insert into entry_bodies (id, entry, salt, parts)
      select id::uuid, entry, salt, jsonb_build_object('actor', jsonb_build_object('salt', actor_salt,
        'value', jsonb_build_object('kind', 'person', 'id', 'person ' || n)))
      from made`.execute(db)
  }
}
