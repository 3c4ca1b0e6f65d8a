import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** A recording's whole story by index alone, with what was withdrawn of its exhibits and erased of its entries. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`create index exhibits_of_recording on exhibits (recording, id)`.execute(db)

  // An entry whose body is gone no longer says what it was about. That it was about this footage names nobody.
  await sql`
    create table entry_erasures (
      erasure uuid primary key,
      entry uuid not null,
      part text not null,
      subject_type text not null check (subject_type in ('recording', 'upload', 'clip', 'exhibit', 'bundle')),
      subject_id text not null
    )`.execute(db)
  await sql`create index entry_erasures_subject on entry_erasures (subject_id, erasure)`.execute(db)
  await sql`create index entry_erasures_bodies on entry_erasures (subject_id, entry) where part = 'body'`.execute(db)
  for (const [name, when] of [
    ['append_only', sql`before update or delete on entry_erasures for each row`],
    ['no_truncate', sql`before truncate on entry_erasures for each statement`],
  ] as const)
    await sql`create trigger ${sql.id(name)} ${when} execute function refuse_change()`.execute(db)
  await sql`
    insert into entry_erasures (erasure, entry, part, subject_type, subject_id)
    select value::uuid, id, key, subject_type, subject_id from entry_bodies, jsonb_each_text(erased)
    where erased <> '{}' and subject_type in ('recording', 'upload', 'clip', 'exhibit', 'bundle')`.execute(db)

  // As it was, and with the subject of what is erased.
  await sql`
    create or replace function erase_entry_body(target uuid, part text, erasure uuid, erasure_entry text, erasure_salt bytea, erasure_parts jsonb)
    returns void language plpgsql security definer set search_path = pg_catalog, public as $$
    declare
      said jsonb := erasure_entry::jsonb;
    begin
      if said ->> 'operation' is distinct from 'erasure' or said #>> '{subject,id}' is distinct from target::text
        or said ->> 'id' is distinct from erasure::text then
        raise exception 'the entry of an erasure must name it and what it erases';
      end if;
      insert into public.entry_erasures (erasure, entry, part, subject_type, subject_id)
      select erasure, body.id, erase_entry_body.part, body.subject_type, body.subject_id from public.entry_bodies body
      where body.id = target and body.subject_type in ('recording', 'upload', 'clip', 'exhibit', 'bundle');
      insert into public.entries (id, leaf) values (erasure, sha256(erasure_salt || convert_to(erasure_entry, 'UTF8')));
      insert into public.entry_bodies (id, entry, salt, parts) values (erasure, erasure_entry, erasure_salt, erasure_parts);
      update public.entry_bodies set
        entry = case when part = 'body' then null else entry end,
        salt = case when part = 'body' then null else salt end,
        parts = case when part = 'body' then '{}' else parts - part end,
        erased = erased || jsonb_build_object(part, erasure)
      where id = target and not erased ? part and (part = 'body' or parts ? part);
      if not found then raise exception 'there is no such part to erase'; end if;
    end $$`.execute(db)

  await sql`grant select on entry_erasures to exhibit_app`.execute(db)
}
