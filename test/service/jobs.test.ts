import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type JobId, newId, type RecordingId } from '../../src/base/ids.ts'
import { Problem } from '../../src/base/problem.ts'
import type { Engines } from '../../src/engines/engines.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { listJobs, retryJob } from '../../src/jobs/actions.ts'
import { TakenOver } from '../../src/jobs/job.ts'
import { runJob } from '../../src/jobs/run.ts'
import { testEngines } from '../engines.ts'
import { gate, handlersWith, oweWork } from '../handlers.ts'

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

const oweOne = async (dueAt?: Date): Promise<JobId> => await oweWork(engines, dueAt)

const row = async (id: JobId) =>
  await engines.db.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

const silence = async (id: JobId): Promise<void> => {
  await sql`update jobs set beat_at = now() - interval '1 hour' where id = ${id}`.execute(engines.db)
}

const makeDue = async (id: JobId): Promise<void> => {
  await sql`update jobs set due_at = now() where id = ${id}`.execute(engines.db)
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
    expect(await row(id)).toMatchObject({ state: 'done', said: 'the second', attempt: 2, failures: 1 })
    const written = await engines.db.selectFrom('officers').select('collar').execute()
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

  test('fails when it has ended its worker too often, without ending another', async () => {
    const id = await oweOne()
    const leftBehind = sql`update jobs set state = 'working', attempt = 1, beat_at = now() - interval '1 hour' where id = ${id}`
    await leftBehind.execute(engines.db)
    expect(await runJob(engines, broken, id, never)).toBe('failed')
    expect(await row(id)).toMatchObject({ failures: 2, said: 'no index was found: file:…: moov atom not found' })

    const other = await oweOne()
    await sql`update jobs set state = 'working', attempt = 1, failures = 1, beat_at = now() - interval '1 hour' where id = ${other}`.execute(
      engines.db,
    )
    let runs = 0
    const end = await runJob(
      engines,
      handlersWith(async () => {
        runs++
        return { outcome: 'done' }
      }),
      other,
      never,
    )
    expect([end, runs]).toEqual(['failed', 0])
    expect((await row(other)).said).toMatch(/fell silent/)
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
    ids.push(await oweWork(own))
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
  // Ids of the same millisecond have no order of birth.
  expect(seen).toEqual(ids.toSorted().toReversed())
  expect((await listJobs(own, { state: 'failed', limit: 50 })).items).toEqual([])
  await expect(listJobs(own, { limit: 2, cursor: 'bm9uc2Vuc2U' })).rejects.toMatchObject({ code: 'bad-request' })
  await expect(listJobs(own, { limit: 2, cursor: Buffer.from('["x"]').toString('base64url') })).rejects.toMatchObject({
    code: 'bad-request',
  })
})
