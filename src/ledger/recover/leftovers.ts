import { sha256 } from '../../base/digest.ts'
import { hasTile, parseTilePath } from '../../base/tiles.ts'
import type { Store } from '../../engines/store.ts'
import { keysUnder } from '../log/published.ts'
import { logKey } from '../log/tree.ts'

/**
 * Tiles that were written for a checkpoint which never came. Of other leaves they would be others, and nothing is ever
 * written over them: they have to go before the log goes on.
 */
export const leftoversOf = async (store: Store, log: number, size: number): Promise<string[]> => {
  const prefix = logKey(log, '')
  const found: string[] = []
  for await (const key of keysUnder(store, `${prefix}tile/`)) {
    const tile = parseTilePath(key.slice(prefix.length))
    if (tile !== null && !hasTile(tile, size)) found.push(key)
  }
  return found
}

/** Moves them out of the way, under `aside/`, where nothing reads them. Cut short, it is repeated. */
export const putAside = async (store: Store, log: number, size: number, keys: readonly string[]): Promise<void> => {
  const folder = logKey(log, `aside/${String(size).padStart(16, '0')}/`)
  for (const key of keys) {
    const bytes = await store.readWhole('ledger', key)
    if (bytes !== null) await store.put('ledger', `${folder}${key.slice(logKey(log, '').length)}`, bytes, sha256(bytes))
    await store.delete('ledger', key)
  }
}
