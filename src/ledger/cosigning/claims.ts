import { openCheckpoint } from '../../base/checkpoint.ts'
import { rootAt } from '../../base/merkle.ts'
import type { Engines } from '../../engines/engines.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { ConfiguredWitness } from '../../engines/witness-list.ts'
import { logKeyOf } from '../log/log.ts'
import { witnessedNotes } from '../log/published.ts'
import { halt, newestCheckpointRow, numberedSize } from '../log/queries.ts'
import { hashesOf } from '../log/tree.ts'
import { seenByWitnesses } from './asking.ts'
import { servedBy, WitnessFailed } from './exchange.ts'

type Reached = Pick<Engines, 'db' | 'log' | 'store'>

const stop = async ({ db, log }: Pick<Reached, 'db' | 'log'>, of: LogRow, why: string): Promise<'halted'> => {
  await halt(db, of.number, why)
  log.error({ log: of.origin }, why)
  return 'halted'
}

const older = (holder: string, size: number, leaves: number): string =>
  `${holder} holds a checkpoint of ${size} leaves that this log signed, and this database has ${leaves}: it is an older one. Run exhibit ledger recover.`

/** `served` is what the witness serves of the log. */
const holdAgainst = async (
  engines: Reached,
  of: LogRow,
  { key: { name } }: ConfiguredWitness,
  served: string | null,
): Promise<'halted' | 'later' | 'unshown'> => {
  const { db, store } = engines
  const seen = served === null ? null : openCheckpoint(served, logKeyOf(of))
  if (seen === null) return 'unshown'
  const leaves = await numberedSize(db, of.number)
  if (seen.size > leaves) return await stop(engines, of, older(`The witness ${name}`, seen.size, leaves))
  const newest = await newestCheckpointRow(db, of.number)
  // Between the two its publication was cut short: the sequencer ends it.
  if (newest === undefined || seen.size > newest.size) return 'later'
  const root = await rootAt(seen.size, hashesOf(store, of.number, newest.size))
  if (root.equals(seen.root)) return 'unshown'
  return await stop(
    engines,
    of,
    `The witness ${name} holds a checkpoint of ${seen.size} leaves that this log signed, and it is not one of this tree: the log has two histories. Run exhibit ledger audit.`,
  )
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
  const served = await servedBy(witness, of.origin, signal).catch((error: unknown) => {
    if (error instanceof WitnessFailed) return null
    throw error
  })
  return await holdAgainst(engines, of, witness, served)
}

/**
 * What a process asks before it adds to a log: where a database and a bucket were restored together they agree with one
 * another, and others alone know that the log had gone further. Answers whether it may go on, else the log is halted, in
 * words. Throws while none of the configured witnesses answers: proofs are better late than of a second history.
 */
export const mayGoOn = async (
  engines: Reached & Pick<Engines, 'config'>,
  of: LogRow,
  stopping: AbortSignal | undefined,
): Promise<boolean> => {
  const seen = await seenByWitnesses(engines, of, stopping)
  if (seen.length > 0 && seen.every(({ note }) => note === undefined))
    throw new Error(
      `no witness says how far it has seen the log grow (${seen.map(({ witness }) => witness.key.name).join(', ')}): nothing is added to it before one does`,
    )
  for (const { witness, note = null } of seen)
    if ((await holdAgainst(engines, of, witness, note)) === 'halted') return false
  const leaves = await numberedSize(engines.db, of.number)
  const newest = (await witnessedNotes(engines.store, of)).findLast(({ head }) => head !== null)
  if (newest === undefined || newest.size <= leaves) return true
  await stop(engines, of, older(`${newest.key} in the ledger bucket`, newest.size, leaves))
  return false
}
