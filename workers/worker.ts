import type { Engines } from '../src/engines/engines.ts'
import { makeQueue, makeQueueWorker } from '../src/engines/queue.ts'
import { type Handlers, lanes } from '../src/jobs/catalogue.ts'
import { type RelayTimes, startRelay } from '../src/jobs/relay.ts'
import { runJob } from '../src/jobs/run.ts'
import { refusalSweep, type Sweep, startSweeps } from '../src/jobs/sweeps.ts'
import { registerReceiptKey } from '../src/ledger/keys/receipt-keys.ts'
import { beginLog } from '../src/ledger/log/log.ts'
import { startSequencer } from '../src/ledger/log/sequencer.ts'

export type RunningWorker = {
  /** Takes no further job, lets those at work finish, hands the rest back; within STOP_SECONDS. */
  stop(): Promise<void>
}

type WorkerOptions = { sweeps?: readonly Sweep[]; relayTimes?: RelayTimes }

/** Of the time to stop, for what comes after the jobs: connections to close. */
const spareMs = 500

/** Starts a worker in this process: relay, sweeps and jobs. It bears Redis and Postgres being away. */
export const startWorker = async (
  engines: Engines,
  handlers: Handlers,
  { sweeps = [], relayTimes }: WorkerOptions = {},
): Promise<RunningWorker> => {
  const { config, log } = engines
  await registerReceiptKey(engines)
  await beginLog(engines)
  const stopping = new AbortController()
  const queue = makeQueue(config, log)
  const takers = lanes.map((lane) =>
    makeQueueWorker(config, log, {
      lane,
      concurrency: lane === 'renditions' ? config.WORKER_RENDITIONS : config.WORKER_JOBS,
      process: async (jobId, stop) => await runJob(engines, handlers, jobId, stop),
    }),
  )
  const relay = startRelay(engines, queue, stopping.signal, relayTimes)
  const sequencing = startSequencer(engines, stopping.signal)
  const sweeping = startSweeps(engines, [refusalSweep, ...sweeps], stopping.signal)
  log.info({ jobs: config.WORKER_JOBS }, 'the worker is at work')
  const stop = async (): Promise<void> => {
    stopping.abort()
    const handBackMs = Math.min(config.STOP_SECONDS * 400, 5000)
    const finishMs = Math.max(config.STOP_SECONDS * 1000 - handBackMs - spareMs, 0)
    const handedBack = takers.map(async (taker) => await taker.close({ finishMs, handBackMs }))
    await Promise.all([...handedBack, relay.then(queue.close), sweeping, sequencing])
    log.info('the worker stopped')
  }
  let stopped: Promise<void> | undefined
  return {
    stop: async () => {
      stopped ??= stop()
      await stopped
    },
  }
}
