import { sha256 } from '../../base/digest.ts'
import { entryBundle, type Tile, tilePath } from '../../base/tiles.ts'
import type { Store } from '../../engines/store.ts'
import { type Chunk, chunkLeaves } from '../audit/chunk.ts'
import { makeUpperTiles } from '../audit/upper-tiles.ts'
import { keysUnder } from '../log/published.ts'
import { logKey } from '../log/tree.ts'

const mostUnderWay = 16

/** Every tile and entry bundle of a tree of `size` leaves. */
function* tilesOf(size: number): Generator<Tile> {
  for (let level = 0, left = size; left > 0; level += 1, left = Math.floor(left / chunkLeaves)) {
    for (let index = 0; index * chunkLeaves < left; index += 1) {
      const width = Math.min(chunkLeaves, left - index * chunkLeaves)
      yield { kind: 'hashes', level, index, width }
      if (level === 0) yield { kind: 'entries', index, width }
    }
  }
}

/** Paths of the tiles of a tree of `size` leaves that the store does not hold, whole or partial. */
export const missingTiles = async (store: Store, log: number, size: number): Promise<Set<string>> => {
  const prefix = logKey(log, '')
  const held = new Set<string>()
  for await (const key of keysUnder(store, `${prefix}tile/`)) held.add(key.slice(prefix.length))
  const missing = new Set<string>()
  for (const tile of tilesOf(size))
    if (!held.has(tilePath(tile)) && !held.has(tilePath({ ...tile, width: chunkLeaves }))) missing.add(tilePath(tile))
  return missing
}

/** Makes the missing tiles again, out of the leaves that are given chunk by chunk. None that is there is written over. */
export const makeTilesAgain = (store: Store, log: number, missing: ReadonlySet<string>) => {
  const underWay: Promise<unknown>[] = []
  let index = 0
  const put = async (tile: Tile, bytes: () => Buffer): Promise<void> => {
    const path = tilePath(tile)
    if (!missing.has(path)) return
    const made = bytes()
    const putting = store.putNew('ledger', logKey(log, path), made, sha256(made))
    putting.catch(() => undefined)
    underWay.push(putting)
    if (underWay.length >= mostUnderWay) await Promise.all(underWay.splice(0))
  }
  const upper = makeUpperTiles(async ({ row, ...place }) => await put({ kind: 'hashes', ...place }, () => row))
  return {
    add: async (chunk: Chunk, leaves: Buffer[]): Promise<void> => {
      const { width, levels } = chunk
      await put({ kind: 'entries', index, width }, () => entryBundle(leaves))
      await put({ kind: 'hashes', level: 0, index, width }, () => levels[0] ?? Buffer.alloc(0))
      index += 1
      if (width === chunkLeaves) await upper.add(chunk)
    },
    end: async (): Promise<void> => {
      await upper.end()
      await Promise.all(underWay)
    },
  }
}
