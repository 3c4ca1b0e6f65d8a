import type { Store } from '../../engines/store.ts'
import { type Chunk, chunkLeaves, chunkOf, chunkOfHashes } from './chunk.ts'
import type { DatabaseChunk } from './database-leaves.ts'
import type { Findings } from './finding.ts'
import { type Held, hashesIn, heldOf, leavesIn, type Partials, type StoreChunk } from './store-chunks.ts'
import type { UpperTile } from './upper-tiles.ts'

const hashBytes = 32

/** Where two rows of 32 bytes each first differ, within the shorter. */
const firstDifference = (a: Buffer, b: Buffer): number => {
  const rows = Math.floor(Math.min(a.length, b.length) / hashBytes)
  for (let n = 0; n < rows; n++)
    if (a.compare(b, n * hashBytes, (n + 1) * hashBytes, n * hashBytes, (n + 1) * hashBytes) !== 0) return n
  return -1
}

const startsWith = (whole: Buffer, start: Buffer): boolean => whole.subarray(0, start.length).equals(start)

const piecesOf = (bytes: Buffer): Buffer[] =>
  Array.from({ length: bytes.length / hashBytes }, (_, n) => bytes.subarray(n * hashBytes, (n + 1) * hashBytes))

/** The database's leaf data of the first `width` leaves of a chunk in one piece; null where one is missing. */
const leavesOf = (chunk: DatabaseChunk | undefined, width: number): Buffer | null => {
  if (chunk === undefined) return null
  const leaves: Buffer[] = []
  for (let n = 0; n < width; n++) {
    const leaf = chunk.leaves[n]
    if (leaf === undefined) return null
    leaves.push(leaf)
  }
  return Buffer.concat(leaves)
}

type Reach = { store: Store; log: number; findings: Findings; partials: Partials }

/** Notes every object that does not begin as `whole` does; `step` is how many leaves one item stands for. */
const compareHeld = (
  { log, findings }: Reach,
  kind: 'bundle-differs' | 'tile-differs',
  held: readonly Held[],
  whole: Buffer,
  place: { first: number; step: number },
): void => {
  const parse = kind === 'bundle-differs' ? leavesIn : hashesIn
  for (const { object, width, bytes } of held) {
    if (bytes === null) continue
    const items = parse(bytes, width)
    if (items !== null && startsWith(whole, items)) continue
    const at = items === null ? 0 : firstDifference(whole, items)
    findings.note(kind, log, { index: place.first + at * place.step, object })
  }
}

/** What is to be believed of a chunk in the store, after what is wrong with it was noted; null when nothing is. */
export const judgeChunk = (
  reach: Reach,
  { number, width, bundle, tile }: StoreChunk,
  database: DatabaseChunk | undefined,
  /** The hashes over the database's leaves of this chunk, where it has them all. */
  hashed: Chunk | null,
): Chunk | null => {
  const { log, findings } = reach
  const place = { first: number * chunkLeaves, step: 1 }
  const [entries, hashes] = [bundle[0], tile[0]]
  const data = entries?.bytes == null ? null : leavesIn(entries.bytes, width)
  const row = hashes?.bytes == null ? null : hashesIn(hashes.bytes, width)
  const known = leavesOf(database, width)
  if (entries?.bytes === null) findings.note('bundle-missing', log, { index: place.first, object: entries.object })
  if (hashes?.bytes === null) findings.note('tile-missing', log, { index: place.first, object: hashes.object })

  const ofKnown = known === null ? null : hashed?.width === width ? hashed : chunkOf(piecesOf(known))
  const same = data !== null && known !== null && data.equals(known)
  const ofData = same ? ofKnown : data === null ? null : chunkOf(piecesOf(data))
  const fits = (chunk: Chunk | null): boolean => row !== null && chunk?.levels[0]?.equals(row) === true

  // Of three that should agree, the one that stands alone is wrong.
  const believed = fits(ofData) || (ofData !== null && !fits(ofKnown)) ? ofData : ofKnown
  const whole = believed === ofData ? data : known
  if (whole !== null) compareHeld(reach, 'bundle-differs', bundle, whole, place)
  else if (entries?.bytes) findings.note('bundle-differs', log, { index: place.first, object: entries.object })
  const believedRow = believed?.levels[0] ?? row
  if (believedRow !== null) compareHeld(reach, 'tile-differs', tile, believedRow, place)
  if (believed === ofData && known !== null && data !== null && !same)
    findings.note('leaves-differ', log, { index: place.first + firstDifference(data, known) })
  if (believed !== null) return believed
  return row === null ? null : chunkOfHashes(row)
}

/** Holds a tile of an upper level against the store's. */
export const judgeUpper = async (reach: Reach, { level, index, width, row }: UpperTile): Promise<void> => {
  const { store, log, partials, findings } = reach
  const held = await heldOf(store, log, { kind: 'hashes', level, index, width }, partials)
  const step = chunkLeaves ** level
  const first = index * chunkLeaves * step
  const [needed] = held
  if (needed?.bytes === null) findings.note('tile-missing', log, { index: first, object: needed.object })
  compareHeld(reach, 'tile-differs', held, row, { first, step })
}
