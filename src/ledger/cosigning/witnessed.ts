import { sha256 } from '../../base/digest.ts'
import type { Engines } from '../../engines/engines.ts'
import { noteOf } from '../log/checkpoints.ts'
import { logKey } from '../log/tree.ts'

const folder = 'witnessed/'
const keptCheckpoints = 3

export const witnessedKey = (log: number, size: number): string =>
  logKey(log, `${folder}${String(size).padStart(16, '0')}`)

/**
 * Puts the checkpoint with the cosignatures that there are and this one into the store, and deletes all but the newest
 * three. Callers take turns.
 */
export const putWitnessed = async (
  { db, store }: Pick<Engines, 'db' | 'store'>,
  log: number,
  size: number,
  line: string,
): Promise<void> => {
  const note = Buffer.from(`${await noteOf(db, log, size)}${line}`)
  await store.put('ledger', witnessedKey(log, size), note, sha256(note))
  const keys = await store.list('ledger', logKey(log, folder))
  for (const key of keys.slice(0, -keptCheckpoints)) await store.delete('ledger', key)
}
