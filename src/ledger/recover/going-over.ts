import type { Tx } from '../../engines/postgres.ts'
import { rebuild } from './leaves.ts'
import { makeTilesAgain } from './missing-tiles.ts'
import { NotRecovered } from './not-recovered.ts'
import { type Plan, type Recovering, refuseWrongTiles } from './plan.ts'
import { findOwed, indexOwed, insertLeaves } from './queries.ts'

/** Leaves, from the index `first` to `last`, both included. */
export type Range = { leaves: number; first?: number; last?: number }

const add = (range: Range, index: number): void => {
  range.leaves += 1
  range.first ??= index
  range.last = index
}

/**
 * Goes over the leaves up to the target once more: those that the database has not are taken out of the store, and tiles that
 * the store has not are made of them all.
 */
export const goOver = async (reached: Recovering, tx: Tx, plan: Plan, write: boolean): Promise<[Range, Range]> => {
  const missing: Range = { leaves: 0 }
  const lost: Range = { leaves: 0 }
  const { log, own, target, right } = plan
  if (target === undefined || (target.size <= own && plan.missing.size === 0)) return [missing, lost]
  await indexOwed(tx)
  const take = async (first: number, leaves: readonly Buffer[]): Promise<void> => {
    const found = await findOwed(tx, first, leaves)
    for (const { index, entry } of found) {
      add(missing, index)
      if (entry === null) add(lost, index)
    }
    if (write) await insertLeaves(tx, log.number, found)
  }
  const tiles = makeTilesAgain(reached.store, log.number, plan.missing)
  const again = await rebuild(
    { ...reached, db: tx },
    { log, own: Math.min(own, target.size), checkpoints: right, take, ...(write ? { takeChunk: tiles.add } : {}) },
  )
  if (again.reached !== target.size || again.right.length !== right.length)
    throw new NotRecovered('The store changed while it was read. Nothing was changed: run this again.')
  if (write && plan.missing.size > 0) {
    await tiles.end()
    await refuseWrongTiles(reached, log, target)
  }
  return [missing, lost]
}
