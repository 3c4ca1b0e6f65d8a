import { sql } from 'kysely'
import type { EntryId } from '../base/ids.ts'
import type { Clock } from '../engines/clock.ts'
import type { Tx } from '../engines/postgres.ts'
import { type Act, type SealedEntry, sealEntry } from './entry.ts'

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

/**
 * Empties one sealed part of an entry, or its whole body, through the only function that may, which writes `act` as
 * the erasure's entry in the same transaction. The leaf stays, and every other proof with it.
 */
export const eraseFromEntry = async (
  tx: Tx,
  clock: Clock,
  target: EntryId,
  part: 'actor' | 'purpose' | 'recipient' | 'policy' | 'detail' | 'body',
  act: Omit<Act, 'operation' | 'subject'>,
): Promise<EntryId> => {
  const erasure = sealEntry({ ...act, operation: 'erasure', subject: { type: 'entry', id: target } }, clock)
  await sql`select erase_entry_body(${target}, ${part}, ${erasure.id}, ${erasure.entry}, ${erasure.salt}, ${JSON.stringify(erasure.parts)})`.execute(
    tx,
  )
  return erasure.id
}
