import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** Entries and their bodies (design, section 8), the refusals being counted, and the receipt keys. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create function refuse_change() returns trigger language plpgsql as $$
    begin
      raise exception '% on % is refused: the ledger only grows', tg_op, tg_table_name using errcode = 'insufficient_privilege';
    end $$`.execute(db)

  await sql`
    create table entries (
      id uuid primary key,
      leaf bytea not null check (octet_length(leaf) = 32)
    ) partition by range (id)`.execute(db)

  // A UUIDv7 begins with its birth in milliseconds, so a month is a range of ids.
  await sql`
    do $$
    declare
      month timestamptz := date_trunc('month', now(), 'UTC');
      until timestamptz := month + interval '10 years';
      from_id uuid := '00000000-0000-0000-0000-000000000000';
      to_id uuid;
      name text := 'entries_before';
    begin
      loop
        to_id := (lpad(to_hex((extract(epoch from month) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;
        execute format('create table %I partition of entries for values from (%L) to (%L)', name, from_id, to_id);
        execute format('create trigger no_truncate before truncate on %I for each statement execute function refuse_change()', name);
        exit when month >= until;
        name := 'entries_' || to_char(month at time zone 'UTC', 'YYYY_MM');
        from_id := to_id;
        month := (month at time zone 'UTC' + interval '1 month') at time zone 'UTC';
      end loop;
    end $$`.execute(db)
  await sql`create trigger append_only before update or delete on entries for each row execute function refuse_change()`.execute(
    db,
  )
  await sql`create trigger no_truncate before truncate on entries for each statement execute function refuse_change()`.execute(
    db,
  )

  await sql`
    create table entry_bodies (
      id uuid primary key,
      entry text,
      salt bytea,
      parts jsonb not null,
      erased jsonb not null default '{}',
      action text generated always as (entry::jsonb ->> 'action') stored,
      subject_type text generated always as (entry::jsonb #>> '{subject,type}') stored,
      subject_id text generated always as (entry::jsonb #>> '{subject,id}') stored
    )`.execute(db)
  await sql`create index entry_bodies_subject on entry_bodies (subject_id, id)`.execute(db)

  // Even the owner may only empty a body, and only in a transaction that also wrote the erasure's entry.
  await sql`
    create function guard_entry_body() returns trigger language plpgsql as $$
    declare
      part text;
    begin
      if tg_op = 'UPDATE' and new.id = old.id and new.erased @> old.erased then
        select key into part from jsonb_each_text(new.erased) where not old.erased ? key;
        if part is not null
          and (select count(*) from jsonb_object_keys(new.erased)) = (select count(*) from jsonb_object_keys(old.erased)) + 1
          and exists (select from entries where id = (new.erased ->> part)::uuid and xmin::text::bigint = (pg_current_xact_id()::text::bigint & 4294967295))
          and ((part = 'body' and new.entry is null and new.salt is null and new.parts = '{}')
            or (part <> 'body' and new.entry is not distinct from old.entry and new.salt is not distinct from old.salt
                and new.parts = old.parts - part))
        then return new; end if;
      end if;
      raise exception '% on entry_bodies is refused: a body is emptied by erase_entry_body alone', tg_op using errcode = 'insufficient_privilege';
    end $$`.execute(db)
  await sql`create trigger guarded before update or delete on entry_bodies for each row execute function guard_entry_body()`.execute(
    db,
  )
  await sql`create trigger no_truncate before truncate on entry_bodies for each statement execute function refuse_change()`.execute(
    db,
  )

  await sql`
    create function erase_entry_body(target uuid, part text, erasure uuid, erasure_entry text, erasure_salt bytea, erasure_parts jsonb)
    returns void language plpgsql security definer set search_path = pg_catalog, public as $$
    declare
      said jsonb := erasure_entry::jsonb;
    begin
      if said ->> 'operation' is distinct from 'erasure' or said #>> '{subject,id}' is distinct from target::text
        or said ->> 'id' is distinct from erasure::text then
        raise exception 'the entry of an erasure must name it and what it erases';
      end if;
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
  await sql`revoke execute on function erase_entry_body from public`.execute(db)

  await sql`
    create table refusals (
      actor text not null, action text not null, subject text not null,
      since timestamptz not null, repeats int not null default 0, first_entry uuid not null, facts jsonb not null,
      primary key (actor, action, subject)
    )`.execute(db)

  await sql`
    create table receipt_keys (
      kid text primary key, jwk jsonb not null, from_at timestamptz not null, to_at timestamptz
    )`.execute(db)

  await sql`grant select, insert on entries, entry_bodies to exhibit_app`.execute(db)
  await sql`grant execute on function erase_entry_body to exhibit_app`.execute(db)
  await sql`grant select, insert, update, delete on refusals to exhibit_app`.execute(db)
  await sql`grant select, insert, update (to_at) on receipt_keys to exhibit_app`.execute(db)
}
