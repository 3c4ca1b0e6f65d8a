import { setTimeout as delay } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Engines } from '../engines/engines.ts'
import type { Db } from '../engines/postgres.ts'
import { closeRefusals } from '../ledger/refusals.ts'

/** Work by the clock. `run` answers how many things it dealt with, and may be cut short at any moment. */
export type Sweep = { name: string; everySeconds: number; run(engines: Engines, signal: AbortSignal): Promise<number> }

/** Writes the counts of repeated refusals whose minute is over. */
export const refusalSweep: Sweep = { name: 'close-refusals', everySeconds: 10, run: closeRefusals }

const longestUnheldWait = 30
const afterLossMs = 2000

/**
 * Runs each sweep at once and then every so often, in whichever worker holds the sweep's advisory lock; the others stand by
 * and take over when that worker ends. One connection carries the locks for as long as this runs. Ends when the signal
 * aborts; never throws.
 */
export const startSweeps = async (engines: Engines, sweeps: readonly Sweep[], signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    try {
      await engines.db.connection().execute(async (holder) => await holdAll(engines, holder, sweeps, signal))
    } catch (error) {
      engines.log.debug({ err: messageOf(error) }, 'the connection that holds the locks of the sweeps was lost')
    }
    await pause(afterLossMs, signal)
  }
}

const holdAll = async (engines: Engines, holder: Db, sweeps: readonly Sweep[], signal: AbortSignal): Promise<void> => {
  // The locks live and die with the connection: if one sweep finds it gone, all begin anew.
  const lost = new AbortController()
  const both = AbortSignal.any([signal, lost.signal])
  const loops = sweeps.map(async (sweep) => {
    try {
      await repeat(engines, holder, sweep, both)
    } catch (error) {
      lost.abort()
      throw error
    }
  })
  try {
    const results = await Promise.allSettled(loops)
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  } finally {
    await sql`select pg_advisory_unlock_all()`.execute(holder).catch(() => undefined)
  }
}

const repeat = async (engines: Engines, holder: Db, sweep: Sweep, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    const held = await tryLock(holder, `exhibit sweep ${sweep.name}`)
    if (held) await runOnce(engines, sweep, signal)
    await pause(1000 * (held ? sweep.everySeconds : Math.min(sweep.everySeconds, longestUnheldWait)), signal)
  }
}

/** A session that holds the lock already gets it once more; the question also shows that the connection lives. */
const tryLock = async (holder: Db, name: string): Promise<boolean> => {
  const { rows } = await sql<{
    held: boolean
  }>`select pg_try_advisory_lock(hashtextextended(${name}, 0)) as held`.execute(holder)
  return rows[0]?.held === true
}

const runOnce = async (engines: Engines, sweep: Sweep, signal: AbortSignal): Promise<void> => {
  const began = performance.now()
  try {
    const count = await sweep.run(engines, signal)
    const facts = { sweep: sweep.name, count, ms: Math.round(performance.now() - began) }
    if (count > 0) engines.log.info(facts, 'a sweep ended')
    else engines.log.debug(facts, 'a sweep ended')
  } catch (error) {
    if (!signal.aborted)
      engines.log.warn({ sweep: sweep.name, err: messageOf(error) }, 'a sweep failed and will run again')
  }
}

const pause = async (ms: number, signal: AbortSignal): Promise<void> =>
  await delay(ms, undefined, { signal }).catch(() => undefined)

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'unknown')
