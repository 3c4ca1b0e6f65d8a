import type { Engines } from '../engines/engines.ts'
import type { Tx } from '../engines/postgres.ts'
import type { Run } from './catalogue.ts'
import { TakenOver } from './job.ts'
import { beat, holdJob, type TakenJob } from './queries.ts'

const tickMs = 1000

/** An attempt under way. Disposing of it ends its heartbeat and waits for the last one. */
export type Attempt = AsyncDisposable & {
  run: Run
  /** The last fraction that the handler told. */
  progress(): number
  takenOver(): boolean
}

/** Beats for a job that was taken: when progress was made, and often within its lease otherwise. `stop` aborts the handler. */
export const beginAttempt = (engines: Engines, job: TakenJob, stop: AbortSignal): Attempt => {
  const { config, db, log } = engines
  const restMs = (config.JOB_LEASE_SECONDS * 1000) / 4
  const fencedOut = new AbortController()
  let fraction = 0
  let told = 0
  let last = performance.now()
  let beating: Promise<void> | undefined

  const beatOnce = async (): Promise<void> => {
    const now = fraction
    try {
      if (!(await beat(db, job.id, job.attempt, now))) fencedOut.abort(new TakenOver())
      told = now
      last = performance.now()
    } catch (error) {
      // Tried again at the next tick. Whether the job is still ours is decided by whoever writes next.
      log.debug({ job: job.id, err: error instanceof Error ? error.message : 'unknown' }, 'a heartbeat was missed')
    }
  }
  const ticks = setInterval(() => {
    if (beating !== undefined || (fraction === told && performance.now() - last < restMs)) return
    beating = beatOnce().finally(() => {
      beating = undefined
    })
  }, tickMs)

  const run: Run = {
    jobId: job.id,
    attempt: job.attempt,
    cause: job.cause,
    signal: AbortSignal.any([stop, fencedOut.signal]),
    progress: (value) => {
      if (Number.isFinite(value)) fraction = Math.min(Math.max(value, 0), 1)
    },
    fence: async (tx: Tx) => {
      if (!(await holdJob(tx, job.id, job.attempt))) throw new TakenOver()
    },
  }
  return {
    run,
    progress: () => fraction,
    takenOver: () => fencedOut.signal.aborted,
    [Symbol.asyncDispose]: async () => {
      clearInterval(ticks)
      await beating
    },
  }
}
