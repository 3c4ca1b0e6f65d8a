import type { EntryId } from '../../base/ids.ts'
import {
  consistencyPath,
  inclusionPath,
  leafHash,
  rootAt,
  verifyConsistency,
  verifyInclusion,
} from '../../base/merkle.ts'
import { Problem } from '../../base/problem.ts'
import { formatProof } from '../../base/tlog-proof.ts'
import type { Engines } from '../../engines/engines.ts'
import type { Db } from '../../engines/postgres.ts'
import { type Checkpoint, checkpointAt, newestCheckpoint } from './checkpoints.ts'
import { placesOfEntries } from './queries.ts'
import { madeOf } from './tree.ts'

type Reached = Pick<Engines, 'db' | 'store'>

/** Where an entry stands; `published`: a checkpoint covers it. */
export type Place = { origin: string; log: number; index: number; published: boolean }

/** Where entries stand in the log. Those that are no leaves yet are left out. */
export const placesOf = async (db: Db, entries: readonly EntryId[]): Promise<Map<EntryId, Place>> => {
  const rows = await placesOfEntries(db, entries)
  return new Map(
    rows.flatMap(({ entry, log, index, origin, published }) =>
      entry === null ? [] : [[entry, { origin, log, index, published: published !== null && published > index }]],
    ),
  )
}

const leafOf = async (db: Db, entry: EntryId): Promise<Buffer | undefined> =>
  (await db.selectFrom('entries').select('leaf').where('id', '=', entry).executeTakeFirst())?.leaf

/** The newest checkpoint over the leaf that a witness has seen, else the newest of all. */
const bestOver = async (db: Db, log: number, index: number): Promise<Checkpoint | undefined> => {
  const seen = await db
    .selectFrom('cosignatures')
    .select((eb) => eb.fn.max('size').as('size'))
    .where('log', '=', log)
    .where('size', '>', index)
    .executeTakeFirst()
  return seen?.size ? await checkpointAt(db, log, seen.size) : await newestCheckpoint(db, log)
}

/**
 * The proof that an entry is in the log (C2SP tlog-proof@v1), its `extra` line the leaf data; or that it is owed, since the
 * entry is not under a checkpoint yet. Throws Problem `not-found`, `log-damaged`, `store-unavailable`.
 */
export const proofOf = async ({ db, store }: Reached, entry: EntryId): Promise<{ proof: string } | { owed: true }> => {
  const leaf = await leafOf(db, entry)
  if (leaf === undefined) throw new Problem('not-found')
  const place = (await placesOf(db, [entry])).get(entry)
  if (place === undefined || !place.published) return { owed: true }
  const checkpoint = await bestOver(db, place.log, place.index)
  if (checkpoint === undefined) return { owed: true }
  const [path = []] = await pathsTo(store, checkpoint, [{ entry, index: place.index, leaf }])
  return { proof: formatProof({ extra: leaf, index: place.index, path, checkpoint: checkpoint.note }) }
}

const altered = (found: string): Problem =>
  new Problem(
    'log-damaged',
    `The log as it is stored ${found}: it was altered. An administrator has to run exhibit ledger audit, which says what to mend.`,
  )

type Leaf = { entry: EntryId; index: number; leaf: Buffer }

/** The path of each leaf to the root of the checkpoint: none is given out that does not lead there. */
const pathsTo = async (
  store: Engines['store'],
  checkpoint: Checkpoint,
  leaves: readonly Leaf[],
): Promise<Buffer[][]> => {
  const { size, root } = checkpoint
  let astray: EntryId | undefined
  const paths = await madeOf(
    store,
    checkpoint,
    async (hashAt) => {
      const made: Buffer[][] = []
      for (const { index } of leaves) made.push(await inclusionPath(index, size, hashAt))
      return made
    },
    (made) => {
      const isAstray = ({ index, leaf }: Leaf, n: number) =>
        !verifyInclusion({ index, size, leafHash: leafHash(leaf), path: made[n] ?? [], root })
      astray = leaves.find(isAstray)?.entry
      return astray === undefined
    },
  )
  if (paths !== undefined) return paths
  throw altered(`does not prove entry ${astray}`)
}

/** Proofs against one given checkpoint. Entries that it does not cover are left out. Throws `log-damaged`, `store-unavailable`. */
export const proofsAt = async (
  { db, store }: Reached,
  checkpoint: Checkpoint,
  entries: readonly EntryId[],
): Promise<Map<EntryId, string>> => {
  const places = await placesOf(db, entries)
  const leaves: Leaf[] = []
  for (const [entry, { log, index }] of places) {
    const leaf = log === checkpoint.log && index < checkpoint.size ? await leafOf(db, entry) : undefined
    if (leaf !== undefined) leaves.push({ entry, index, leaf })
  }
  const paths = await pathsTo(store, checkpoint, leaves)
  const proofIn = ({ index, leaf }: Leaf, n: number): string =>
    formatProof({ extra: leaf, index, path: paths[n] ?? [], checkpoint: checkpoint.note })
  return new Map(leaves.map((each, n) => [each.entry, proofIn(each, n)]))
}

/**
 * The root that the tree of a checkpoint had when it was of `old` leaves, and the path by which a witness sees that it grew out
 * of that. Throws `log-damaged` where the tiles do not make up the checkpoint: what they say would be taken for another
 * history.
 */
export const growthFrom = async (
  store: Engines['store'],
  { log, size, root }: Pick<Checkpoint, 'log' | 'size' | 'root'>,
  old: number,
): Promise<{ oldRoot: Buffer; path: Buffer[] }> => {
  const growth = await madeOf(
    store,
    { log, size },
    async (hashAt) => ({ oldRoot: await rootAt(old, hashAt), path: await consistencyPath(old, size, hashAt) }),
    ({ oldRoot, path }) => verifyConsistency({ oldSize: old, oldRoot, size, root, path }),
  )
  if (growth !== undefined) return growth
  throw altered(`does not make up its checkpoint of ${size} leaves`)
}
