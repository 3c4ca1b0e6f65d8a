import { type HashAt, nodeHash } from '../../base/merkle.ts'
import { type Tile, tilePath } from '../../base/tiles.ts'
import type { Store } from '../../engines/store.ts'

const hashBytes = 32
const tileWidth = 256
/** Full tiles never change. 2,048 of them are 16 MiB, and reach over 500,000 leaves. */
const mostKept = 2048

/** The store does not hold what a published checkpoint stands on. */
class TileMissing extends Error {
  readonly path: string
  constructor(path: string) {
    super(`the store does not hold ${path} of the log as it was published`)
    this.name = 'TileMissing'
    this.path = path
  }
}

const keptTiles = new WeakMap<object, Map<string, Buffer>>()

const keptOf = (store: object): Map<string, Buffer> => {
  const kept = keptTiles.get(store) ?? new Map<string, Buffer>()
  keptTiles.set(store, kept)
  return kept
}

export const logKey = (log: number, path: string): string => `${log}/${path}`

/**
 * The bytes of a tile, cut to its width: a partial one that is superseded is read out of the full one. Null when the store
 * has neither. `bytesOf` says how long the first `width` items of a longer tile are.
 */
const readTile = async (store: Store, log: number, tile: Tile): Promise<Buffer | null> => {
  const kept = keptOf(store)
  const full = logKey(log, tilePath({ ...tile, width: tileWidth }))
  const known = kept.get(full)
  if (known !== undefined) return known
  const partial = tile.width < tileWidth ? await store.readWhole('ledger', logKey(log, tilePath(tile))) : null
  if (partial !== null) return partial
  const whole = await store.readWhole('ledger', full)
  if (whole !== null && tile.kind === 'hashes') {
    kept.set(full, whole)
    for (const [oldest] of kept) {
      if (kept.size <= mostKept) break
      kept.delete(oldest)
    }
  }
  return whole
}

const cut = (tile: Tile, bytes: Buffer): Buffer | null => {
  if (tile.kind === 'hashes') {
    const end = tile.width * hashBytes
    return bytes.length >= end && bytes.length % hashBytes === 0 ? bytes.subarray(0, end) : null
  }
  let end = 0
  for (let n = 0; n < tile.width; n++) {
    if (end + 2 > bytes.length) return null
    end += 2 + bytes.readUInt16BE(end)
  }
  return end <= bytes.length ? bytes.subarray(0, end) : null
}

/** A tile or entry bundle as C2SP tlog-tiles has it. Null when the store does not hold it. */
export const tileBytes = async (store: Store, log: number, tile: Tile): Promise<Buffer | null> => {
  const bytes = await readTile(store, log, tile)
  return bytes === null ? null : cut(tile, bytes)
}

/** The hashes of a published tree of `size` leaves, out of its tiles. Throws TileMissing and `store-unavailable`. */
export const hashesOf = (store: Store, log: number, size: number): HashAt => {
  const read = new Map<string, Promise<Buffer>>()
  const tile = (level: number, index: number): Promise<Buffer> => {
    const width = Math.min(tileWidth, Math.floor(size / tileWidth ** level) - index * tileWidth)
    const wanted: Tile = { kind: 'hashes', level, index, width }
    const path = tilePath(wanted)
    const reading =
      read.get(path) ??
      tileBytes(store, log, wanted).then((bytes) => {
        if (bytes === null) throw new TileMissing(path)
        return bytes
      })
    read.set(path, reading)
    return reading
  }
  return async (level, index) => await subtree(level, index, tile)
}

/** The hash of a complete subtree out of a row of the tile that has it, or has what is below it. */
const subtree = async (
  level: number,
  index: number,
  tile: (level: number, index: number) => Promise<Buffer>,
): Promise<Buffer> => {
  const below = level % 8
  const first = index * 2 ** below
  const bytes = await tile((level - below) / 8, Math.floor(first / tileWidth))
  const at = first % tileWidth
  let row = Array.from({ length: 2 ** below }, (_, n) => {
    const hash = bytes.subarray((at + n) * hashBytes, (at + n + 1) * hashBytes)
    if (hash.length !== hashBytes) throw new RangeError('the tree has no such subtree')
    return hash
  })
  while (row.length > 1) row = row.flatMap((left, n) => (n % 2 === 0 ? [nodeHash(left, row[n + 1] ?? left)] : []))
  const [hash] = row
  if (hash === undefined) throw new RangeError('the tree has no such subtree')
  return hash
}
