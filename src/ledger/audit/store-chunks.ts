import { parseEntryBundle, parseTilePath, type Tile, tilePath } from '../../base/tiles.ts'
import type { Store } from '../../engines/store.ts'
import { keysUnder } from '../log/published.ts'
import { logKey } from '../log/tree.ts'
import { chunkLeaves } from './chunk.ts'
import type { Findings } from './finding.ts'
import { readAhead } from './read-ahead.ts'

const hashBytes = 32
const leafBytes = 32
/** Chunks that are read ahead, each of two objects. */
const mostAhead = 32

/** Widths of the partial tiles that lie in the store, by the path of the full one. */
export type Partials = Map<string, number[]>

const fullPath = (tile: Tile): string => tilePath({ ...tile, width: chunkLeaves })

/** Looks through the names of all tiles: partial ones are remembered, and what is none is noted. */
export const listPartials = async (store: Store, log: number, findings: Findings): Promise<Partials> => {
  const partials: Partials = new Map()
  const prefix = logKey(log, '')
  for await (const key of keysUnder(store, `${prefix}tile/`)) {
    const tile = parseTilePath(key.slice(prefix.length))
    if (tile === null) findings.note('object-unknown', log, { object: key })
    else if (tile.width < chunkLeaves) {
      const path = fullPath(tile)
      partials.set(path, [...(partials.get(path) ?? []), tile.width])
    }
  }
  return partials
}

/** An object that holds the first `width` items of a tile, or should; `bytes` null when it is not there. */
export type Held = { object: string; width: number; bytes: Buffer | null }

/**
 * What the store holds of a tile that is `tile.width` wide by now: the object that has to be there, first, and the partial
 * ones that it outgrew, which are still served to whoever asks for them.
 */
export const heldOf = async (store: Store, log: number, tile: Tile, partials: Partials): Promise<Held[]> => {
  const full = fullPath(tile)
  const at = async (width: number): Promise<Held> => {
    const object = logKey(log, width === chunkLeaves ? full : tilePath({ ...tile, width }))
    return { object, width: Math.min(width, tile.width), bytes: await store.readWhole('ledger', object) }
  }
  const needed = await at(tile.width)
  // A partial tile may be left out as soon as the full one is there.
  const instead = needed.bytes === null && tile.width < chunkLeaves ? await at(chunkLeaves) : needed
  const smaller = (partials.get(full) ?? []).filter((width) => width < tile.width)
  const rest = await Promise.all(smaller.map(at))
  return [instead.bytes === null ? needed : instead, ...rest.filter(({ bytes }) => bytes !== null)]
}

/** The leaf data in an entry bundle, `width` of them at least, as one piece; null when it is not well formed. */
export const leavesIn = (bytes: Buffer, width: number): Buffer | null => {
  const leaves = parseEntryBundle(bytes)
  if (leaves === null || leaves.length < width || leaves.some((leaf) => leaf.length !== leafBytes)) return null
  return Buffer.concat(leaves.slice(0, width))
}

/** The hashes in a tile, `width` of them at least; null when it is not well formed. */
export const hashesIn = (bytes: Buffer, width: number): Buffer | null =>
  bytes.length >= width * hashBytes && bytes.length % hashBytes === 0 ? bytes.subarray(0, width * hashBytes) : null

/** The entry bundle and the tile of level 0 over the same leaves, each with what it outgrew. */
export type StoreChunk = { number: number; width: number; bundle: Held[]; tile: Held[] }

const read = async (
  store: Store,
  log: number,
  number: number,
  width: number,
  partials: Partials,
): Promise<StoreChunk> => {
  const [bundle, tile] = await Promise.all([
    heldOf(store, log, { kind: 'entries', index: number, width }, partials),
    heldOf(store, log, { kind: 'hashes', level: 0, index: number, width }, partials),
  ])
  return { number, width, bundle, tile }
}

/** Every chunk of a tree of `size` leaves, in order, as the store has it; some are read ahead. */
export const storeChunks = (
  store: Store,
  log: number,
  size: number,
  partials: Partials,
): AsyncGenerator<StoreChunk> => {
  function* reads() {
    for (let number = 0; number * chunkLeaves < size; number++) {
      const width = Math.min(chunkLeaves, size - number * chunkLeaves)
      yield async () => await read(store, log, number, width, partials)
    }
  }
  return readAhead(reads(), mostAhead)
}
