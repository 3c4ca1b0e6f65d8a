import { setTimeout as delay } from 'node:timers/promises'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import { owe } from '../jobs/outbox.ts'
import { markOwed, movePosition, owedSidecars, positions, recordingsNamed } from './sidecar-queries.ts'

const leavesAtOnce = 200
/** More are not owed at a time: footage that comes in meanwhile must not wait behind them. */
const mostOwed = 100
const pauseMs = 500

/** Owes what the next leaves make necessary, and answers how many sidecars that are; null when there are no more leaves. */
const oweNext = async ({ db, clock }: Pick<Engines, 'db' | 'clock'>): Promise<number | null> =>
  await inTransaction(db, async (tx) => {
    for (const { log, next } of await positions(tx)) {
      const named = await recordingsNamed(tx, log, next, leavesAtOnce)
      if (named === null) continue
      const owed = await markOwed(tx, named.recordings)
      for (const recordingId of owed) await owe(tx, clock, 'keep-sidecar', { recordingId }, { cause: null })
      await movePosition(tx, log, named.next)
      return owed.length
    }
    return null
  })

/**
 * Walks the leaves that are new, in the order of the log, and owes the sidecar of each recording that they are about, once
 * however many they are. Nothing is skipped: a leaf never comes before one that was there. Answers how many were owed.
 */
export const oweSidecars = async (engines: Pick<Engines, 'db' | 'clock'>, signal: AbortSignal): Promise<number> => {
  for (let owed = 0; ; ) {
    if (signal.aborted) return owed
    if ((await owedSidecars(engines.db, mostOwed)) >= mostOwed) {
      await delay(pauseMs, undefined, { signal }).catch(() => undefined)
      continue
    }
    const more = await oweNext(engines)
    if (more === null) return owed
    owed += more
  }
}
