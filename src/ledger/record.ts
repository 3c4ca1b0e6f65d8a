import { sql } from 'kysely'
import type { Json } from '../base/canonical.ts'
import type { EntryId } from '../base/ids.ts'
import type { Clock } from '../engines/clock.ts'
import type { Tx } from '../engines/postgres.ts'
import { type Act, footage, type SealedEntry, sealEntry } from './entry.ts'

/** Writes the act's entry in the caller's transaction. */
export const record = async (tx: Tx, clock: Clock, act: Act): Promise<EntryId> =>
  (await recordSealed(tx, clock, act)).id

/** The same, for those who need the leaf as well. */
export const recordSealed = async (tx: Tx, clock: Clock, act: Act): Promise<SealedEntry> => {
  const sealed = sealEntry(act, clock)
  await sql`/* prepared as append_entry */
    with leaf as (insert into entries (id, leaf) values (${sealed.id}, ${sealed.leaf}))
    insert into entry_bodies (id, entry, salt, parts)
    values (${sealed.id}, ${sealed.entry}, ${sealed.salt}, ${JSON.stringify(sealed.parts)})`.execute(tx)
  return sealed
}

/** What an entry is about; nothing where that is no footage. */
const aboutWhat = async (tx: Tx, id: EntryId): Promise<{ about?: Json }> => {
  const query = tx.selectFrom('entryBodies').select(['subjectType', 'subjectId']).where('id', '=', id)
  const { subjectType: type = null, subjectId = null } = (await query.executeTakeFirst()) ?? {}
  return type !== null && footage.includes(type) ? { about: { type, id: subjectId } } : {}
}

/**
 * Empties one sealed part of an entry, or its whole body, through the only function that may, which writes `act` as
 * the erasure's entry in the same transaction. The leaf stays, and every other proof with it. What was taken is sealed
 * into the erasure's detail: it proves that part of that entry, and no other.
 */
export const eraseFromEntry = async (
  tx: Tx,
  clock: Clock,
  target: EntryId,
  part: 'actor' | 'purpose' | 'recipient' | 'policy' | 'detail' | 'body',
  act: Omit<Act, 'operation' | 'subject' | 'detail'> & { detail?: Record<string, Json> },
): Promise<EntryId> => {
  // Of a body nothing stays that says so.
  const about = part === 'body' ? await aboutWhat(tx, target) : {}
  const detail = { ...act.detail, ...about, part }
  const erasure = sealEntry({ ...act, operation: 'erasure', subject: { type: 'entry', id: target }, detail }, clock)
  await sql`select erase_entry_body(${target}, ${part}, ${erasure.id}, ${erasure.entry}, ${erasure.salt}, ${JSON.stringify(erasure.parts)})`.execute(
    tx,
  )
  return erasure.id
}
