import { type HashAt, nodeHash } from '../../base/merkle.ts'
import { Problem } from '../../base/problem.ts'
import { type Tile, tilePath } from '../../base/tiles.ts'
import type { Store } from '../../engines/store.ts'

const hashBytes = 32
const tileWidth = 256
const tileLength = tileWidth * hashBytes
/** Full tiles never change where nobody alters them. 2,048 of them are 16 MiB, and reach over 500,000 leaves. */
const mostKept = 2048

/** Where the store does not hold what a published checkpoint stands on. */
export const tileLost = (path: string): Problem =>
  new Problem(
    'log-damaged',
    `The store of the log has lost ${path}, or a part of it. An administrator has to run exhibit ledger recover, which makes it again.`,
  )

const keptTiles = new WeakMap<object, Map<string, Buffer>>()

const keptOf = (store: object): Map<string, Buffer> => {
  const kept = keptTiles.get(store) ?? new Map<string, Buffer>()
  keptTiles.set(store, kept)
  return kept
}

export const logKey = (log: number, path: string): string => `${log}/${path}`

const keep = (kept: Map<string, Buffer>, key: string, whole: Buffer): void => {
  kept.set(key, whole)
  for (const [oldest] of kept) {
    if (kept.size <= mostKept) break
    kept.delete(oldest)
  }
}

const forgetTiles = (store: Store, log: number): void => {
  const kept = keptOf(store)
  for (const key of kept.keys()) if (key.startsWith(logKey(log, ''))) kept.delete(key)
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

/** `kept`: tiles that need not be read, and where full ones are kept that were. */
const readTile = async (
  store: Store,
  log: number,
  tile: Tile,
  kept = new Map<string, Buffer>(),
): Promise<Buffer | null> => {
  const full = logKey(log, tilePath({ ...tile, width: tileWidth }))
  const known = kept.get(full)
  if (known !== undefined) return cut(tile, known)
  const partial = tile.width < tileWidth ? await store.readWhole('ledger', logKey(log, tilePath(tile))) : null
  const bytes = partial ?? (await store.readWhole('ledger', full))
  if (partial === null && bytes?.length === tileLength) keep(kept, full, bytes)
  return bytes === null ? null : cut(tile, bytes)
}

/**
 * A tile or entry bundle as C2SP tlog-tiles has it, out of the store as it is now; a partial one that is superseded is read
 * out of the full one. Null when the store does not hold it.
 */
export const tileBytes = async (store: Store, log: number, tile: Tile): Promise<Buffer | null> =>
  await readTile(store, log, tile)

/**
 * The hashes of a published tree of `size` leaves, out of its tiles. What is made of them may not hold: see `madeOf`.
 * Throws `log-damaged`, `store-unavailable`.
 */
export const hashesOf = (store: Store, log: number, size: number): HashAt => {
  const read = new Map<string, Promise<Buffer>>()
  const tile = (level: number, index: number): Promise<Buffer> => {
    const width = Math.min(tileWidth, Math.floor(size / tileWidth ** level) - index * tileWidth)
    const wanted: Tile = { kind: 'hashes', level, index, width }
    const path = tilePath(wanted)
    const reading =
      read.get(path) ??
      readTile(store, log, wanted, keptOf(store)).then((bytes) => {
        if (bytes === null) throw tileLost(path)
        return bytes
      })
    read.set(path, reading)
    return reading
  }
  return async (level, index) => await subtree(level, index, tile)
}

/**
 * What `make` makes of the hashes of a published tree; undefined where it does not hold. A kept tile may be one that was
 * altered in the store and has been mended since: so it is made once more, of what the store has now. Throws `log-damaged`,
 * `store-unavailable`.
 */
export const madeOf = async <Made>(
  store: Store,
  { log, size }: { log: number; size: number },
  make: (hashAt: HashAt) => Promise<Made>,
  holds: (made: Made) => boolean,
): Promise<Made | undefined> => {
  const made = await make(hashesOf(store, log, size))
  if (holds(made)) return made
  forgetTiles(store, log)
  const again = await make(hashesOf(store, log, size))
  return holds(again) ? again : undefined
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
