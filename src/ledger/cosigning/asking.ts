import { openCheckpoint, type TreeHead } from '../../base/checkpoint.ts'
import type { Engines } from '../../engines/engines.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { ConfiguredWitness } from '../../engines/witness-list.ts'
import { logKeyOf } from '../log/log.ts'
import { newestCheckpointRow } from '../log/queries.ts'
import { seenBy, sizeSeen, WitnessFailed } from './exchange.ts'
import { largestCosigned } from './queries.ts'

/**
 * What a witness says of a log. `note` is what it serves: null where it serves nothing, undefined where it did not answer;
 * `head` is null unless the log itself signed that. `size` is how many leaves it has seen, null where it does not say;
 * `unshown`: it says that these are more than it shows, and more than are published here.
 */
export type Seen = {
  witness: ConfiguredWitness
  note: string | null | undefined
  head: TreeHead | null
  size: number | null
  unshown: boolean
  /** How many leaves were under a checkpoint that it cosigned, as this database knows. */
  cosigned: number
}

/**
 * Whether it is not known from it how far it has seen the log grow. What names fewer leaves than the witness cosigned is not
 * that witness, or one that began anew: then it is soon shown the newest checkpoint, and names that.
 */
export const isSilent = ({ size, unshown, cosigned }: Seen): boolean => size === null || size < cosigned || unshown

const answerMs = 10_000

const orUndefined = (error: unknown): undefined => {
  if (!(error instanceof WitnessFailed)) throw error
}

/** Asks every configured witness, all at once; when the signal aborts, those that have not answered did not. */
export const seenByWitnesses = async (
  { config, db }: { config: Pick<Engines['config'], 'LEDGER_WITNESSES'>; db: Engines['db'] },
  log: LogRow,
  stopping?: AbortSignal,
): Promise<Seen[]> => {
  if (config.LEDGER_WITNESSES.length === 0) return []
  const key = logKeyOf(log)
  const published = async () => await newestCheckpointRow(db, log.number)
  const ours = await published()
  const time = AbortSignal.timeout(answerMs)
  const signal = stopping === undefined ? time : AbortSignal.any([time, stopping])
  const seenByOne = async (witness: ConfiguredWitness): Promise<Seen> => {
    const [note, named, cosigned] = await Promise.all([
      seenBy(witness, log.origin, signal).catch(orUndefined),
      ours === undefined ? undefined : sizeSeen(witness, ours, signal).catch(orUndefined),
      largestCosigned(db, log.number, witness.vkey),
    ])
    const head = typeof note === 'string' ? openCheckpoint(note, key) : null
    const served = note === null ? 0 : (head?.size ?? null)
    // What it serves may be old, but before the first checkpoint there is nothing to show it.
    const size = ours === undefined ? served : (named ?? null)
    const shown = Math.max(head?.size ?? 0, ours?.size ?? 0)
    const unshown = size !== null && size > shown && size > ((await published())?.size ?? 0)
    return { witness, note, head, size, unshown, cosigned }
  }
  return await Promise.all(config.LEDGER_WITNESSES.map(seenByOne))
}
