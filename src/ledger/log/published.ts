import { openCheckpoint, parseWhole, type TreeHead } from '../../base/checkpoint.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Store } from '../../engines/store.ts'
import { logKeyOf } from './log.ts'
import { logKey } from './tree.ts'

/** A checkpoint out of the ledger bucket. `head` is null unless the log signed it and it is of the size that its key says. */
export type PublishedNote = { key: string; size: number; note: string; head: TreeHead | null }

/** Every key under a prefix, in the order of the store. */
export async function* keysUnder(store: Store, prefix: string): AsyncGenerator<string> {
  for (let after: string | undefined; ; ) {
    const page = await store.list('ledger', prefix, after)
    yield* page
    after = page.at(-1)
    if (page.length < 1000 || after === undefined) return
  }
}

/** The `most` largest under a folder of the log, the largest last; what is deleted meanwhile is left out. */
const newestUnder = async (store: Store, log: LogRow, folder: string, most: number): Promise<PublishedNote[]> => {
  const prefix = logKey(log.number, folder)
  const keys: string[] = []
  for await (const key of keysUnder(store, prefix)) {
    keys.push(key)
    if (keys.length > most) keys.shift()
  }
  const key = logKeyOf(log)
  const notes = await Promise.all(
    keys.map(async (name): Promise<PublishedNote[]> => {
      const note = (await store.readWhole('ledger', name))?.toString()
      if (note === undefined) return []
      const digits = name.slice(prefix.length)
      const size = (digits.length === 16 ? parseWhole(digits.replace(/^0+(?=\d)/, '')) : null) ?? 0
      const head = openCheckpoint(note, key)
      return [{ key: name, size, note, head: head?.size === size ? head : null }]
    }),
  )
  return notes.flat()
}

/** The newest checkpoints that the log itself put into the store. */
export const storedNotes = async (store: Store, log: LogRow): Promise<PublishedNote[]> => {
  for (let tries = 1; ; tries++) {
    const notes = await newestUnder(store, log, 'checkpoint/', 3)
    // All may have been superseded and deleted while they were read.
    if (notes.length > 0 || tries === 5) return notes
  }
}

/** The newest checkpoints with cosignatures in the store. */
export const witnessedNotes = async (store: Store, log: LogRow): Promise<PublishedNote[]> =>
  await newestUnder(store, log, 'witnessed/', 3)
