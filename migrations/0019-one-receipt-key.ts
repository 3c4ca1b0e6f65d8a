import { randomBytes } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { canonical, type Json } from '../src/base/canonical.ts'
import { hex, sha256 } from '../src/base/digest.ts'
import { newId } from '../src/base/ids.ts'
import { micros } from '../src/base/time.ts'

export const oldestCode = 1

/** One key signs receipts at a time, and a retired one stays retired. A log that was left is left for good. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  // By what was signed last one sees that nothing is signed after its key's end, whichever clock is ahead.
  await sql`create index receipts_signed on receipts (signed_at)`.execute(db)
  await sql`create index erasures_signed on erasures (erased_at)`.execute(db)
  await retireAllButTheNewest(db)
  await sql`create unique index receipt_keys_current on receipt_keys ((true)) where to_at is null`.execute(db)
  await sql`
    create function guard_receipt_key() returns trigger language plpgsql as $$
    begin
      if tg_op = 'UPDATE' and old.to_at is null and new.to_at is not null
        and (new.kid, new.jwk, new.from_at) is not distinct from (old.kid, old.jwk, old.from_at)
      then return new; end if;
      raise exception '% on receipt_keys is refused: a key is published once, and retired once', tg_op using errcode = 'insufficient_privilege';
    end $$`.execute(db)
  await sql`create trigger guarded before update or delete on receipt_keys for each row execute function guard_receipt_key()`.execute(
    db,
  )
  await sql`create trigger no_truncate before truncate on receipt_keys for each statement execute function refuse_change()`.execute(
    db,
  )
  await sql`revoke update (to_at) on receipt_keys from exhibit_app`.execute(db)
  await leaveLogs(db)
}

/** Installations that were started with one key after the other have several that never ended. */
const retireAllButTheNewest = async (db: Kysely<unknown>): Promise<void> => {
  const { rows } = await sql<{ kid: string; newest: string }>`
    update receipt_keys set to_at = greatest(now(), (select max(signed_at) from receipts), (select max(erased_at) from erasures))
    from (select kid from receipt_keys where to_at is null order by from_at desc, kid limit 1) as newest
    where to_at is null and receipt_keys.kid <> newest.kid
    returning receipt_keys.kid, newest.kid as newest`.execute(db)
  for (const { kid, newest } of rows) await recordRetired(db, kid, newest)
}

/** An entry as it is made since its first version. */
const recordRetired = async (db: Kysely<unknown>, kid: string, newest: string): Promise<void> => {
  const values: Record<string, Json> = {
    actor: { kind: 'service', id: 'exhibit' },
    detail: { use: 'receipts', newest, because: 'one key signs at a time' },
  }
  const parts: Record<string, { value: Json; salt: string }> = {}
  const sealed: Record<string, string> = {}
  for (const [name, value] of Object.entries(values)) {
    const salt = randomBytes(16)
    parts[name] = { value, salt: salt.toString('hex') }
    sealed[name] = hex(sha256(salt, canonical(value)))
  }
  const id = newId()
  const entry = canonical({
    v: 1,
    id,
    at: micros(Temporal.Now.instant()),
    operation: 'administration',
    action: 'key.retired',
    subject: { type: 'key', id: kid },
    outcome: 'allowed',
    sealed,
  })
  const salt = randomBytes(16)
  await sql`insert into entries (id, leaf) values (${id}, ${sha256(salt, entry)})`.execute(db)
  await sql`
    insert into entry_bodies (id, entry, salt, parts) values (${id}, ${entry}, ${salt}, ${JSON.stringify(parts)})`.execute(
    db,
  )
}

const leaveLogs = async (db: Kysely<unknown>): Promise<void> => {
  // What a log that was left had numbered and never published becomes a leaf of the next one.
  await sql`
    create function guard_leaf() returns trigger language plpgsql as $$
    begin
      if tg_op = 'DELETE' and exists (select from logs where number = old.log and to_at is not null)
        and not exists (select from checkpoints where log = old.log and size > old.index)
      then return old; end if;
      raise exception '% on leaves is refused: the ledger only grows', tg_op using errcode = 'insufficient_privilege';
    end $$`.execute(db)
  await sql`drop trigger append_only on leaves`.execute(db)
  await sql`create trigger append_only before update or delete on leaves for each row execute function guard_leaf()`.execute(
    db,
  )
  // As it was, and nothing more is published of a log that was left.
  await sql`
    create or replace function guard_checkpoint() returns trigger language plpgsql as $$
    begin
      perform 1 from logs where number = new.log and to_at is null for update;
      if not found then
        raise exception 'a checkpoint is refused: log % has ended', new.log using errcode = 'insufficient_privilege';
      end if;
      if exists (select from checkpoints where log = new.log and size >= new.size) then
        raise exception 'a checkpoint of % leaves is refused: one at least as large is published', new.size using errcode = 'unique_violation';
      end if;
      return new;
    end $$`.execute(db)
}
