import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { JobId } from '../../src/base/ids.ts'
import { type EmbeddedRedis, startRedis } from '../../src/engines/embedded/redis.ts'
import { makeQueue } from '../../src/engines/queue.ts'
import { hastyRedis } from '../../src/engines/redis.ts'
import { listJobs } from '../../src/jobs/actions.ts'
import { startRelay } from '../../src/jobs/relay.ts'
import { startWorker } from '../../workers/worker.ts'
import { type Prepared, prepareServers, type TestEngines, testEngines } from '../engines.ts'
import { gate, handlersWith, oweWork } from '../handlers.ts'
import { startEmbedded } from '../servers.ts'

let own: Awaited<ReturnType<typeof startEmbedded>>
let prepared: Prepared
let engines: TestEngines
let nextRedis: EmbeddedRedis | undefined
beforeAll(async () => {
  own = await startEmbedded()
  prepared = await prepareServers(own.servers)
})
afterAll(async () => {
  await nextRedis?.stop()
  await own.stop()
})
beforeEach(async () => {
  engines = await testEngines({ prepared, env: { JOB_LEASE_SECONDS: '5', STOP_SECONDS: '3' } })
})
afterEach(async () => await engines[Symbol.asyncDispose]())

const prompt = { pollSeconds: 0.1, againSeconds: 1 }
const jobs = async () => (await listJobs(engines, { limit: 200 })).items
const doNothing = handlersWith(async () => ({ outcome: 'done' }))

const workerProcess = () => {
  const file = new URL('./jobs-process.ts', import.meta.url)
  const child = spawn(process.execPath, [file.pathname], {
    env: { ...engines.environment, PATH: process.env.PATH },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return { child, ended: once(child, 'exit') }
}

test('a job whose worker is killed is done by another, and its progress was kept', async () => {
  const id = await oweWork(engines)
  const { child, ended } = workerProcess()
  await expect.poll(jobs, { timeout: 20_000 }).toMatchObject([{ id, state: 'working', progress: 0.5 }])
  child.kill('SIGKILL')
  await ended
  expect(await jobs()).toMatchObject([{ id, state: 'working', attempt: 1 }])
  const other = await startWorker(engines, doNothing, { relayTimes: prompt })
  await expect.poll(jobs, { timeout: 30_000 }).toMatchObject([{ id, state: 'done', attempt: 2, failures: 1 }])
  await other.stop()
})

test('a worker told to stop hands its job back and is gone in its time', async () => {
  const id = await oweWork(engines)
  const { child, ended } = workerProcess()
  await expect.poll(jobs, { timeout: 20_000 }).toMatchObject([{ id, state: 'working', progress: 0.5 }])
  const began = performance.now()
  child.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  expect(performance.now() - began).toBeLessThan(engines.config.STOP_SECONDS * 1000 + 500)
  expect(await jobs()).toMatchObject([{ id, state: 'owed', failures: 0, progress: 0.5 }])
})

test('no job is lost when Redis forgets everything', async () => {
  const queue = makeQueue(engines.config, engines.log)
  const stop = new AbortController()
  const relay = startRelay(engines, queue, stop.signal, { pollSeconds: 0.1, againSeconds: 3600 })
  const owed: JobId[] = []
  for (const _ of Array.from({ length: 20 })) owed.push(await oweWork(engines))
  const offered = async () =>
    (await sql<{ n: number }>`select count(*)::int as n from jobs where offered_at is not null`.execute(engines.db))
      .rows[0]?.n
  await expect.poll(offered, { timeout: 10_000 }).toBe(owed.length)
  stop.abort()
  await relay
  await queue.close()
  await flushRedis()

  const runs = new Map<JobId, number>()
  const handlers = handlersWith(async (_engines, _payload, { jobId }) => {
    runs.set(jobId, (runs.get(jobId) ?? 0) + 1)
    return { outcome: 'done' }
  })
  const worker = await startWorker(engines, handlers, { relayTimes: prompt })
  await expect.poll(() => runs.size, { timeout: 20_000 }).toBe(owed.length)
  await worker.stop()
  expect([...runs.values()].every((count) => count === 1)).toBe(true)
})

test('a worker whose Redis forgets everything while it works goes on with what it has and with what comes', async () => {
  const { begun, open } = gate()
  const handlers = handlersWith(async () => {
    begun.resolve()
    await open.promise
    return { outcome: 'done' }
  })
  const worker = await startWorker(engines, handlers, { relayTimes: prompt })
  const first = await oweWork(engines)
  await begun.promise
  await flushRedis()
  const second = await oweWork(engines)
  open.resolve()
  await expect.poll(jobs, { timeout: 20_000 }).toMatchObject([
    { id: second, state: 'done', attempt: 1 },
    { id: first, state: 'done', attempt: 1 },
  ])
  await worker.stop()
})

test('a worker goes on when Redis was killed and comes back empty', async () => {
  const worker = await startWorker(engines, doNothing, { relayTimes: prompt })
  const first = await oweWork(engines)
  await expect.poll(jobs, { timeout: 20_000 }).toMatchObject([{ id: first, state: 'done' }])
  process.kill(own.engines.redis.pid, 'SIGKILL')
  const second = await oweWork(engines)
  await rm(join(own.dataDir, 'redis'), { recursive: true, force: true })
  nextRedis = await startRedis({ dataDir: own.dataDir, log: () => undefined, endWithParent: true })
  await expect.poll(jobs, { timeout: 30_000 }).toMatchObject([{ id: second, state: 'done', attempt: 1 }, { id: first }])
  await worker.stop()
})

test('a job outlives the loss of every database connection, and is done once', async () => {
  const { begun, open } = gate()
  let runs = 0
  const handlers = handlersWith(async () => {
    runs++
    begun.resolve()
    await open.promise
    return { outcome: 'done' }
  })
  const worker = await startWorker(engines, handlers, { relayTimes: prompt })
  const first = await oweWork(engines)
  await begun.promise
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and usename = current_user and pid <> pg_backend_pid()`.execute(engines.db)
  open.resolve()
  await expect.poll(jobs, { timeout: 20_000 }).toMatchObject([{ id: first, state: 'done', attempt: 1 }])
  const second = await oweWork(engines)
  await expect.poll(jobs, { timeout: 20_000 }).toMatchObject([{ id: second, state: 'done' }, { id: first }])
  expect(runs).toBe(2)
  await worker.stop()
})

const flushRedis = async (): Promise<void> => {
  const redis = hastyRedis(engines.config.REDIS_URL, engines.log)
  await once(redis, 'ready')
  await redis.flushall()
  redis.disconnect()
}
