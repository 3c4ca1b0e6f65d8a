import type { EntryId } from '../../base/ids.ts'
import { inclusionPath } from '../../base/merkle.ts'
import { Problem } from '../../base/problem.ts'
import { formatProof } from '../../base/tlog-proof.ts'
import type { Engines } from '../../engines/engines.ts'
import type { Db } from '../../engines/postgres.ts'
import { type Checkpoint, checkpointAt, newestCheckpoint } from './checkpoints.ts'
import { placesOfEntries } from './queries.ts'
import { hashesOf } from './tree.ts'

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
 * entry is not under a checkpoint yet. Throws Problem `not-found`, `store-unavailable`.
 */
export const proofOf = async ({ db, store }: Reached, entry: EntryId): Promise<{ proof: string } | { owed: true }> => {
  const leaf = await leafOf(db, entry)
  if (leaf === undefined) throw new Problem('not-found')
  const place = (await placesOf(db, [entry])).get(entry)
  if (place === undefined || !place.published) return { owed: true }
  const checkpoint = await bestOver(db, place.log, place.index)
  if (checkpoint === undefined) return { owed: true }
  return { proof: await proofAt(store, checkpoint, place.index, leaf) }
}

const proofAt = async (
  store: Engines['store'],
  checkpoint: Checkpoint,
  index: number,
  leaf: Buffer,
): Promise<string> => {
  const { log, size, note } = checkpoint
  const path = await inclusionPath(index, size, hashesOf(store, log, size))
  return formatProof({ extra: leaf, index, path, checkpoint: note })
}

/** Proofs against one given checkpoint. Entries that it does not cover are left out. Throws `store-unavailable`. */
export const proofsAt = async (
  { db, store }: Reached,
  checkpoint: Checkpoint,
  entries: readonly EntryId[],
): Promise<Map<EntryId, string>> => {
  const places = await placesOf(db, entries)
  const proofs = new Map<EntryId, string>()
  const hashAt = hashesOf(store, checkpoint.log, checkpoint.size)
  for (const [entry, { log, index }] of places) {
    const leaf = log === checkpoint.log && index < checkpoint.size ? await leafOf(db, entry) : undefined
    if (leaf === undefined) continue
    const path = await inclusionPath(index, checkpoint.size, hashAt)
    proofs.set(entry, formatProof({ extra: leaf, index, path, checkpoint: checkpoint.note }))
  }
  return proofs
}
