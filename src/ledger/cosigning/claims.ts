import { openCheckpoint } from '../../base/checkpoint.ts'
import { rootAt } from '../../base/merkle.ts'
import type { Engines } from '../../engines/engines.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { ConfiguredWitness } from '../../engines/witness-list.ts'
import { logKeyOf } from '../log/log.ts'
import { halt, newestCheckpointRow, numberedSize } from '../log/queries.ts'
import { hashesOf } from '../log/tree.ts'
import { servedBy, WitnessFailed } from './exchange.ts'

type Reached = Pick<Engines, 'db' | 'log' | 'store'>

const stop = async ({ db, log }: Reached, of: LogRow, why: string): Promise<'halted'> => {
  await halt(db, of.number, why)
  log.error({ log: of.origin }, why)
  return 'halted'
}

/**
 * Looks at the checkpoint that a witness serves, when it says that ours does not fit what it has seen. Only what this log
 * itself signed halts the log: on its word alone any witness could stop it. Answers `halted` with the log halted, in words;
 * `unshown` when the witness has nothing that says so; `later` when what it shows is about to be published here.
 */
export const lookAtClaim = async (
  engines: Reached,
  of: LogRow,
  witness: ConfiguredWitness,
  signal: AbortSignal,
): Promise<'halted' | 'later' | 'unshown'> => {
  const { db, store } = engines
  const served = await servedBy(witness, of.origin, signal).catch((error: unknown) => {
    if (error instanceof WitnessFailed) return null
    throw error
  })
  const seen = served === null ? null : openCheckpoint(served, logKeyOf(of))
  if (seen === null) return 'unshown'
  const leaves = await numberedSize(db, of.number)
  if (seen.size > leaves)
    return await stop(
      engines,
      of,
      `The witness ${witness.key.name} holds a checkpoint of ${seen.size} leaves that this log signed, and this database has ${leaves}: it is an older one. Run exhibit ledger recover.`,
    )
  const newest = await newestCheckpointRow(db, of.number)
  // Between the two its publication was cut short: the sequencer ends it.
  if (newest === undefined || seen.size > newest.size) return 'later'
  const root = await rootAt(seen.size, hashesOf(store, of.number, newest.size))
  if (root.equals(seen.root)) return 'unshown'
  return await stop(
    engines,
    of,
    `The witness ${witness.key.name} holds a checkpoint of ${seen.size} leaves that this log signed, and it is not one of this tree: the log has two histories. Run exhibit ledger audit.`,
  )
}
