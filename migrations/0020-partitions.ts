import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/**
 * The one way in which a partition of `entries` is made after the first ten years of them: by the owner's right, since the
 * application may make no table, and nothing but the months that are missing from this one to ten years ahead.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  // A table is made and then attached: `partition of` would wait for every transaction that writes entries, and hold up the
  // next. What stands in the way of one month (a table of its name, another range) hinders no other; the gap is an alarm.
  await sql`
    create function make_entry_partitions() returns int
    language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
    declare
      present timestamp := date_trunc('month', now() at time zone 'UTC');
      first_id uuid;
      next_id uuid;
      name text;
      made int := 0;
    begin
      perform pg_advisory_xact_lock(hashtextextended('exhibit entry months', 0));
      for ahead in 0..120 loop
        select (lpad(to_hex((extract(epoch from present + make_interval(months => ahead)) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid,
          (lpad(to_hex((extract(epoch from present + make_interval(months => ahead + 1)) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid,
          'entries_' || to_char(present + make_interval(months => ahead), 'YYYY_MM')
        into first_id, next_id, name;
        continue when exists (
          select from pg_inherits join pg_class on pg_class.oid = pg_inherits.inhrelid,
            lateral regexp_match(pg_get_expr(pg_class.relpartbound, pg_class.oid), 'FROM \(''([0-9a-f-]{36})''\) TO \(''([0-9a-f-]{36})''\)') as bound
          where pg_inherits.inhparent = 'public.entries'::regclass and not pg_inherits.inhdetachpending
            and bound[1]::uuid <= first_id and bound[2]::uuid >= next_id
        );
        begin
          execute format('create table public.%I (like public.entries including all)', name);
          execute format('create trigger no_truncate before truncate on public.%I for each statement execute function public.refuse_change()', name);
          execute format('alter table public.entries attach partition public.%I for values from (%L) to (%L)', name, first_id, next_id);
          made := made + 1;
        exception when duplicate_table or invalid_object_definition then
          raise warning 'the month % of the entries is missing and cannot be made: %', name, sqlerrm;
        end;
      end loop;
      return made;
    end $$`.execute(db)
  await sql`revoke execute on function make_entry_partitions from public`.execute(db)
  await sql`grant execute on function make_entry_partitions to exhibit_app`.execute(db)
}
