import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/**
 * Numbering takes what waits by the range of its ids, oldest first. By a list of them, the planner that had counted the
 * waiting when there were none compared each with each: of a hundred thousand that took longer than a statement may.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create or replace function number_entries(most int) returns bigint
    language plpgsql security definer set search_path = pg_catalog, public as $$
    declare
      current_log int;
      next_index bigint;
      numbered bigint;
    begin
      if not pg_try_advisory_xact_lock(hashtextextended('exhibit sequencer', 0)) then return 0; end if;
      select number into current_log from public.logs where to_at is null and halted is null for share;
      if not found then return 0; end if;
      select coalesce(max(index) + 1, 0) into next_index from public.leaves where log = current_log;
      with taken as (
        delete from public.unsequenced where entry <= (
          select entry from (select entry from public.unsequenced order by entry limit most) as oldest
          order by entry desc limit 1
        ) returning entry
      )
      insert into public.leaves (log, index, entry)
      select current_log, next_index - 1 + row_number() over (order by entry), entry from taken;
      get diagnostics numbered = row_count;
      return numbered;
    end $$`.execute(db)
}
