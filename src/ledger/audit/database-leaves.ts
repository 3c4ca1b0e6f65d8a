import type { EntryId } from '../../base/ids.ts'
import type { Db } from '../../engines/postgres.ts'
import { type ErasureNamed, examineBody, type Taken } from './body.ts'
import { chunkLeaves } from './chunk.ts'
import { bodiesOf, type LeafRow, leafDataOf, leafRows } from './database-queries.ts'
import { type Erasures, proveErasures } from './erasures.ts'
import type { Findings, Where } from './finding.ts'
import type { Lost } from './lost.ts'
import { readAhead } from './read-ahead.ts'

/** What one log holds, as it is counted on the way. */
export type Tally = { leaves: number; lost: number; erasedBodies: number; erasedParts: number }

/** Leaf data of a chunk as the database has it, up to 256; undefined where it has none. */
export type DatabaseChunk = { number: number; leaves: (Buffer | undefined)[] }

/** A whole number of chunks. */
const batchRows = 8 * chunkLeaves
const mostAhead = 3

type Batch = { rows: LeafRow[]; leaves: Map<EntryId, Buffer>; bodies: Awaited<ReturnType<typeof bodiesOf>> }

const load = async (db: Db, log: number, from: number, to: number): Promise<Batch> => {
  const rows = await leafRows(db, log, from, to, batchRows)
  const ids = rows.flatMap(({ entry }) => (entry === null ? [] : [entry]))
  const [leaves, bodies] = await Promise.all([leafDataOf(db, ids), bodiesOf(db, ids)])
  return { rows, leaves, bodies }
}

/**
 * Batches of leaves before `to`. Before `dense`, where there is one beside the other, some are read ahead; beyond, where there
 * may be anything, each is looked for after the last.
 */
async function* batches(db: Db, log: number, dense: number, to: number): AsyncGenerator<Batch> {
  function* ranges() {
    for (let from = 0; from < dense; from += batchRows)
      yield async () => await load(db, log, from, Math.min(from + batchRows, dense))
  }
  yield* readAhead(ranges(), mostAhead)
  for (let from = dense; from < to; ) {
    const batch = await load(db, log, from, to)
    const last = batch.rows.at(-1)
    if (last === undefined) return
    from = last.index + 1
    yield batch
  }
}

type Walk = { db: Db; log: number; findings: Findings; tally: Tally; lost: Lost }

/** Notes what is wrong with the bodies of entries, and gathers what they say of erasures. */
const examine = ({ log, findings, tally }: Walk, { rows, leaves, bodies }: Batch): Erasures => {
  const [named, taken]: [ErasureNamed[], Taken[]] = [[], []]
  for (const { index, entry } of rows) {
    const leaf = entry === null ? undefined : leaves.get(entry)
    if (entry === null || leaf === undefined) continue
    const examined = examineBody(entry, leaf, bodies.get(entry))
    for (const { kind, ...fault } of examined.faults) findings.note(kind, log, { index, entry, ...fault })
    if (examined.taken !== null) taken.push(examined.taken)
    for (const erasure of examined.named) {
      if (erasure.part === 'body') tally.erasedBodies += 1
      else tally.erasedParts += 1
      named.push(erasure)
    }
  }
  return { named, taken }
}

const prove = async ({ db, log, findings }: Walk, rows: LeafRow[], erasures: Erasures): Promise<void> =>
  await proveErasures(db, erasures, (kind, where) => {
    const index = rows.find(({ entry }) => entry === where.entry)?.index
    findings.note(kind, log, { ...(index === undefined ? {} : { index }), ...where })
  })

const leafOf = ({ findings, log, tally, lost }: Walk, { index, entry, lost: kept }: LeafRow, { leaves }: Batch) => {
  const leaf = entry === null ? (kept ?? undefined) : leaves.get(entry)
  const where: Where = { index, ...(entry === null ? {} : { entry }) }
  if (leaf === undefined) findings.note('entry-missing', log, where)
  else if (entry === null) {
    tally.lost += 1
    lost.take(index)
  }
  return leaf
}

/**
 * Walks over all leaves of a log before `to`, of which those before `dense` should all be there, chunk by chunk, and notes what
 * is wrong with them and their bodies. A chunk of which the database has no leaf at all is left out.
 */
export async function* databaseChunks(walk: Walk, dense: number, to: number): AsyncGenerator<DatabaseChunk> {
  let expected = 0
  let chunk: DatabaseChunk | undefined
  for await (const batch of batches(walk.db, walk.log, Math.min(dense, to), to)) {
    await prove(walk, batch.rows, examine(walk, batch))
    for (const row of batch.rows) {
      if (row.index > expected) walk.findings.note('leaf-missing', walk.log, { index: expected }, row.index - expected)
      expected = row.index + 1
      walk.tally.leaves += 1
      const number = Math.floor(row.index / chunkLeaves)
      if (chunk !== undefined && chunk.number !== number) yield chunk
      if (chunk?.number !== number) chunk = { number, leaves: [] }
      chunk.leaves[row.index % chunkLeaves] = leafOf(walk, row, batch)
    }
  }
  walk.lost.end()
  if (chunk !== undefined) yield chunk
}
