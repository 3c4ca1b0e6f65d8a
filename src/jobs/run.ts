import { setTimeout as delay } from 'node:timers/promises'
import type { JobId } from '../base/ids.ts'
import type { Engines } from '../engines/engines.ts'
import { databaseLost, inTransaction, type Tx } from '../engines/postgres.ts'
import { beginAttempt } from './attempt.ts'
import { type Handlers, isJobName, isPayloadOf, type JobName, jobNames, type Outcome, type Run } from './catalogue.ts'
import { backOff, isOutage, type JobEnd, TakenOver, wordsOf } from './job.ts'
import { endJob, oweAgain, type TakenJob, takeJob, tellRelays } from './queries.ts'

/**
 * Makes one attempt at a job, if it is due and nobody is at it; otherwise answers `not-taken`. When `stop` aborts, so does
 * the handler's signal, and the job goes back to owed at once. What a handler throws never comes out of here, only a
 * database that cannot be reached does; the job is then taken up again when its lease is over.
 */
export const runJob = async (
  engines: Engines,
  handlers: Handlers,
  jobId: JobId,
  stop: AbortSignal,
): Promise<JobEnd> => {
  if (stop.aborted) return 'not-taken'
  const { config, db, log, metrics } = engines
  const job = await takeJob(db, jobId, jobNames, config.JOB_LEASE_SECONDS)
  if (job === undefined) return 'not-taken'
  const began = performance.now()
  const { end, error } = await attempt(engines, handlers, job, stop)
  metrics.jobs.inc({ name: job.name, outcome: end })
  const facts = { job: job.id, name: job.name, attempt: job.attempt, end, ms: Math.round(performance.now() - began) }
  if (end === 'failed') log.error({ ...facts, why: wordsOf(error) }, 'a job failed and waits for a person')
  else if (end === 'again') log.warn({ ...facts, why: wordsOf(error) }, 'a job will be tried again')
  else log.info(facts, 'a job ended')
  if (error instanceof Error) log.debug({ job: job.id, stack: error.stack }, 'what the job threw')
  return end
}

/** What the attempt wants written of the job, and the error behind it. */
type Verdict = { end: JobEnd; error?: unknown; write?: () => Promise<boolean> }

const attempt = async (engines: Engines, handlers: Handlers, job: TakenJob, stop: AbortSignal): Promise<Verdict> => {
  const { config, db } = engines
  if (job.wasSilent && job.failures >= config.JOB_ATTEMPTS) {
    const error = new Error('its workers fell silent again and again: it may be what ends the process that runs it')
    return await settle(engines, stop, failing(engines, handlers, job, error, job.failures, 0))
  }
  await using running = beginAttempt(engines, job, stop)
  const verdict = await call(engines, handlers, job, running.run).then(
    (outcome): Verdict => {
      const said = outcome.outcome === 'done' ? (outcome.said ?? null) : outcome.because
      const progress = outcome.outcome === 'done' ? 1 : running.progress()
      const last = { state: outcome.outcome, said, progress, failures: job.failures }
      return { end: outcome.outcome, write: () => endJob(db, job.id, job.attempt, last, engines.clock.now()) }
    },
    (error: unknown): Verdict => {
      if (error instanceof TakenOver || running.takenOver()) return { end: 'taken-over' }
      if (stop.aborted) return handingBack(engines, job, running.progress())
      const outage = isOutage(error)
      const failures = outage ? job.failures : job.failures + 1
      if (!outage && failures >= config.JOB_ATTEMPTS)
        return failing(engines, handlers, job, error, failures, running.progress())
      const inSeconds = backOff(outage ? job.attempt : failures, outage, Math.random())
      const again = { inSeconds, failures, said: wordsOf(error), progress: running.progress() }
      return { end: 'again', error, write: () => oweAgain(db, job.id, job.attempt, again) }
    },
  )
  return await settle(engines, stop, verdict)
}

const failing = (
  engines: Engines,
  handlers: Handlers,
  job: TakenJob,
  error: unknown,
  failures: number,
  progress: number,
): Verdict => {
  const last = { state: 'failed', said: wordsOf(error), progress, failures } as const
  const write = async (tx: Tx): Promise<boolean> => {
    const held = await endJob(tx, job.id, job.attempt, last, engines.clock.now())
    if (held) await giveUp(engines, handlers, job, tx)
    return held
  }
  return { end: 'failed', error, write: () => inTransaction(engines.db, write) }
}

const giveUp = async (engines: Engines, handlers: Handlers, { name, payload }: TakenJob, tx: Tx): Promise<void> => {
  const tell = async <Name extends JobName>(known: Name): Promise<void> => {
    if (isPayloadOf(known, payload)) await handlers[known].whenFailed?.(tx, engines, payload)
  }
  if (isJobName(name)) await tell(name)
}

const handingBack = ({ db }: Engines, job: TakenJob, progress: number): Verdict => ({
  end: 'handed-back',
  write: async () => {
    const held = await oweAgain(db, job.id, job.attempt, { inSeconds: 0, failures: job.failures, said: null, progress })
    if (held) await tellRelays(db)
    return held
  },
})

/** Writes the verdict, waiting for a database that is away until the worker stops. */
const settle = async ({ log }: Engines, stop: AbortSignal, verdict: Verdict): Promise<Verdict> => {
  for (let wait = 250; verdict.write !== undefined; wait = Math.min(wait * 2, 5000)) {
    try {
      return (await verdict.write()) ? verdict : { end: 'taken-over' }
    } catch (error) {
      if (stop.aborted || !databaseLost(error)) throw error
      log.debug({ end: verdict.end }, 'the database is away: how a job ended is written when it is back')
      await delay(wait, undefined, { signal: stop }).catch(() => undefined)
    }
  }
  return verdict
}

const call = async (engines: Engines, handlers: Handlers, job: TakenJob, run: Run): Promise<Outcome> => {
  const { name, payload } = job
  if (!isJobName(name)) throw new Error(`there is no work called ${name}`)
  const handle = async <Name extends JobName>(known: Name): Promise<Outcome> => {
    if (!isPayloadOf(known, payload)) throw new Error(`the payload is not what ${known} needs`)
    return await handlers[known](engines, payload, run)
  }
  return await handle(name)
}
