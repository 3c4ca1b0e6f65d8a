import { rootAt } from '../../base/merkle.ts'
import type { Engines } from '../../engines/engines.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Db, Tx } from '../../engines/postgres.ts'
import type { Given } from '../audit/witnessed.ts'
import { allLogs, currentLog } from '../log/log.ts'
import { newestCheckpointRow, numberedSize } from '../log/queries.ts'
import { hashesOf, logKey } from '../log/tree.ts'
import { allKnown, type Known } from './known.ts'
import { firstDifference, rebuild } from './leaves.ts'
import { leftoversOf } from './leftovers.ts'
import { missingTiles } from './missing-tiles.ts'
import { NotRecovered } from './not-recovered.ts'

/** `db` is the owner's: the application may write no leaf. */
export type Recovering = Pick<Engines, 'clock' | 'config' | 'db' | 'store'>

/** What was found out of a log and everybody who knows of it. */
export type Plan = {
  log: LogRow
  /** Leaves that the database has. */
  own: number
  /** Of the newest checkpoint in the database. */
  published: number
  /** The largest checkpoint that the leaves in the database and in the store make up; undefined where there is none at all. */
  target: Known | undefined
  /** Those that they make up, the smallest first. */
  right: Known[]
  /** Paths of tiles of its tree that the store does not hold. */
  missing: Set<string>
  /** Objects that were written for a checkpoint which never came. */
  leftovers: string[]
  /** Why the log stays halted whatever is done. */
  stays: string | null
  /** Witnesses that did not show what they have seen. */
  unasked: string[]
}

export const logToRecover = async (db: Db): Promise<LogRow> => {
  const log = await currentLog(db)
  if (log !== undefined) return log
  throw new NotRecovered('This database has no log yet: a worker begins it when it first starts. Nothing was changed.')
}

const refuseUnknownLog = async ({ store }: Recovering, db: Db): Promise<void> => {
  const next = Math.max(...(await allLogs(db)).map(({ number }) => number)) + 1
  if ((await store.list('ledger', logKey(next, ''))).length === 0) return
  throw new NotRecovered(
    `The store holds log ${next}, of which this database knows nothing: it is older than the last change of the log’s key. Nothing was changed. Restore a newer backup; if there is none, begin a new log: exhibit keys rotate --use log --abandon '<why>'.`,
  )
}

/** Refuses where a checkpoint is not made up by what is there: whatever was done then would hide it. */
const refuseWrong = async (
  reached: Recovering,
  { log, own }: Pick<Plan, 'log' | 'own'>,
  wrong: readonly Known[],
  sizes: readonly number[],
): Promise<void> => {
  const [first] = wrong
  if (first === undefined) return
  const at = await firstDifference(reached, log, own, sizes)
  const why =
    at === undefined
      ? 'The database and the store agree as far as both go, and do not make it up.'
      : `The database and the store differ from leaf ${at} on: one of them was altered, or the log has two histories.`
  throw new NotRecovered(
    `${first.holder} holds another root of the first ${first.size} leaves. ${why} Nothing was changed. Run exhibit ledger audit.`,
  )
}

/** The log goes on from the hash tiles at its edge. */
export const refuseWrongTiles = async (
  { store }: Recovering,
  { number }: LogRow,
  { size, root }: Known,
): Promise<void> => {
  const found = await rootAt(size, hashesOf(store, number, size))
  if (found.equals(root)) return
  throw new NotRecovered(
    `Hash tiles in the store do not make up the checkpoint of ${size} leaves. Nothing was changed. Run exhibit ledger audit, keep a copy of the tiles that it names and delete them: then this makes them again.`,
  )
}

/** Nobody can make again what neither the database nor the store has. */
const staysFor = (target: number, furthest: Known | undefined): string | null =>
  furthest === undefined || furthest.size <= target
    ? null
    : `${furthest.holder} holds a checkpoint of ${furthest.size} leaves that this log signed; the database and the store together have ${target}. ` +
      'What is missing cannot be made again, and whatever this log went on with would contradict that checkpoint: it stays halted. ' +
      'Restore a newer backup of the bucket or of the database, if there is one. Otherwise begin a new log, whose first leaf names the last checkpoint of this one: ' +
      "exhibit keys rotate --use log --abandon '<why>'."

/**
 * Builds the tree of the database's leaves and the store's, and holds it against every checkpoint that anybody holds. Changes
 * nothing. Throws NotRecovered, `store-unavailable`.
 */
export const makePlan = async (
  engines: Recovering,
  tx: Tx,
  log: LogRow,
  given: readonly Given[],
  moved: (leaves: number, of: number) => void,
): Promise<Plan> => {
  const reached = { ...engines, db: tx }
  await refuseUnknownLog(engines, tx)
  const { checkpoints, unasked } = await allKnown(reached, log, given)
  const own = await numberedSize(tx, log.number)
  const published = (await newestCheckpointRow(tx, log.number))?.size ?? 0
  const sizes = checkpoints.map(({ size }) => size)
  const of = Math.max(own, ...sizes)
  const { right, wrong } = await rebuild(reached, { log, own, checkpoints, moved: (leaves) => moved(leaves, of) })
  await refuseWrong(reached, { log, own }, wrong, sizes)
  const target = right.at(-1)
  const missing = await missingTiles(engines.store, log.number, target?.size ?? 0)
  if (target !== undefined && missing.size === 0) await refuseWrongTiles(engines, log, target)
  const stays = staysFor(Math.max(target?.size ?? 0, own), checkpoints.at(-1))
  const isFree = stays === null && (log.halted !== null || (target?.size ?? 0) > own)
  const leftovers = isFree ? await leftoversOf(engines.store, log.number, Math.max(published, target?.size ?? 0)) : []
  return { log, own, published, target, right, missing, leftovers, stays, unasked }
}
