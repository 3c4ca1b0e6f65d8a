import { openCheckpoint } from '../../base/checkpoint.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Db } from '../../engines/postgres.ts'
import type { Store } from '../../engines/store.ts'
import { logKeyOf } from '../log/log.ts'
import { type PublishedNote, storedNotes, witnessedNotes } from '../log/published.ts'
import { numberedSize } from '../log/queries.ts'
import { type Chunk, chunkLeaves, chunkOf, type Frontier, makeFrontier } from './chunk.ts'
import { type Claim, type Claims, claimsOf, rowClaims, together } from './claims.ts'
import { type DatabaseChunk, databaseChunks, type Tally } from './database-leaves.ts'
import { newestCheckpointBefore, witnessedSizes } from './database-queries.ts'
import type { Findings } from './finding.ts'
import type { End } from './followed.ts'
import { checkLost } from './lost.ts'
import { listPartials, storeChunks } from './store-chunks.ts'
import { judgeChunk, judgeUpper } from './store-tree.ts'
import { makeUpperTiles } from './upper-tiles.ts'
import { checkCosignatures, type Given, givenClaims, storedClaims } from './witnessed.ts'

export type Reached = { db: Db; store: Store }

/** A log as it was audited. */
export type AuditedLog = Tally & {
  log: number
  origin: string
  /** Leaves of the newest published checkpoint, and its root in hex; null before the first. */
  size: number
  root: string | null
  /** Of checkpoints, and of cosignatures, how many were verified. */
  checkpoints: number
  cosignatures: number
  /** Whether the leaves in the database, and those in the store, make up every checkpoint that they were held against. */
  database: boolean
  store: boolean
  /** Why the log was left unfinished, where it was. */
  abandoned?: string
}

/** What there is of a log at the start, read in such an order that nothing that goes on meanwhile looks like a loss. */
export type Standing = {
  log: LogRow
  seen: { witness: string; size: number }[]
  /** By the witnesses themselves. */
  shown: Claim[]
  witnessed: PublishedNote[]
  /** The newest that the log signed, and the sizes of those beyond it, which it did not. */
  published: { size: number; root: Buffer } | undefined
  unsigned: number[]
  stored: PublishedNote[]
  numbered: number
  end: End
}

/** Where so many in a row are not signed, the key is another one: it is not looked for any further. */
const mostUnsigned = 100

/** A size that nobody signed is no size to go up to. */
const newestSigned = async (db: Db, log: LogRow): Promise<Pick<Standing, 'published' | 'unsigned'>> => {
  const key = logKeyOf(log)
  const unsigned: number[] = []
  while (unsigned.length < mostUnsigned) {
    const row = await newestCheckpointBefore(db, log.number, unsigned.at(-1))
    if (row === undefined) break
    if (openCheckpoint(row.note, key)?.size === row.size) return { published: row, unsigned }
    unsigned.push(row.size)
  }
  return { published: undefined, unsigned }
}

/** What is known elsewhere first, then what that follows from. */
export const standingOf = async (
  { db, store }: Reached,
  { log, shown, end }: Pick<Standing, 'log' | 'shown' | 'end'>,
): Promise<Standing> => {
  const seen = await witnessedSizes(db, log.number)
  const witnessed = await witnessedNotes(store, log)
  const { published, unsigned } = await newestSigned(db, log)
  const stored = await storedNotes(store, log)
  const numbered = await numberedSize(db, log.number)
  return { log, seen, shown, witnessed, published, unsigned, stored, numbered, end }
}

const largest = (notes: readonly PublishedNote[]): number => Math.max(0, ...notes.map(({ head }) => head?.size ?? 0))

/**
 * So many leaves there have to be. Of a log that was left as it stood more may have been published than was known here; what
 * goes beyond its last checkpoint is known to be gone.
 */
const owedLeaves = ({ published, stored, end: { last, abandoned } }: Standing): number => {
  const known = Math.max(published?.size ?? 0, ...last.map(({ size }) => size))
  return abandoned === undefined ? Math.max(known, largest(stored)) : known
}

/** Of what is claimed to be larger than what is there. */
const compareSizes = (standing: Standing, given: readonly Claim[], findings: Findings): void => {
  const { log, seen, shown, witnessed, published, stored, numbered, end } = standing
  const size = published?.size ?? 0
  const all = owedLeaves(standing)
  if (largest(stored) < size) findings.note('stored-checkpoint-missing', log.number, { size })
  if (all > numbered) {
    const where = { index: numbered, size: all, says: `the database has ${numbered}` }
    findings.note('database-behind', log.number, where, all - numbered)
  }
  if (log.toAt !== null && numbered > size)
    findings.note('leaves-unpublished', log.number, { index: size }, numbered - size)
  if (end.abandoned !== undefined) return
  for (const { key, head } of witnessed)
    if (head !== null && head.size > all) findings.note('witnessed-ahead', log.number, { size: head.size, object: key })
  for (const { witness, size: theirs } of seen)
    if (theirs > all) findings.note('witnessed-ahead', log.number, { size: theirs, object: witness })
  for (const { object, size: theirs } of shown)
    if (theirs > all) findings.note('witnessed-ahead', log.number, { size: theirs, object })
  for (const claim of given)
    if (claim.size > all) findings.note('given-ahead', log.number, { size: claim.size, object: claim.object })
}

/** A tree that is rebuilt and held against what is claimed of it. */
const makeTree = (claims: Claims, wrong: (claim: Claim) => void) => {
  const frontier: Frontier = makeFrontier()
  let whole = true
  let compared = 0
  let failed = 0
  return {
    /** The next chunk, from the leaf `start` on; null where it is not known in full. */
    add: async (chunk: Chunk | null, start: number): Promise<void> => {
      if (chunk === null) whole = false
      // What is claimed is read all the same: it is verified by that.
      const due = await claims.upTo(start + (chunk?.width ?? chunkLeaves))
      if (!whole || chunk === null) return
      for (const claim of due) {
        compared += 1
        if (frontier.rootWith(chunk, claim.size - start).equals(claim.root)) continue
        failed += 1
        wrong(claim)
      }
      if (chunk.width === chunkLeaves) frontier.add(chunk)
    },
    /** What is claimed of a larger tree, up to `size` leaves, is not compared. */
    end: async (size: number): Promise<void> => void (await claims.upTo(size)),
    compared: () => compared,
    fits: () => whole && failed === 0,
  }
}

/** Null unless the first `width` leaves are all there, and no more. */
const hashedOf = (chunk: DatabaseChunk | undefined, width: number): Chunk | null => {
  const leaves = (chunk?.leaves ?? []).filter((leaf) => leaf !== undefined)
  return leaves.length === width && chunk?.leaves.length === width ? chunkOf(leaves) : null
}

/** Chunks by their numbers, which only grow. */
const byNumber = (chunks: AsyncGenerator<DatabaseChunk>) => {
  let next: DatabaseChunk | undefined
  let ended = false
  return {
    take: async (number: number): Promise<DatabaseChunk | undefined> => {
      while (!ended && (next === undefined || next.number < number)) {
        const { value, done } = await chunks.next()
        ended = done === true
        next = done === true ? undefined : value
      }
      return next?.number === number ? next : undefined
    },
    drain: async (moved: (number: number) => void): Promise<void> => {
      for await (const { number } of chunks) moved(number)
    },
  }
}

export type LogAudit = Reached & {
  standing: Standing
  given: readonly Given[]
  findings: Findings
  /** Told how many leaves are done. */
  moved: (leaves: number) => void
}

/** Audits one log: its leaves in the database with their bodies, what the store holds, and what both were published as. */
export const auditLog = async ({ db, store, standing, given, findings, moved }: LogAudit): Promise<AuditedLog> => {
  const { log, published, unsigned, stored, witnessed, numbered, end } = standing
  const { number } = log
  const key = logKeyOf(log)
  const size = published?.size ?? 0
  const outside = givenClaims(given, key)
  compareSizes(standing, outside, findings)
  for (const at of unsigned) findings.note('checkpoint-unsigned', number, { size: at })
  if (log.halted !== null && log.toAt === null) findings.note('log-halted', number, { says: log.halted })

  const seen = [...storedClaims(number, witnessed, 'witnessed', findings), ...standing.shown]
  const held = storedClaims(number, stored, 'stored-checkpoint', findings)
  const wrong = ({ kind, object, size: at }: Claim): void => findings.note(kind, number, { size: at, object })
  const inDatabase = makeTree(
    together(rowClaims(db, number, key, size, findings), claimsOf([...held, ...seen, ...outside, ...end.last])),
    wrong,
  )
  const own: Claim[] = published === undefined ? [] : [{ kind: 'store-root', object: 'checkpoints', ...published }]
  const asStore = [...held, ...end.last].map((claim): Claim => ({ ...claim, kind: 'store-root' }))
  const ofStore = [...own, ...asStore, ...seen, ...outside]
  const inStore = makeTree(claimsOf(ofStore), wrong)

  const owed = owedLeaves(standing)
  const cosignatures = await checkCosignatures(db, log, findings)
  const partials = await listPartials(store, number, findings)
  const reach = { store, log: number, findings, partials }
  const upper = makeUpperTiles(async (tile) => await judgeUpper(reach, tile))
  const tally: Tally = { leaves: 0, lost: 0, erasedBodies: 0, erasedParts: 0 }
  const database = byNumber(
    databaseChunks({ db, log: number, findings, tally, lost: await checkLost(db, log, findings) }, owed, numbered),
  )
  let upperWhole = true
  for await (const chunk of storeChunks(store, number, owed, partials)) {
    const start = chunk.number * chunkLeaves
    const kept = await database.take(chunk.number)
    const hashed = hashedOf(kept, Math.min(chunkLeaves, numbered - start))
    await inDatabase.add(hashed, start)
    const believed = judgeChunk(reach, chunk, kept, hashed)
    await inStore.add(believed, start)
    if (believed === null) upperWhole = false
    if (upperWhole && believed?.width === chunkLeaves) await upper.add(believed)
    moved(Math.min(start + chunkLeaves, numbered))
  }
  if (upperWhole) await upper.end()
  await inDatabase.end(size)
  await database.drain((last) => moved(Math.min((last + 1) * chunkLeaves, numbered)))
  return {
    ...{ log: number, origin: log.origin, size, root: published?.root.toString('hex') ?? null },
    ...{ checkpoints: inDatabase.compared(), cosignatures, ...tally },
    ...{ database: inDatabase.fits() && numbered >= owed, store: inStore.fits() },
    ...(end.abandoned === undefined ? {} : { abandoned: end.abandoned }),
  }
}
