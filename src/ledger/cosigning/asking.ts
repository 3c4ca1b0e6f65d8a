import { openCheckpoint, type TreeHead } from '../../base/checkpoint.ts'
import type { Engines } from '../../engines/engines.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { ConfiguredWitness } from '../../engines/witness-list.ts'
import { logKeyOf } from '../log/log.ts'
import { seenBy, WitnessFailed } from './exchange.ts'

/**
 * What a witness shows of a log as the newest that it has seen: null where it has seen nothing of it, undefined where it did
 * not answer. `head` is null unless the log itself signed it.
 */
export type Seen = { witness: ConfiguredWitness; note: string | null | undefined; head: TreeHead | null }

const answerMs = 10_000

/** Asks every configured witness, all at once; when the signal aborts, those that have not answered did not. */
export const seenByWitnesses = async (
  { config }: { config: Pick<Engines['config'], 'LEDGER_WITNESSES'> },
  log: LogRow,
  stopping?: AbortSignal,
): Promise<Seen[]> => {
  const key = logKeyOf(log)
  const time = AbortSignal.timeout(answerMs)
  const signal = stopping === undefined ? time : AbortSignal.any([time, stopping])
  return await Promise.all(
    config.LEDGER_WITNESSES.map(async (witness) => {
      const note = await seenBy(witness, log.origin, signal).catch((error: unknown) => {
        if (error instanceof WitnessFailed) return undefined
        throw error
      })
      return { witness, note, head: typeof note === 'string' ? openCheckpoint(note, key) : null }
    }),
  )
}
