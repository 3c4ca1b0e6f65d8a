import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Transform, type TransformOptions } from 'node:stream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { newId, type PolicyId, type PurgeId, type RecordingId } from '../../src/base/ids.ts'
import { requestClip } from '../../src/clips/actions.ts'
import { requestDownload } from '../../src/downloads/actions.ts'
import { retryJob } from '../../src/jobs/actions.ts'
import { runJob } from '../../src/jobs/run.ts'
import type { Person } from '../../src/people/person.ts'
import { restore } from '../../src/retention/decisions.ts'
import { approvePolicy, draftPolicy } from '../../src/retention/policies.ts'
import { readPurge, startDailyPurge, startPurge } from '../../src/retention/purges.ts'
import { askSimulation, listAffected, readSimulation } from '../../src/retention/simulations.ts'
import { openViewing } from '../../src/viewings/opening.ts'
import { handlers } from '../../workers/handlers.ts'
import { askBundle, put } from '../bundled.ts'
import { aCase } from '../case-files.ts'
import { entriesAbout, kept, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { type FaultyStore, faultyStore, refuses } from '../faulty-store.ts'
import { aDock, codeOf, problemOf, sendFile, take } from '../footsteps.ts'
import { inForce, type Keepers, keepers, movedClock, purged, ran, simulated, statusOf } from '../retained.ts'
import { ffmpeg } from '../shown.ts'

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

/** The newest job about something, but for what the store is told of a hold. */
const jobOf = async (of: string) => {
  const query = engines.db.selectFrom('jobs').select(['id', 'payload']).where('name', '!=', 'hold-original')
  const jobs = await query.orderBy('id', 'desc').execute()
  const job = jobs.find(({ payload }) => Object.values(payload).includes(of))
  if (job === undefined) throw new Error('nothing is owed')
  return job.id
}
const run = async (of: string) => await runJob(engines, handlers, await jobOf(of), new AbortController().signal)

/** Its worker died with it again and again. */
const fallSilent = async (of: string): Promise<void> => {
  const silent = { state: 'working', failures: 1, beatAt: new Date(0) } as const
  await engines.db
    .updateTable('jobs')
    .set(silent)
    .where('id', '=', await jobOf(of))
    .execute()
  expect(await run(of)).toBe('failed')
}

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
    await retried(id)
    expect(await run(id)).toBe('skipped')
  })

  test('goes on where an administrator has it tried again before another is started', async () => {
    const id = await startPurge(engines, null)
    await givenUp(id)
    await retried(id)
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
    await fallSilent(id)
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

/** Its worker is killed when the receipt is signed. */
const cutOff = async (recording: RecordingId) => {
  let fences = 0
  const fence = async () => {
    if (++fences === 3) throw new Error('the worker was killed')
  }
  await expect(take(engines, recording, { fence })).rejects.toThrow('killed')
  expect(await statusOf(engines, recording)).toBe('verified')
}
const retried = async (of: string) => await retryJob(engines, { kind: 'service', id: 'test' }, await jobOf(of))

describe('footage whose taking in was given up after its receipt', () => {
  const alarms = async () => (await engines.metrics.storeMismatches.get()).values[0]?.value ?? 0

  test('is said to be so to whoever would watch it, and is examined when an administrator has it tried again', async () => {
    const asha = await someone(engines, ['investigator'])
    const { recording, sha256 } = await sendFile(engines, await aDock(engines), randomBytes(5000))
    const watch = async () => await problemOf(openViewing(engines, asha, recording, 'case 12/3456'))
    await cutOff(recording)
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
    await retried(recording)
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

describe('what is asked of footage whose taking in was given up', () => {
  let asha: Person
  let folder: string
  beforeAll(async () => {
    asha = await someone(engines, ['investigator'])
    folder = await mkdtemp(path.join(tmpdir(), 'exhibit-given-up-'))
    await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=320x240:r=25:d=4', '-g', '25', path.join(folder, 'footage.mp4'))
  })
  afterAll(async () => await rm(folder, { recursive: true, force: true }))

  const sent = async () => {
    const bytes = await readFile(path.join(folder, 'footage.mp4'))
    const wish = { camera: `CAM-${newId()}`, recordedAt: clock.now() }
    return (await sendFile(engines, await aDock(engines), bytes, wish)).recording
  }
  const doors = (recording: RecordingId) => ({
    view: async () => await problemOf(openViewing(engines, asha, recording, 'case 12/3456')),
    cut: async () => {
      const asked = { start: 1, end: 2, title: 'What happened', reason: 'case 12/3456' }
      return await problemOf(requestClip(engines, asha, recording, asked))
    },
    fetch: async () =>
      await problemOf(requestDownload(engines, asha, { type: 'recording', id: recording }, 'case 12/3456')),
    place: async () =>
      await problemOf(put(engines, asha, await aCase(engines, asha), 'AB/1', { recordingId: recording })),
  })

  test('before its receipt: nothing of it can be had, and whoever asks is told why and whom to ask', async () => {
    const recording = await sent()
    const { view, cut, fetch, place } = doors(recording)
    const codes = async () => [await view(), await cut(), await fetch(), await place()].map((problem) => problem?.code)
    const waiting = ['not-playable-yet', 'not-ready', 'not-ready', 'not-ready']
    expect(await codes()).toEqual(waiting)
    await fallSilent(recording)
    expect(await statusOf(engines, recording)).toBe('received')
    const told = {
      code: 'conflict',
      detail:
        'The footage has arrived and could not be taken into custody yet: trying was given up. An administrator can have it tried again; until then nothing of it can be had.',
      retryAfter: undefined,
    }
    for (const ask of [view, cut, fetch, place]) expect(await ask()).toMatchObject(told)
    await retried(recording)
    expect(await codes()).toEqual(waiting)
    expect(await run(recording)).toBe('done')
    expect(await codes()).toEqual([undefined, undefined, undefined, undefined])
  })

  test('after it: no clip and no bundle is promised, and both are made once it is tried again', async () => {
    const recording = await sent()
    const { cut, fetch } = doors(recording)
    await cutOff(recording)
    const into = await aCase(engines, asha)
    const exhibit = await put(engines, asha, into, 'AB/7', { recordingId: recording })
    const bundle = async () => await problemOf(askBundle(engines, asha, into, [exhibit]))
    const waiting = { code: 'not-ready', retryAfter: expect.any(Number) }
    for (const ask of [cut, bundle]) expect(await ask()).toMatchObject(waiting)
    await fallSilent(recording)
    const words =
      'could not be examined: trying was given up. An administrator can have it tried again. The original is in custody and can be downloaded.'
    expect(await cut()).toMatchObject({
      code: 'clip-impossible',
      detail: `The footage ${words}`,
      retryAfter: undefined,
    })
    expect(await bundle()).toMatchObject({
      code: 'conflict',
      detail: `The footage of AB/7 ${words}`,
      retryAfter: undefined,
    })
    expect(await fetch()).toBeUndefined()
    await retried(recording)
    for (const ask of [cut, bundle]) expect(await ask()).toMatchObject(waiting)
    expect(await run(recording)).toBe('done')
    for (const ask of [cut, bundle]) expect(await ask()).toBeUndefined()
  })

  test('is told that it is examined where it is restored, which owes that anew', async () => {
    clock.ahead = -40 * day
    const recording = await sent()
    clock.ahead = 0
    const { view, cut } = doors(recording)
    await cutOff(recording)
    await fallSilent(recording)
    expect([(await view())?.code, (await cut())?.code]).toEqual(['not-playable', 'clip-impossible'])
    expect(await purged(engines)).toMatchObject({ state: 'done', hidden: 1 })
    expect((await view())?.code).toBe('conflict')
    await restore(engines, people.supervisor, recording, 'It is needed')
    expect(await statusOf(engines, recording)).toBe('verified')
    expect([(await view())?.code, (await cut())?.code]).toEqual(['not-playable-yet', 'not-ready'])
    await fallSilent(recording)
    expect([(await view())?.code, (await cut())?.code]).toEqual(['not-playable', 'clip-impossible'])
    await retried(recording)
    expect((await view())?.code).toBe('not-playable-yet')
    expect(await run(recording)).toBe('done')
    expect([await view(), await cut()]).toEqual([undefined, undefined])
  })
})
