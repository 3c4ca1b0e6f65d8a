import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

const onlyGrows = async (db: Kysely<unknown>, table: string): Promise<void> => {
  const name = sql.table(table)
  await sql`create trigger append_only before update or delete on ${name} for each row execute function refuse_change()`.execute(
    db,
  )
  await sql`create trigger no_truncate before truncate on ${name} for each statement execute function refuse_change()`.execute(
    db,
  )
}

/** The tree over the entries: which entry is which leaf of which log, what was published of it, and by whom it was seen. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  // One log has no end: that is the one that grows.
  await sql`
    create table logs (
      number int primary key check (number > 0),
      origin text not null unique,
      jwk jsonb not null,
      from_at timestamptz not null, to_at timestamptz,
      halted text,
      publisher text, leased_until timestamptz,
      cleaned_size bigint not null default 0
    )`.execute(db)
  await sql`create unique index logs_current on logs ((true)) where to_at is null`.execute(db)

  await sql`
    create table leaves (
      log int not null references logs,
      index bigint not null check (index >= 0),
      entry uuid unique,
      primary key (log, index)
    )`.execute(db)
  await onlyGrows(db, 'leaves')
  // Of entries that a restored database no longer has, the leaf data is taken from the log itself.
  await sql`
    create table lost_leaves (
      log int not null, index bigint not null,
      leaf bytea not null check (octet_length(leaf) = 32),
      primary key (log, index), foreign key (log, index) references leaves
    )`.execute(db)
  await onlyGrows(db, 'lost_leaves')

  await sql`create table unsequenced (entry uuid primary key)`.execute(db)
  await sql`
    create function owe_leaf() returns trigger language plpgsql security definer set search_path = pg_catalog, public as $$
    begin
      insert into public.unsequenced values (new.id);
      return null;
    end $$`.execute(db)
  await sql`create trigger owed_a_leaf after insert on entries for each row execute function owe_leaf()`.execute(db)
  await sql`insert into unsequenced select id from entries`.execute(db)

  // The only way in which an entry becomes a leaf. The lock lives as long as the caller's transaction.
  await sql`
    create function number_entries(most int) returns bigint
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
        delete from public.unsequenced where entry in (select entry from public.unsequenced order by entry limit most)
        returning entry
      )
      insert into public.leaves (log, index, entry)
      select current_log, next_index - 1 + row_number() over (order by entry), entry from taken;
      get diagnostics numbered = row_count;
      return numbered;
    end $$`.execute(db)
  await sql`revoke execute on function number_entries, owe_leaf from public`.execute(db)

  await sql`
    create table checkpoints (
      log int not null references logs,
      size bigint not null check (size > 0),
      root bytea not null check (octet_length(root) = 32),
      note text not null,
      at timestamptz not null,
      primary key (log, size)
    )`.execute(db)
  await onlyGrows(db, 'checkpoints')
  await sql`
    create function guard_checkpoint() returns trigger language plpgsql as $$
    begin
      perform 1 from logs where number = new.log for update;
      if exists (select from checkpoints where log = new.log and size >= new.size) then
        raise exception 'a checkpoint of % leaves is refused: one at least as large is published', new.size using errcode = 'unique_violation';
      end if;
      return new;
    end $$`.execute(db)
  await sql`create trigger only_larger before insert on checkpoints for each row execute function guard_checkpoint()`.execute(
    db,
  )

  await sql`
    create table cosignatures (
      log int not null, size bigint not null, witness text not null,
      line text not null, at timestamptz not null,
      primary key (log, size, witness), foreign key (log, size) references checkpoints
    )`.execute(db)
  await onlyGrows(db, 'cosignatures')
  await sql`
    create table witness_sizes (
      witness text not null, log int not null references logs, size bigint not null,
      primary key (witness, log)
    )`.execute(db)

  // What an auditor asks by. `at` is text that sorts, since it always has the same form.
  await sql`
    alter table entry_bodies
      add column at text generated always as (entry::jsonb ->> 'at') stored,
      add column operation text generated always as (entry::jsonb ->> 'operation') stored,
      add column outcome text generated always as (entry::jsonb ->> 'outcome') stored,
      add column actor_kind text generated always as (parts #>> '{actor,value,kind}') stored,
      add column actor_id text generated always as (parts #>> '{actor,value,id}') stored`.execute(db)
  for (const column of ['operation', 'action', 'actor_id'])
    await sql`create index ${sql.id(`entry_bodies_${column}`)} on entry_bodies (${sql.id(column)}, id)`.execute(db)
  // Nearly all is allowed: who asks for that goes by the ids.
  await sql`create index entry_bodies_outcome on entry_bodies (outcome, id) where outcome <> 'allowed'`.execute(db)

  await sql`grant select, insert on logs, checkpoints, cosignatures to exhibit_app`.execute(db)
  await sql`grant update (halted, publisher, leased_until, cleaned_size) on logs to exhibit_app`.execute(db)
  await sql`grant select on leaves, lost_leaves, unsequenced to exhibit_app`.execute(db)
  await sql`grant select, insert, update on witness_sizes to exhibit_app`.execute(db)
  await sql`grant execute on function number_entries to exhibit_app`.execute(db)
}
