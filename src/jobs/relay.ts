import { setTimeout as delay } from 'node:timers/promises'
import type { Engines } from '../engines/engines.ts'
import { listen } from '../engines/postgres.ts'
import type { JobQueue, Offer } from '../engines/queue.ts'
import { claimOffers, forgetOffers, withdrawOffers } from './queries.ts'

export type RelayTimes = {
  /** How often to look without having been told. */
  pollSeconds: number
  /** An offer nobody took for this long was forgotten by the queue, or waits in it: offering it again harms neither. */
  againSeconds: number
}

const usualTimes: RelayTimes = { pollSeconds: 1, againSeconds: 30 }
const batch = 200

/**
 * Hands owed work to the queue when it is due, whatever the queue has forgotten, and work whose worker fell silent. Runs in
 * every worker: each job is offered by one of them. Ends when the signal aborts; never throws.
 */
export const startRelay = async (
  engines: Engines,
  queue: JobQueue,
  signal: AbortSignal,
  times: RelayTimes = usualTimes,
): Promise<void> => {
  let wake = new AbortController()
  let away = false
  let forgotten = false
  queue.onReturn(() => {
    forgotten = true
    wake.abort()
  })
  listen(engines.config.DATABASE_URL, 'jobs', engines.log, signal, () => wake.abort())
  while (!signal.aborted) {
    // Made before looking, so that what is told meanwhile is not missed.
    wake = new AbortController()
    try {
      if (forgotten) await forgetOffers(engines.db)
      forgotten = false
      if ((await offerDue(engines, queue, times)) === batch) continue
      if (away) engines.log.info('owed work is handed on again')
      away = false
    } catch (error) {
      const err = error instanceof Error ? error.message : 'unknown'
      if (!away) engines.log.warn({ err }, 'owed work cannot be handed on just now; Postgres keeps it')
      away = true
    }
    // Being told does not help while Redis or Postgres is away.
    const until = away ? signal : AbortSignal.any([signal, wake.signal])
    await delay(times.pollSeconds * 1000, undefined, { signal: until }).catch(() => undefined)
  }
}

/** One look. Answers how many were offered, `batch` at most. */
const offerDue = async (
  { config, db, log }: Engines,
  queue: JobQueue,
  { againSeconds }: RelayTimes,
): Promise<number> => {
  const offers = await claimOffers(db, { leaseSeconds: config.JOB_LEASE_SECONDS, againSeconds, limit: batch })
  try {
    await queue.offer(offers)
  } catch (error) {
    await withdraw(db, offers)
    throw error
  }
  if (offers.length > 0) log.debug({ jobs: offers.length }, 'owed work was offered')
  return offers.length
}

/** Without this they would only be offered again after `againSeconds`. */
const withdraw = async (db: Engines['db'], offers: readonly Offer[]): Promise<void> =>
  await withdrawOffers(db, offers).catch(() => undefined)
