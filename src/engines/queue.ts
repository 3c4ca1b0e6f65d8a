import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Queue, Worker } from 'bullmq'
import { Value } from 'typebox/value'
import { IdOf, type JobId } from '../base/ids.ts'
import type { Config } from './config.ts'
import type { Log } from './log.ts'
import { hastyRedis, patientRedis } from './redis.ts'

const queueName = (lane: string): string => `jobs-${lane}`

/** Redis carries the job's id and nothing else: everything about a job is in Postgres. */
type Carried = { jobId: JobId }

/**
 * An attempt that a job is ready for; `lane`: the queue that it stands in. Offering the same one twice delivers it once, while
 * Redis remembers it.
 */
export type Offer = { id: JobId; attempt: number; lane: string }

export type JobQueue = {
  /** Hands the offers to whichever worker is free. Throws within seconds when Redis is away. */
  offer(offers: readonly Offer[]): Promise<void>
  /** Calls back whenever Redis was away and is there again; it may have come back without what it held. */
  onReturn(heard: () => void): void
  close(): Promise<void>
}

/** The producing side. It keeps nothing: what could not be offered is offered again by whoever reads Postgres. */
export const makeQueue = (config: Config, log: Log): JobQueue => {
  const redis = hastyRedis(config.REDIS_URL, log)
  const queues = new Map<string, Queue<Carried>>()
  const opened = async (lane: string): Promise<Queue<Carried>> => {
    if (redis.status !== 'ready') await once(redis, 'ready', { signal: AbortSignal.timeout(1000) })
    const known = queues.get(lane)
    const queue = known ?? new Queue<Carried>(queueName(lane), { connection: redis, prefix: config.REDIS_PREFIX })
    if (known === undefined) queue.on('error', (error) => log.debug({ err: error.message }, 'the queue has trouble'))
    queues.set(lane, queue)
    try {
      await queue.waitUntilReady()
      return queue
    } catch (error) {
      // One that failed to open stays broken.
      queues.delete(lane)
      throw error
    }
  }
  return {
    offer: async (offers) => {
      for (const [lane, some] of Map.groupBy(offers, (offer) => offer.lane)) {
        const open = await opened(lane)
        await open.addBulk(
          some.map(({ id, attempt }) => ({
            name: 'job',
            data: { jobId: id },
            opts: { jobId: `${id}-${attempt}`, removeOnComplete: true, removeOnFail: true },
          })),
        )
      }
    },
    onReturn: (heard) => {
      let known = redis.status === 'ready'
      redis.on('ready', () => {
        if (known) heard()
        known = true
      })
    },
    close: async () => {
      for (const queue of queues.values()) await queue.close().catch(() => undefined)
      redis.disconnect()
    },
  }
}

export type QueueWorker = {
  /**
   * Takes no further job, lets those at work finish for `finishMs`, then aborts their signal and gives them `handBackMs`
   * to hand themselves back.
   */
  close(times: { finishMs: number; handBackMs: number }): Promise<void>
}

type Work = { lane: string; concurrency: number; process(jobId: JobId, stop: AbortSignal): Promise<unknown> }

/** The taking side. It waits for Redis as long as it takes. What `process` throws is logged, and Postgres decides what then. */
export const makeQueueWorker = (config: Config, log: Log, { lane, concurrency, process }: Work): QueueWorker => {
  const redis = patientRedis(config.REDIS_URL, log)
  const stop = new AbortController()
  let atWork = 0
  const worker = new Worker<Carried>(
    queueName(lane),
    async ({ data: { jobId } }) => {
      if (!Value.Check(IdOf.job, jobId)) return
      atWork += 1
      try {
        await process(jobId, stop.signal)
      } catch (error) {
        const err = error instanceof Error ? error.message : 'unknown'
        log.warn({ job: jobId, err }, 'a job was left where it stands')
      } finally {
        atWork -= 1
      }
    },
    {
      connection: redis,
      prefix: config.REDIS_PREFIX,
      concurrency,
      // Whether a job has been tried too often is for Postgres to say.
      maxStalledCount: 1_000_000,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    },
  )
  worker.on('error', (error) => log.debug({ err: error.message }, 'the queue has trouble'))
  return {
    close: async ({ finishMs, handBackMs }) => {
      const closed = worker.close()
      // Without Redis it would not close until Redis is back.
      const idle = () => atWork === 0 && redis.status !== 'ready'
      if (!idle() && !(await within(closed, finishMs))) {
        stop.abort(new Error('this worker is stopping'))
        if (!idle()) await within(closed, handBackMs)
      }
      redis.disconnect()
      await within(closed, 200)
    },
  }
}

const within = async (work: Promise<void>, ms: number): Promise<boolean> => {
  const over = new AbortController()
  const ended = work.then(
    () => true,
    () => true,
  )
  try {
    return await Promise.race([ended, delay(ms, false, { signal: over.signal })])
  } finally {
    over.abort()
  }
}
