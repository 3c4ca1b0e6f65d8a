import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** What somebody wrote about an erased recording goes from its clips as well; of a clip that is ready nothing else changes. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`alter table clips alter title drop not null`.execute(db)
  await sql`
    create or replace function guard_ready_clip() returns trigger language plpgsql as $$
    declare
      gone boolean := new.title is null and exists (select from recordings where id = old.recording and status = 'erased');
      left_over clips := old;
    begin
      if new.title is distinct from old.title and not gone
      then raise exception 'a clip has its title until its recording is erased' using errcode = 'insufficient_privilege'; end if;
      left_over.title := new.title;
      left_over.provenance := new.provenance;
      if old.state = 'ready' and not (gone and new is not distinct from left_over and old.provenance @> new.provenance)
      then raise exception 'a clip that is ready does not change' using errcode = 'insufficient_privilege'; end if;
      return new;
    end $$`.execute(db)
  await sql`drop trigger ready_for_good on clips`.execute(db)
  await sql`
    create trigger ready_for_good before update on clips for each row
    when (old.state = 'ready' or old.title is distinct from new.title) execute function guard_ready_clip()`.execute(db)
  await sql`grant update (title) on clips to exhibit_app`.execute(db)
  // Of recordings that were erased before.
  await sql`
    update clips set title = null, provenance = case when provenance is not null then (
      select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(provenance)
      where key in ('v', 'source', 'asked', 'method')) end
    where exists (select from recordings where id = clips.recording and status = 'erased')`.execute(db)
}
