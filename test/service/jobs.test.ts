import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type JobId, newId, type RecordingId } from '../../src/base/ids.ts'
import { Problem } from '../../src/base/problem.ts'
import type { Engines } from '../../src/engines/engines.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { listJobs, retryJob } from '../../src/jobs/actions.ts'
import type { Handler, Handlers } from '../../src/jobs/catalogue.ts'
import { TakenOver } from '../../src/jobs/job.ts'
import { owe } from '../../src/jobs/outbox.ts'
import { runJob } from '../../src/jobs/run.ts'
import { type Sweep, startSweeps } from '../../src/jobs/sweeps.ts'
import { startWorker } from '../../workers/worker.ts'
import { testEngines } from '../engines.ts'

let shared: Awaited<ReturnType<typeof testEngines>>
let engines: Engines
const never = new AbortController().signal
const admin = { kind: 'person', id: newId<RecordingId>(), role: 'admin' } as const

beforeAll(async () => {
  shared = await testEngines()
  engines = { ...shared, config: { ...shared.config, JOB_ATTEMPTS: 2, STOP_SECONDS: 5 } }
})
afterAll(async () => {
  await shared[Symbol.asyncDispose]()
})

const idle: Handler<'clear-upload'> = async () => ({ outcome: 'done' })
const handlersWith = (take: Handler<'take-into-custody'>): Handlers => ({
  'take-into-custody': take,
  'clear-upload': idle,
  'clear-recording': async () => ({ outcome: 'done' }),
})

const oweOne = async (dueAt?: Date): Promise<JobId> =>
  await inTransaction(engines.db, async (tx) => {
    const payload = { recordingId: newId<RecordingId>() }
    return await owe(tx, engines.clock, 'take-into-custody', payload, {
      cause: null,
      ...(dueAt === undefined ? {} : { dueAt }),
    })
  })

const row = async (id: JobId) =>
  await engines.db.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

const silence = async (id: JobId): Promise<void> => {
  await sql`update jobs set beat_at = now() - interval '1 hour' where id = ${id}`.execute(engines.db)
}

const makeDue = async (id: JobId): Promise<void> => {
  await sql`update jobs set due_at = now() where id = ${id}`.execute(engines.db)
}

/** A handler that stands still until it is let go. */
const gate = () => {
  const begun = Promise.withResolvers<void>()
  const open = Promise.withResolvers<void>()
  return { begun, open }
}

describe('one attempt', () => {
  test('does the work, and keeps what the handler said', async () => {
    const id = await oweOne()
    const end = await runJob(
      engines,
      handlersWith(async () => ({ outcome: 'done', said: 'it is in custody' })),
      id,
      never,
    )
    expect(end).toBe('done')
    expect(await row(id)).toMatchObject({
      state: 'done',
      said: 'it is in custody',
      attempt: 1,
      failures: 0,
      progress: 1,
    })
  })

  test('that found nothing to do is skipped, and says why', async () => {
    const id = await oweOne()
    await runJob(
      engines,
      handlersWith(async () => ({ outcome: 'skipped', because: 'it is verified already' })),
      id,
      never,
    )
    expect(await row(id)).toMatchObject({ state: 'skipped', said: 'it is verified already' })
  })

  test('is one, of two deliveries at the same moment', async () => {
    const id = await oweOne()
    const { begun, open } = gate()
    let runs = 0
    const handlers = handlersWith(async () => {
      runs++
      begun.resolve()
      await open.promise
      return { outcome: 'done' }
    })
    const deliveries = [1, 2, 3].map(async () => await runJob(engines, handlers, id, never))
    await begun.promise
    open.resolve()
    expect((await Promise.all(deliveries)).toSorted()).toEqual(['done', 'not-taken', 'not-taken'])
    expect(runs).toBe(1)
    expect(await runJob(engines, handlers, id, never)).toBe('not-taken')
  })

  test('begins only when the job is due', async () => {
    const id = await oweOne(new Date(Date.now() + 3_600_000))
    expect(
      await runJob(
        engines,
        handlersWith(async () => ({ outcome: 'done' })),
        id,
        never,
      ),
    ).toBe('not-taken')
    await makeDue(id)
    expect(
      await runJob(
        engines,
        handlersWith(async () => ({ outcome: 'done' })),
        id,
        never,
      ),
    ).toBe('done')
  })

  test('that another took over cannot apply its result', async () => {
    const id = await oweOne()
    const { begun, open } = gate()
    const late = runJob(
      engines,
      handlersWith(async (_engines, { recordingId }, { fence }) => {
        begun.resolve()
        await open.promise
        await inTransaction(engines.db, async (tx) => {
          await sql`insert into officers (collar, first_seen_at) values (${recordingId}, now())`.execute(tx)
          await fence(tx)
        })
        return { outcome: 'done', said: 'the first' }
      }),
      id,
      never,
    )
    await begun.promise
    await silence(id)
    expect(
      await runJob(
        engines,
        handlersWith(async () => ({ outcome: 'done', said: 'the second' })),
        id,
        never,
      ),
    ).toBe('done')
    open.resolve()
    expect(await late).toBe('taken-over')
    const { payload, ...rest } = await row(id)
    expect(rest).toMatchObject({ state: 'done', said: 'the second', attempt: 2, failures: 1 })
    const written = await engines.db
      .selectFrom('officers')
      .select('collar')
      .where('collar', '=', payload.recordingId as never)
      .execute()
    expect(written).toEqual([])
  })

  test('that another took over is told by its signal, and its answer does not count', async () => {
    const quick = { ...engines, config: { ...engines.config, JOB_LEASE_SECONDS: 1 } }
    const id = await oweOne()
    const { begun } = gate()
    const early = runJob(
      quick,
      handlersWith(async (_engines, _payload, { signal }) => {
        begun.resolve()
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        expect(signal.reason).toBeInstanceOf(TakenOver)
        return { outcome: 'done', said: 'the first' }
      }),
      id,
      never,
    )
    await begun.promise
    await silence(id)
    await runJob(
      quick,
      handlersWith(async () => ({ outcome: 'done', said: 'the second' })),
      id,
      never,
    )
    expect(await early).toBe('taken-over')
    expect((await row(id)).said).toBe('the second')
  })

  test('beats while it works, so that nobody takes it over', async () => {
    const quick = { ...engines, config: { ...engines.config, JOB_LEASE_SECONDS: 2 } }
    const id = await oweOne()
    const { open, begun } = gate()
    const handlers = handlersWith(async () => {
      begun.resolve()
      await open.promise
      return { outcome: 'done' }
    })
    const working = runJob(quick, handlers, id, never)
    await begun.promise
    const first = (await row(id)).beatAt
    await expect.poll(async () => (await row(id)).beatAt, { timeout: 10_000 }).not.toEqual(first)
    expect(await runJob(quick, handlers, id, never)).toBe('not-taken')
    open.resolve()
    expect(await working).toBe('done')
  })

  test('hands the job back at once when the worker stops, without counting a failure and with its progress', async () => {
    const id = await oweOne()
    const stop = new AbortController()
    const { begun } = gate()
    const working = runJob(
      engines,
      handlersWith(async (_engines, _payload, { signal, progress }) => {
        progress(0.4)
        begun.resolve()
        await new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
        )
        return { outcome: 'done' }
      }),
      id,
      stop.signal,
    )
    await begun.promise
    await expect.poll(async () => (await row(id)).progress, { timeout: 10_000 }).toBe(0.4)
    stop.abort()
    expect(await working).toBe('handed-back')
    expect(await row(id)).toMatchObject({
      state: 'owed',
      failures: 0,
      attempt: 1,
      progress: 0.4,
      said: null,
      offeredAt: null,
    })
    expect(
      await runJob(
        engines,
        handlersWith(async () => ({ outcome: 'done' })),
        id,
        stop.signal,
      ),
    ).toBe('not-taken')
    expect(
      await runJob(
        engines,
        handlersWith(async () => ({ outcome: 'done' })),
        id,
        never,
      ),
    ).toBe('done')
  })
})

describe('a job that goes wrong', () => {
  const broken = handlersWith(async () => {
    throw Object.assign(new Error('no index was found'), { detail: 'file:/tmp/exhibit/x/in.mp4: moov atom not found' })
  })

  test('is tried again later, then fails for all to see, and a person can have it tried again', async () => {
    const id = await oweOne()
    expect(await runJob(engines, broken, id, never)).toBe('again')
    const { dueAt, ...once } = await row(id)
    expect(once).toMatchObject({ state: 'owed', failures: 1, offeredAt: null })
    expect(dueAt.getTime()).toBeGreaterThan(Date.now())
    expect(await runJob(engines, broken, id, never)).toBe('not-taken')

    await makeDue(id)
    expect(await runJob(engines, broken, id, never)).toBe('failed')
    const { items } = await listJobs(engines, { state: 'failed', limit: 200 })
    expect(items.find((job) => job.id === id)).toMatchObject({
      state: 'failed',
      failures: 2,
      said: 'no index was found: file:…: moov atom not found',
      endedAt: expect.any(String),
    })

    const again = await retryJob(engines, admin, id)
    expect(again).toMatchObject({ state: 'owed', failures: 0, attempt: 2 })
    const entries = await engines.db.selectFrom('entryBodies').selectAll().where('subjectId', '=', id).execute()
    expect(entries).toMatchObject([{ action: 'job.retried', subjectType: 'job', parts: { actor: { value: admin } } }])
    expect(
      await runJob(
        engines,
        handlersWith(async () => ({ outcome: 'done' })),
        id,
        never,
      ),
    ).toBe('done')
  })

  test('is retried for ever while the store or the database is away, and loses no attempt by it', async () => {
    const id = await oweOne()
    const outage = handlersWith(async () => {
      throw new Problem('store-unavailable')
    })
    for (const _ of Array.from({ length: 8 })) {
      expect(await runJob(engines, outage, id, never)).toBe('again')
      await makeDue(id)
    }
    expect(await runJob(engines, outage, id, never)).toBe('again')
    const { dueAt, ...job } = await row(id)
    expect(job).toMatchObject({ state: 'owed', failures: 0, attempt: 9, said: 'The object store does not answer' })
    expect(dueAt.getTime() - Date.now()).toBeLessThan(80_000)
  })

  test('fails when it ends its worker each time', async () => {
    const id = await oweOne()
    for (const _ of [1, 2]) {
      const { begun, open } = gate()
      const stuck = runJob(
        engines,
        handlersWith(async () => {
          begun.resolve()
          await open.promise
          throw new Error('too late')
        }),
        id,
        never,
      )
      await begun.promise
      await silence(id)
      open.resolve()
      // Its heartbeat stopped an hour ago, yet nobody took it: it is still its own.
      expect(await stuck).toBe('again')
      await sql`update jobs set state = 'working', failures = 1, beat_at = now() - interval '1 hour' where id = ${id}`.execute(
        engines.db,
      )
    }
    const end = await runJob(
      engines,
      handlersWith(async () => ({ outcome: 'done' })),
      id,
      never,
    )
    expect(end).toBe('failed')
    expect((await row(id)).said).toMatch(/fell silent/)
  })

  test('with a payload that is not what it needs says so', async () => {
    const id = await oweOne()
    await sql`update jobs set payload = '{"recordingId": "x"}' where id = ${id}`.execute(engines.db)
    await runJob(
      engines,
      handlersWith(async () => ({ outcome: 'done' })),
      id,
      never,
    )
    expect((await row(id)).said).toBe('the payload is not what take-into-custody needs')
  })

  test('is retried by a person only when it failed', async () => {
    await expect(retryJob(engines, admin, newId<JobId>())).rejects.toMatchObject({ code: 'not-found' })
    const id = await oweOne()
    await expect(retryJob(engines, admin, id)).rejects.toMatchObject({ code: 'conflict' })
  })
})

test('the list of jobs is read page by page, newest first', async () => {
  await using own = await testEngines()
  const ids: JobId[] = []
  for (const _ of Array.from({ length: 5 })) {
    const payload = { recordingId: newId<RecordingId>() }
    ids.push(
      await inTransaction(own.db, async (tx) => await owe(tx, own.clock, 'clear-recording', payload, { cause: null })),
    )
  }
  const seen: JobId[] = []
  let cursor: string | null = null
  do {
    const page: Awaited<ReturnType<typeof listJobs>> = await listJobs(own, {
      limit: 2,
      ...(cursor === null ? {} : { cursor }),
    })
    seen.push(...page.items.map((job) => job.id))
    cursor = page.nextCursor
  } while (cursor !== null)
  expect(seen).toEqual(ids.toReversed())
  expect((await listJobs(own, { state: 'failed', limit: 50 })).items).toEqual([])
  await expect(listJobs(own, { limit: 2, cursor: 'bm9uc2Vuc2U' })).rejects.toMatchObject({ code: 'bad-request' })
  await expect(listJobs(own, { limit: 2, cursor: Buffer.from('["x"]').toString('base64url') })).rejects.toMatchObject({
    code: 'bad-request',
  })
})

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
      const payload = { recordingId: newId<RecordingId>() }
      await inTransaction(own.db, async (tx) => await owe(tx, own.clock, 'take-into-custody', payload, { cause: null }))
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
    const payload = { recordingId: newId<RecordingId>() }
    const id = await inTransaction(
      own.db,
      async (tx) => await owe(tx, own.clock, 'take-into-custody', payload, { cause: null }),
    )
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

  test('lose nothing while Redis is away, and stop in time without it', async () => {
    await using own = await testEngines()
    const payload = { recordingId: newId<RecordingId>() }
    await inTransaction(own.db, async (tx) => await owe(tx, own.clock, 'take-into-custody', payload, { cause: null }))
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

describe('a sweep', () => {
  test('is run by one worker at a time, and by the next when that one ends', async () => {
    await using own = await testEngines()
    const runs: string[] = []
    const sweepOf = (who: string): Sweep => ({
      name: 'count',
      everySeconds: 0.05,
      run: async () => runs.push(who),
    })
    const [first, second] = [new AbortController(), new AbortController()]
    const one = startSweeps(own, [sweepOf('first')], first.signal)
    await expect.poll(() => runs.length, { timeout: 5000 }).toBeGreaterThan(1)
    const two = startSweeps(own, [sweepOf('second')], second.signal)
    const seen = runs.length
    await expect.poll(() => runs.length, { timeout: 5000 }).toBeGreaterThan(seen + 5)
    expect(new Set(runs)).toEqual(new Set(['first']))
    first.abort()
    await one
    await expect.poll(() => runs.includes('second'), { timeout: 5000 }).toBe(true)
    second.abort()
    await two
  })

  test('that throws runs again, and hinders no other', async () => {
    await using own = await testEngines()
    let bad = 0
    let good = 0
    const end = new AbortController()
    const failing = async (): Promise<number> => {
      bad++
      throw new Error('not today')
    }
    const sweeps = [
      { name: 'bad', everySeconds: 0.05, run: failing },
      { name: 'good', everySeconds: 0.05, run: async () => good++ },
    ]
    const running = startSweeps(own, sweeps, end.signal)
    await expect.poll(() => Math.min(bad, good), { timeout: 5000 }).toBeGreaterThan(2)
    end.abort()
    await running
  })
})
