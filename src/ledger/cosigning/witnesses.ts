import { checkpointText } from '../../base/checkpoint.ts'
import type { Engines } from '../../engines/engines.ts'
import type { CheckpointRow, LogRow } from '../../engines/ledger-tables.ts'
import type { ConfiguredWitness } from '../../engines/witness-list.ts'
import { currentLog } from '../log/log.ts'
import { growthFrom } from '../log/proofs.ts'
import { newestCheckpointRow } from '../log/queries.ts'
import { makeTurns } from '../witness/turns.ts'
import { lookAtClaim } from './claims.ts'
import { cosignatureIn, type Failure, submit, WitnessFailed } from './exchange.ts'
import { cosignedBy, insertCosignature, rememberSize, sizeOfWitness } from './queries.ts'
import { putWitnessed } from './witnessed.ts'

type Reached = Pick<Engines, 'clock' | 'config' | 'db' | 'log' | 'metrics' | 'store'>
type Shown = { of: LogRow; checkpoint: CheckpointRow }

/** For all that one witness is asked in one sweep. */
const answerMs = 10_000
const firstPauseMs = 10_000
const longestPauseMs = 600_000
/** By so much the clock of a witness may differ from ours. */
const skewSeconds = 300

/** How it went with a witness last, in this process. */
type Standing = { as: 'cosigned' | Failure; failures: number; again: number }

const standings = new WeakMap<object, Map<string, Standing>>()

const standingsOf = (engines: object): Map<string, Standing> => {
  const known = standings.get(engines) ?? new Map<string, Standing>()
  standings.set(engines, known)
  return known
}

/**
 * Shows a checkpoint to a witness and answers the line that it signed; undefined where the log was halted for what the
 * witness showed in return, or has gone on. Throws WitnessFailed.
 */
const obtain = async (
  engines: Reached,
  { of, checkpoint }: Shown,
  witness: ConfiguredWitness,
  stopping: AbortSignal,
): Promise<string | undefined> => {
  const { db, store, clock } = engines
  const { size, root, note, at } = checkpoint
  let old = Math.min(await sizeOfWitness(db, witness.vkey, of.number), size)
  let { path } = await growthFrom(store, checkpoint, old)
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(answerMs)])
  for (let tries = 1; ; tries++) {
    const reply = await submit(witness, { old, path, note }, signal)
    if (reply === 'inconsistent') {
      if ((await lookAtClaim(engines, of, witness, signal)) !== 'unshown') return undefined
      throw new WitnessFailed('refused', 'it does not see that the log only grew')
    }
    if ('lines' in reply) {
      const from = at.getTime() / 1000 - skewSeconds
      const to = clock.now().getTime() / 1000 + skewSeconds
      return cosignatureIn(reply.lines, checkpointText({ origin: of.origin, size, root }), witness.key, { from, to })
    }
    if (reply.size > size) {
      // Another worker may have shown it a checkpoint that was published since.
      if (reply.size <= ((await newestCheckpointRow(db, of.number))?.size ?? 0)) return undefined
      if ((await lookAtClaim(engines, of, witness, signal)) !== 'unshown') return undefined
      const message = `it says that it has seen ${reply.size} leaves, of ${size}, and does not show it; if the database was restored, run exhibit ledger recover`
      throw new WitnessFailed('ahead', message)
    }
    if (tries === 2) throw new WitnessFailed('nonsense', 'it does not stand by the size that it named')
    await rememberSize(db, witness.vkey, of.number, reply.size)
    old = reply.size
    path = (await growthFrom(store, checkpoint, old)).path
  }
}

/** One line for each change, however often it is tried. */
const tell = (
  { log, clock, metrics }: Reached,
  kept: Map<string, Standing>,
  witness: ConfiguredWitness,
  failed?: WitnessFailed,
) => {
  const { name } = witness.key
  const before = kept.get(witness.vkey)
  const as = failed?.as ?? 'cosigned'
  const failures = failed === undefined ? 0 : (before?.failures ?? 0) + 1
  const pauseMs = failures === 0 ? 0 : Math.min(firstPauseMs * 2 ** (failures - 1), longestPauseMs)
  kept.set(witness.vkey, { as, failures, again: clock.now().getTime() + pauseMs })
  metrics.cosignatures.inc({ witness: name, outcome: as })
  if (before?.as === as) return
  if (failed === undefined) log.info({ witness: name }, 'a witness cosigns the log')
  else log.warn({ witness: name, outcome: as }, `a witness does not cosign the log: ${failed.message}`)
}

/**
 * Shows the newest checkpoint of the log that grows to each configured witness that has not cosigned it, all at once, and
 * keeps what they sign. Answers how many did. A witness that fails is left alone for longer and longer. Throws, when every
 * witness is through, for what is wrong on our side (`store-unavailable`, `log-damaged`); the rest is kept by then.
 */
export const cosignNewest = async (
  engines: Reached,
  stopping: AbortSignal = new AbortController().signal,
): Promise<number> => {
  const { config, db, clock } = engines
  if (config.LEDGER_WITNESSES.length === 0) return 0
  const of = await currentLog(db)
  if (of === undefined || of.halted !== null) return 0
  const checkpoint = await newestCheckpointRow(db, of.number)
  if (checkpoint === undefined) return 0
  const { size } = checkpoint
  const done = await cosignedBy(db, of.number, size)
  const kept = standingsOf(engines)
  const inTurn = makeTurns()

  const cosignedNow = async (witness: ConfiguredWitness): Promise<boolean> => {
    if (clock.now().getTime() < (kept.get(witness.vkey)?.again ?? 0)) return false
    try {
      const line = await obtain(engines, { of, checkpoint }, witness, stopping)
      if (line === undefined) return false
      // Where the store fails the row is not there, and the witness is asked once more.
      await inTurn('keep', async () => {
        await putWitnessed(engines, of.number, size, line)
        await insertCosignature(db, { log: of.number, size, witness: witness.vkey, line, at: clock.now() })
      })
      await rememberSize(db, witness.vkey, of.number, size)
      tell(engines, kept, witness)
      return true
    } catch (error) {
      if (stopping.aborted) return false
      if (!(error instanceof WitnessFailed)) throw error
      tell(engines, kept, witness, error)
      return false
    }
  }

  const missing = config.LEDGER_WITNESSES.filter(({ vkey }) => !done.has(vkey))
  const results = await Promise.allSettled(missing.map(cosignedNow))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return results.filter((result) => result.status === 'fulfilled' && result.value).length
}
