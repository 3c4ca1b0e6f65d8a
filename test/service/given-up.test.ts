import { randomBytes } from 'node:crypto'
import { Transform, type TransformOptions } from 'node:stream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { newId, type PolicyId, type PurgeId, type RecordingId } from '../../src/base/ids.ts'
import { retryJob } from '../../src/jobs/actions.ts'
import { runJob } from '../../src/jobs/run.ts'
import { approvePolicy, draftPolicy } from '../../src/retention/policies.ts'
import { readPurge, startDailyPurge, startPurge } from '../../src/retention/purges.ts'
import { askSimulation, listAffected, readSimulation } from '../../src/retention/simulations.ts'
import { openViewing } from '../../src/viewings/opening.ts'
import { handlers } from '../../workers/handlers.ts'
import { entriesAbout, kept, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { type FaultyStore, faultyStore, refuses } from '../faulty-store.ts'
import { aDock, codeOf, problemOf, sendFile, take } from '../footsteps.ts'
import { inForce, type Keepers, keepers, movedClock, purged, ran, simulated, statusOf } from '../retained.ts'

const clock = movedClock()
const day = 86_400_000
let store: FaultyStore
let engines: TestEngines
let people: Keepers
beforeAll(async () => {
  store = await faultyStore(inject('prepared').s3.endpoint)
  const env = { PURGE_CLOCK_MINUTES: '99999999', S3_ENDPOINT: store.endpoint, JOB_ATTEMPTS: '1' }
  engines = await testEngines({ clock, env })
  people = await keepers(engines)
  await inForce(engines, people, { category: null, trigger: 'recorded', period: 'P31D' })
})
afterAll(async () => {
  await engines[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
})
beforeEach(() => {
  clock.ahead = 0
})
afterEach(() => store.heal())

/** Of an original other bytes come than those in the store, so often. */
const damage = (times = Number.POSITIVE_INFINITY): void => {
  let left = times
  store.on('read', ({ request, pass }) => {
    if (left === 0 || request.url?.includes('/recordings/') !== true) return pass()
    left -= 1
    const transform: TransformOptions['transform'] = (chunk: Buffer, _encoding, done) =>
      done(null, Buffer.alloc(chunk.length))
    return pass({ content: new Transform({ transform }) })
  })
}

const jobOf = async (of: string) => {
  const jobs = await engines.db.selectFrom('jobs').select(['id', 'payload']).orderBy('id', 'desc').execute()
  const job = jobs.find(({ payload }) => Object.values(payload).includes(of))
  if (job === undefined) throw new Error('nothing is owed')
  return job.id
}
const run = async (of: string) => await runJob(engines, handlers, await jobOf(of), new AbortController().signal)

/** The store answers, and says neither yes nor its time. */
const givenUp = async (id: PurgeId): Promise<void> => {
  store.on('facts', refuses(403, 'AccessDenied'))
  expect(await run(id)).toBe('failed')
  store.heal()
}

describe('a purge whose job gave up', () => {
  test('says so, and the next one that is started takes its place', async () => {
    const recording = await kept(engines, randomBytes(64), { recordedAt: new Date(Date.now() - 40 * day) })
    const id = await startPurge(engines, people.drafter)
    await givenUp(id)
    const told = await readPurge(engines, id)
    expect(told).toMatchObject({ state: 'failed', hidden: 0, endedAt: null })
    expect(told.said).toMatch(/^It gave up: .*[^.]\. What it has hidden is in grace .* start a purge/)
    const started = await Promise.all(Array.from({ length: 5 }, async () => await startPurge(engines, people.approver)))
    const [next] = started
    if (next === undefined) throw new Error('none was started')
    expect(new Set(started)).toEqual(new Set([next]))
    expect(next).not.toBe(id)
    expect(await readPurge(engines, id)).toEqual({ ...told, endedAt: expect.any(String) })
    expect(await ran(engines, next)).toMatchObject({ state: 'done', hidden: 1 })
    expect(await statusOf(engines, recording)).toBe('grace')
    const ends = (await entriesAbout(engines, id)).filter(({ action }) => action === 'purge.ended')
    expect(ends).toMatchObject([{ outcome: 'failed', actor: { id: people.approver.id }, detail: { said: told.said } }])
    // Tried again afterwards, it does nothing.
    await retryJob(engines, { kind: 'service', id: 'test' }, await jobOf(id))
    expect(await run(id)).toBe('skipped')
  })

  test('goes on where an administrator has it tried again before another is started', async () => {
    const id = await startPurge(engines, null)
    await givenUp(id)
    await retryJob(engines, { kind: 'service', id: 'test' }, await jobOf(id))
    expect(await readPurge(engines, id)).toMatchObject({ state: 'running', said: null })
    expect(await startPurge(engines, people.drafter)).toBe(id)
    expect(await run(id)).toBe('done')
    expect(await readPurge(engines, id)).toMatchObject({ state: 'done' })
  })

  test('does not keep the daily one of the next day from being started', async () => {
    const id = await startPurge(engines, null)
    await givenUp(id)
    clock.ahead = day
    expect(await startDailyPurge(engines)).toBe(1)
    expect(await readPurge(engines, id)).toMatchObject({ state: 'failed', endedAt: expect.any(String) })
    const under = await engines.db.selectFrom('purges').select('id').where('state', '=', 'running').execute()
    expect(under).toHaveLength(1)
    for (const each of under) await ran(engines, each.id)
    expect(await purged(engines)).toMatchObject({ state: 'done' })
  })
})

describe('a simulation whose job gave up', () => {
  test('says so, carries no approval, and is made again', async () => {
    const { id: policy } = await draftPolicy(engines, people.drafter, {
      category: `category ${newId()}`,
      trigger: 'recorded',
      period: 'P1D',
    })
    const id = await askSimulation(engines, people.drafter, policy)
    // Its worker died with it again and again.
    const silent = { state: 'working', failures: 1, beatAt: new Date(0) } as const
    await engines.db
      .updateTable('jobs')
      .set(silent)
      .where('id', '=', await jobOf(id))
      .execute()
    expect(await run(id)).toBe('failed')
    const words = /^The simulation gave up: its workers fell silent .*\. Nothing has changed\. Simulate the draft again/
    const told = await readSimulation(engines, people.approver, policy)
    expect(told).toMatchObject({ id, state: 'failed', failure: expect.stringMatching(words) })
    const affected = await problemOf(listAffected(engines, people.approver, policy, 50, undefined))
    expect([affected?.code, affected?.detail]).toEqual(['conflict', expect.stringMatching(words)])
    const approval = async (of: PolicyId) => await approvePolicy(engines, people.approver, of, undefined)
    expect((await problemOf(approval(policy)))?.detail).toMatch(words)
    await simulated(engines, people.drafter, policy)
    expect(await readSimulation(engines, people.approver, policy)).toMatchObject({ state: 'ready', failure: null })
    expect(await codeOf(approval(policy))).toBe('accepted')
  })
})

describe('footage whose taking in was given up after its receipt', () => {
  /** Its worker is killed when the receipt is signed. */
  const cutOff = async (recording: RecordingId) => {
    let fences = 0
    const fence = async () => {
      if (++fences === 3) throw new Error('the worker was killed')
    }
    await expect(take(engines, recording, { fence })).rejects.toThrow('killed')
  }
  const alarms = async () => (await engines.metrics.storeMismatches.get()).values[0]?.value ?? 0

  test('is said to be so to whoever would watch it, and is examined when an administrator has it tried again', async () => {
    const asha = await someone(engines, ['investigator'])
    const { recording, sha256 } = await sendFile(engines, await aDock(engines), randomBytes(5000))
    const watch = async () => await problemOf(openViewing(engines, asha, recording, 'case 12/3456'))
    await cutOff(recording)
    expect(await statusOf(engines, recording)).toBe('verified')
    expect(await watch()).toMatchObject({ code: 'not-playable-yet' })
    const before = await alarms()
    damage()
    expect(await run(recording)).toBe('failed')
    store.heal()
    expect(await watch()).toMatchObject({
      code: 'not-playable',
      detail: expect.stringMatching(/An administrator can have it tried again\. The original is in custody/),
    })
    expect(await alarms()).toBe(before + 1)
    const found = (await entriesAbout(engines, recording)).filter(({ action }) => action === 'recording.mismatch-found')
    expect(found).toMatchObject([{ outcome: 'failed', detail: { file: 'original', sha256, size: 5000 } }])
    await retryJob(engines, { kind: 'service', id: 'test' }, await jobOf(recording))
    expect(await watch()).toMatchObject({ code: 'not-playable-yet' })
    expect(await run(recording)).toBe('done')
    expect(await statusOf(engines, recording)).toBe('active')
  })

  test('is no alarm where bytes were damaged on their way here, and are right when they are read again', async () => {
    const { recording } = await sendFile(engines, await aDock(engines), randomBytes(5000))
    await cutOff(recording)
    const before = await alarms()
    damage(1)
    expect(await run(recording)).toBe('failed')
    const { said } = await engines.db
      .selectFrom('jobs')
      .select('said')
      .where('id', '=', await jobOf(recording))
      .executeTakeFirstOrThrow()
    expect(said).toContain('damaged on their way')
    expect(await alarms()).toBe(before)
  })
})
