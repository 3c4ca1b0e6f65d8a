import { openCheckpoint } from '../../base/checkpoint.ts'
import type { Engines } from '../../engines/engines.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import { logKeyOf } from './log.ts'
import { keysUnder } from './published.ts'
import { logKey } from './tree.ts'

/** What is there contradicts itself: nothing may go on without a person. The message is for an operator. */
export class Contradiction extends Error {}

/** What an operator reads where the store has a checkpoint of `size` leaves and the database has only numbered so many. */
export const publishedBefore = (size: number, leaves: number): string =>
  `The log was published with ${size} leaves and this database has ${leaves}: it is an older one. Run exhibit ledger recover.`

/** A published state of a log. */
export type Stored = { size: number; root: Buffer }

const folder = 'checkpoint/'
const keptCheckpoints = 3

export const checkpointKey = (log: number, size: number): string =>
  logKey(log, `${folder}${String(size).padStart(16, '0')}`)

/** The object under the last of these keys; others delete what is superseded while it is read. */
const newestObject = async ({ store }: Pick<Engines, 'store'>, prefix: string) => {
  for (let tries = 1; tries <= 5; tries++) {
    const key = (await Array.fromAsync(keysUnder(store, prefix))).at(-1)
    if (key === undefined) return null
    const bytes = await store.readWhole('ledger', key)
    if (bytes !== null) return { key, text: bytes.toString() }
  }
  throw new Error('the store lists checkpoints that it does not hold')
}

/**
 * The newest checkpoint that the store holds, which it gets before the database does: whoever restores an older database
 * finds here how far the log had gone. `null` when there is none. Throws Contradiction when it is not signed by the log.
 */
export const newestStored = async (
  engines: Pick<Engines, 'store'>,
  log: LogRow,
): Promise<(Stored & { note: string }) | null> => {
  const newest = await newestObject(engines, logKey(log.number, folder))
  if (newest === null) return null
  const head = openCheckpoint(newest.text, logKeyOf(log))
  if (head === null)
    throw new Contradiction(`${newest.key} in the ledger bucket is not signed by this log. Run exhibit ledger audit.`)
  return { size: head.size, root: head.root, note: newest.text }
}

/** Deletes all but the newest of the stored checkpoints: their rows are kept, and these are only for a restored database. */
export const forgetOldStored = async (engines: Pick<Engines, 'store'>, log: number): Promise<void> => {
  const keys = await Array.fromAsync(keysUnder(engines.store, logKey(log, folder)))
  for (const key of keys.slice(0, -keptCheckpoints)) await engines.store.delete('ledger', key)
}
