import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { type ClipId, type JobId, newId, type RecordingId } from '../../src/base/ids.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { listJobs } from '../../src/jobs/actions.ts'
import { owe } from '../../src/jobs/outbox.ts'
import { startWorker } from '../../workers/worker.ts'
import { databaseRelay } from '../database-relay.ts'
import { testEngines } from '../engines.ts'
import { gate, handlersWith, oweWork } from '../handlers.ts'

describe('workers', () => {
  test('do what is owed once the transaction that caused it commits, and nothing of one that did not', async () => {
    await using own = await testEngines()
    const done: RecordingId[] = []
    const worker = await startWorker(
      own,
      handlersWith(async (_engines, { recordingId }) => {
        done.push(recordingId)
        return { outcome: 'done' }
      }),
    )
    try {
      const dropped = newId<RecordingId>()
      const kept = newId<RecordingId>()
      await inTransaction(own.db, async (tx) => {
        await owe(tx, own.clock, 'take-into-custody', { recordingId: dropped }, { cause: null })
        throw new Error('changed our mind')
      }).catch(() => undefined)
      await inTransaction(
        own.db,
        async (tx) => await owe(tx, own.clock, 'take-into-custody', { recordingId: kept }, { cause: null }),
      )
      await expect.poll(() => done, { timeout: 10_000 }).toEqual([kept])
    } finally {
      await worker.stop()
    }
  })

  test('share the work: each of many jobs is done once', async () => {
    await using own = await testEngines()
    const runs = new Map<JobId, number>()
    const handlers = handlersWith(async (_engines, _payload, { jobId }) => {
      runs.set(jobId, (runs.get(jobId) ?? 0) + 1)
      return { outcome: 'done' }
    })
    // Offered again and again while they wait, which must not run one twice.
    const workers = await Promise.all(
      [1, 2, 3].map(
        async () => await startWorker(own, handlers, { relayTimes: { pollSeconds: 0.05, againSeconds: 0 } }),
      ),
    )
    try {
      await inTransaction(own.db, async (tx) => {
        for (const _ of Array.from({ length: 300 })) {
          await owe(tx, own.clock, 'take-into-custody', { recordingId: newId<RecordingId>() }, { cause: null })
        }
      })
      await expect.poll(() => runs.size, { timeout: 30_000 }).toBe(300)
    } finally {
      await Promise.all(workers.map(async (worker) => await worker.stop()))
    }
    expect([...runs.values()].filter((count) => count !== 1)).toEqual([])
    expect((await own.db.selectFrom('jobs').select('state').where('state', '<>', 'done').execute()).length).toBe(0)
  })

  test('take footage in and do what people ask for while they make other footage playable, however long that takes', async () => {
    await using own = await testEngines({ env: { WORKER_JOBS: '1', WORKER_RENDITIONS: '1' } })
    const done: string[] = []
    const long = gate()
    const over = async (name: string) => {
      done.push(name)
      return { outcome: 'done' } as const
    }
    const worker = await startWorker(own, {
      ...handlersWith(async () => await over('take-into-custody')),
      'cut-clip': async () => await over('cut-clip'),
      'make-renditions': async () => {
        long.begun.resolve()
        await long.open.promise
        return await over('make-renditions')
      },
    })
    const oweAll = async (...names: ('make-renditions' | 'take-into-custody')[]) =>
      await inTransaction(own.db, async (tx) => {
        for (const name of names) await owe(tx, own.clock, name, { recordingId: newId<RecordingId>() }, { cause: null })
      })
    try {
      await oweAll('make-renditions', 'make-renditions', 'make-renditions')
      await long.begun.promise
      await oweAll('take-into-custody')
      await inTransaction(
        own.db,
        async (tx) => await owe(tx, own.clock, 'cut-clip', { clipId: newId<ClipId>() }, { cause: null }),
      )
      await expect.poll(() => done.toSorted(), { timeout: 10_000 }).toEqual(['cut-clip', 'take-into-custody'])
      long.open.resolve()
      await expect.poll(() => done.length, { timeout: 10_000 }).toBe(5)
    } finally {
      long.open.resolve()
      await worker.stop()
    }
  })

  test('bring a failing job to its end by themselves', async () => {
    await using own = await testEngines()
    const twice = { ...own, config: { ...own.config, JOB_ATTEMPTS: 2 } }
    const worker = await startWorker(
      twice,
      handlersWith(async () => {
        throw new Error('no index was found')
      }),
    )
    try {
      await oweWork(own)
      const failed = async () => (await listJobs(own, { state: 'failed', limit: 1 })).items
      await expect.poll(failed, { timeout: 20_000 }).toMatchObject([{ failures: 2, said: 'no index was found' }])
    } finally {
      await worker.stop()
    }
  })

  test('stop in the time they have, and what they could not finish is done by the next one', async () => {
    await using own = await testEngines()
    const brief = { ...own, config: { ...own.config, STOP_SECONDS: 1 } }
    const { begun } = gate()
    const id = await oweWork(own)
    const first = await startWorker(
      brief,
      handlersWith(async (_engines, _payload, { signal }) => {
        begun.resolve()
        await new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
        )
        return { outcome: 'done' }
      }),
    )
    await begun.promise
    const began = performance.now()
    await first.stop()
    expect(performance.now() - began).toBeLessThan(2000)
    expect((await listJobs(own, { limit: 1 })).items).toMatchObject([{ id, state: 'owed', failures: 0 }])
    const second = await startWorker(
      brief,
      handlersWith(async () => ({ outcome: 'done' })),
    )
    await expect
      .poll(async () => (await listJobs(own, { limit: 1 })).items, { timeout: 10_000 })
      .toMatchObject([{ id, state: 'done', attempt: 2 }])
    await second.stop()
  })

  test('hand back what they are at when they stop after Redis went away', async () => {
    await using own = await testEngines()
    const relay = await databaseRelay(own.config.REDIS_URL)
    const { begun } = gate()
    const id = await oweWork(own)
    const brief = { ...own, config: { ...own.config, REDIS_URL: relay.url, STOP_SECONDS: 2 } }
    const worker = await startWorker(
      brief,
      handlersWith(async (_engines, _payload, { signal }) => {
        begun.resolve()
        await new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
        )
        return { outcome: 'done' }
      }),
    )
    await begun.promise
    await relay[Symbol.asyncDispose]()
    await worker.stop()
    expect((await listJobs(own, { limit: 1 })).items).toMatchObject([{ id, state: 'owed', failures: 0 }])
  })

  test('lose nothing while Redis is away, and stop in time without it', async () => {
    await using own = await testEngines()
    await oweWork(own)
    const lonely = { ...own, config: { ...own.config, REDIS_URL: 'redis://127.0.0.1:1', STOP_SECONDS: 2 } }
    const handlers = handlersWith(async () => ({ outcome: 'done' }))
    const without = await startWorker(lonely, handlers, { relayTimes: { pollSeconds: 0.05, againSeconds: 30 } })
    // The relay has looked, and has taken its offer back.
    await expect
      .poll(
        async () =>
          (
            await sql<{
              n: number
            }>`select n_tup_upd::int as n from pg_stat_user_tables where relname = 'jobs'`.execute(own.db)
          ).rows[0]?.n,
        { timeout: 10_000 },
      )
      .toBeGreaterThan(1)
    const began = performance.now()
    await without.stop()
    expect(performance.now() - began).toBeLessThan(3000)
    expect((await listJobs(own, { limit: 1 })).items).toMatchObject([{ state: 'owed', attempt: 0 }])
    const worker = await startWorker(own, handlers)
    await expect
      .poll(async () => (await listJobs(own, { limit: 1 })).items, { timeout: 10_000 })
      .toMatchObject([{ state: 'done' }])
    await worker.stop()
  })
})
