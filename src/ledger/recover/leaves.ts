import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Db } from '../../engines/postgres.ts'
import type { Store } from '../../engines/store.ts'
import { type Chunk, chunkLeaves, chunkOf, makeFrontier } from '../audit/chunk.ts'
import { leafDataOf, leafRows } from '../audit/database-queries.ts'
import { readAhead } from '../audit/read-ahead.ts'
import { leavesIn } from '../audit/store-chunks.ts'
import { tileBytes } from '../log/tree.ts'
import type { Known } from './known.ts'
import { NotRecovered } from './not-recovered.ts'

const leafBytes = 32
const batchRows = 8 * chunkLeaves
const mostAhead = 16

type Reached = { db: Db; store: Store }

/** Leaf data in the database from 0 up to `to`, in pieces. Throws NotRecovered where one is missing. */
async function* ownLeaves({ db }: Reached, { number }: LogRow, to: number): AsyncGenerator<Buffer[]> {
  for (let from = 0; from < to; ) {
    const rows = await leafRows(db, number, from, to, batchRows)
    const data = await leafDataOf(
      db,
      rows.flatMap(({ entry }) => (entry === null ? [] : [entry])),
    )
    const leaves = rows.map(({ index, entry, lost }, n) => {
      const leaf = entry === null ? lost : data.get(entry)
      if (leaf !== undefined && leaf !== null && index === from + n) return leaf
      throw new NotRecovered(
        `Leaf ${from + n} of the log or its entry is missing in the database, between others. Nothing was changed. Run \`exhibit ledger audit\`.`,
      )
    })
    if (leaves.length === 0)
      throw new NotRecovered(
        `Leaf ${from} of the log is missing in the database. Nothing was changed. Run \`exhibit ledger audit\`.`,
      )
    yield leaves
    from += leaves.length
  }
}

/** The widths at which the entry bundle of a chunk may lie in the store: of the largest checkpoint, else of a smaller one. */
const widthsOf = (number: number, sizes: readonly number[]): number[] => {
  const widths = sizes.map((size) => Math.min(chunkLeaves, size - number * chunkLeaves)).filter((width) => width > 0)
  return [...new Set(widths)].toSorted((a, b) => b - a)
}

const bundleLeaves = async (
  { store }: Reached,
  log: number,
  number: number,
  sizes: readonly number[],
): Promise<Buffer[]> => {
  for (const width of widthsOf(number, sizes)) {
    const bytes = await tileBytes(store, log, { kind: 'entries', index: number, width })
    const data = bytes === null ? null : leavesIn(bytes, width)
    if (data !== null) return Array.from({ length: width }, (_, n) => data.subarray(n * leafBytes, (n + 1) * leafBytes))
  }
  return []
}

/** Leaf data out of the entry bundles from `from` on, chunk by chunk, as far as there are any. */
async function* storedLeaves(
  reached: Reached,
  { number: log }: LogRow,
  from: number,
  sizes: readonly number[],
): AsyncGenerator<Buffer[]> {
  const end = Math.max(0, ...sizes)
  function* reads() {
    for (let number = Math.floor(from / chunkLeaves); number * chunkLeaves < end; number++)
      yield async () => ({ number, leaves: await bundleLeaves(reached, log, number, sizes) })
  }
  for await (const { number, leaves } of readAhead(reads(), mostAhead)) {
    const fresh = leaves.slice(Math.max(0, from - number * chunkLeaves))
    if (fresh.length > 0) yield fresh
    if (leaves.length < chunkLeaves) return
  }
}

/** Leaves one after the other, cut into chunks of 256 from 0 on; the last may be shorter. */
async function* inChunks(pieces: AsyncIterable<Buffer[]>): AsyncGenerator<Buffer[]> {
  let chunk: Buffer[] = []
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const room = chunkLeaves - chunk.length
      chunk.push(...piece.slice(at, at + room))
      at += room
      if (chunk.length < chunkLeaves) continue
      yield chunk
      chunk = []
    }
  }
  if (chunk.length > 0) yield chunk
}

async function* oneAfterTheOther(...all: AsyncIterable<Buffer[]>[]): AsyncGenerator<Buffer[]> {
  for (const pieces of all) yield* pieces
}

export type Rebuilt = {
  /** How far the leaves go. */
  reached: number
  /** The checkpoints that the leaves make up, and those that they contradict; the rest go further. */
  right: Known[]
  wrong: Known[]
}

type Rebuild = {
  log: LogRow
  /** So many leaves the database has. */
  own: number
  /** The smallest first. */
  checkpoints: readonly Known[]
  /** Takes those that it has not: `first` is the index of the first of them. */
  take?: (first: number, leaves: Buffer[]) => Promise<void>
  /** Takes every chunk, with the leaf data in it. */
  takeChunk?: (chunk: Chunk, leaves: Buffer[]) => Promise<void>
  /** Told how far it is. */
  moved?: (leaves: number) => void
}

/** Builds the tree of the database's leaves and, after those, the store's, and holds it against every checkpoint. */
export const rebuild = async (
  reached: Reached,
  { log, own, checkpoints, take, takeChunk, moved }: Rebuild,
): Promise<Rebuilt> => {
  const sizes = checkpoints.map(({ size }) => size)
  const frontier = makeFrontier()
  const rebuilt: Rebuilt = { reached: 0, right: [], wrong: [] }
  const compare = (chunk: Chunk): void => {
    const start = rebuilt.reached
    for (const known of checkpoints) {
      if (known.size <= start || known.size > start + chunk.width) continue
      const isRight = frontier.rootWith(chunk, known.size - start).equals(known.root)
      ;(isRight ? rebuilt.right : rebuilt.wrong).push(known)
    }
  }
  const leaves = oneAfterTheOther(ownLeaves(reached, log, own), storedLeaves(reached, log, own, sizes))
  for await (const data of inChunks(leaves)) {
    const chunk = chunkOf(data)
    compare(chunk)
    if (chunk.width === chunkLeaves) frontier.add(chunk)
    await takeChunk?.(chunk, data)
    const start = rebuilt.reached
    rebuilt.reached += data.length
    if (rebuilt.reached > own) await take?.(Math.max(own, start), data.slice(Math.max(0, own - start)))
    moved?.(rebuilt.reached)
  }
  return rebuilt
}

/** The first leaf that the database and the store have differently; undefined where none is. */
export const firstDifference = async (
  reached: Reached,
  log: LogRow,
  own: number,
  sizes: readonly number[],
): Promise<number | undefined> => {
  const stored = inChunks(storedLeaves(reached, log, 0, sizes))
  let start = 0
  for await (const ours of inChunks(ownLeaves(reached, log, own))) {
    const { value: theirs = [] } = await stored.next()
    const at = ours.findIndex((leaf, n) => theirs[n] !== undefined && !leaf.equals(theirs[n]))
    if (at !== -1) return start + at
    start += ours.length
  }
  return undefined
}
