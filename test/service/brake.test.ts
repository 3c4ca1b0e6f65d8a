import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId, type RecordingId } from '../../src/base/ids.ts'
import { restore } from '../../src/retention/decisions.ts'
import { hide, Spent } from '../../src/retention/hiding.ts'
import { runPurge } from '../../src/retention/purge.ts'
import { readPurge, releasePurge, startPurge } from '../../src/retention/purges.ts'
import { kept } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { actionsOn, codeOf, runOf } from '../footsteps.ts'
import { inForce, type Keepers, keepers, locksOver, movedClock, purged, ran, statusOf } from '../retained.ts'

const clock = movedClock()
const day = 86_400_000
const env = { PURGE_CLOCK_MINUTES: '99999999', RETENTION_LOCK_SECONDS: '1', PURGE_BRAKE: '3' }
let engines: TestEngines
let people: Keepers
let category: string
beforeAll(async () => {
  engines = await testEngines({ clock, env })
  people = await keepers(engines)
})
afterAll(async () => await engines[Symbol.asyncDispose]())
beforeEach(() => {
  clock.ahead = 0
  category = `category ${newId()}`
})

const inTraffic = async () => await inForce(engines, people, { category, trigger: 'recorded', period: 'P31D' })
const footage = async (days: number): Promise<RecordingId> =>
  await kept(engines, randomBytes(64), { category, recordedAt: new Date(Date.now() - days * day) })
/** On to the end of any grace. */
const afterGrace = async () => {
  clock.ahead += 31 * day
  await locksOver(engines)
}

describe('a purge that finds more than it may hide', () => {
  test('stops whole until another person releases it', async () => {
    await inTraffic()
    const hiddenBefore = await footage(40)
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    await afterGrace()
    const ids = await Promise.all([40, 41, 42, 43].map(async (days) => await footage(days)))
    const id = await startPurge(engines, people.drafter)
    expect(await ran(engines, id)).toMatchObject({ state: 'braked', hidden: 0, erased: 0, batch: 4 })
    expect(await statusOf(engines, hiddenBefore)).toBe('grace')
    expect((await readPurge(engines, id)).said).toMatch(/4 recordings are due, and a purge may hide 3/)
    // Neither another purge nor another run gets past it.
    expect(await startPurge(engines, people.supervisor)).toBe(id)
    expect(await ran(engines, id)).toMatchObject({ state: 'braked' })
    expect(await codeOf(releasePurge(engines, people.drafter, id, 'go on'))).toBe('same-person')
    await releasePurge(engines, people.supervisor, id, 'they were announced')
    expect(await ran(engines, id)).toMatchObject({ state: 'done', hidden: 4, failed: 0 })
    expect(await statusOf(engines, hiddenBefore)).toBe('erased')
    for (const each of ids) expect(await statusOf(engines, each)).toBe('grace')
    expect(await codeOf(releasePurge(engines, people.supervisor, id, undefined))).toBe('conflict')
    expect(await actionsOn(engines, id)).toEqual([
      'purge.started',
      'purge.braked',
      'purge.release',
      'purge.released',
      'purge.ended',
    ])
  })

  test('that ten more have joined since it was released brakes again', async () => {
    await inTraffic()
    for (const days of [40, 41, 42, 43]) await footage(days)
    const id = await startPurge(engines, null)
    expect(await ran(engines, id)).toMatchObject({ state: 'braked', batch: 4 })
    await releasePurge(engines, people.supervisor, id, undefined)
    for (let n = 0; n < 10; n++) await footage(50 + n)
    expect(await ran(engines, id)).toMatchObject({ state: 'braked', batch: 14, hidden: 0 })
    await releasePurge(engines, people.supervisor, id, undefined)
    expect(await ran(engines, id)).toMatchObject({ state: 'done', hidden: 14 })
  })

  test('stops in the middle when more comes to be due while it is at work, and says what it has hidden', async () => {
    await inTraffic()
    // Two of them are due.
    const ids = await Promise.all([41, 40, 30, 29.5, 29].map(async (days) => await footage(days)))
    const id = await startPurge(engines, people.drafter)
    // When it has counted what is due, some days pass.
    const passTime = () => {
      clock.ahead = 3 * day
    }
    await runPurge(engines, id, { ...runOf(), progress: passTime })
    const braked = await readPurge(engines, id)
    expect(braked).toMatchObject({ state: 'braked', hidden: 3, erased: 0, batch: 2 })
    expect(braked.said).toMatch(
      /^It had hidden 3 recordings when it found 2 more due, and a purge may hide 3: .*restored/,
    )
    const statuses = await Promise.all(ids.map((each) => statusOf(engines, each)))
    expect(statuses.filter((status) => status === 'grace')).toHaveLength(3)
    const unprotected = engines.db.selectFrom('purgeItems').select('recording').where('state', '=', 'hiding')
    expect(await unprotected.execute()).toEqual([])
    expect(await codeOf(releasePurge(engines, people.drafter, id, undefined))).toBe('same-person')
    const hidden = ids.find((_, n) => statuses[n] === 'grace') ?? newId()
    expect(await codeOf(restore(engines, people.supervisor, hidden, 'a mistake'))).toBe('accepted')
    await releasePurge(engines, people.supervisor, id, 'they are meant')
    expect(await ran(engines, id)).toMatchObject({ state: 'done', hidden: 5, failed: 0 })
  })

  test('hides no more than it may in all of its attempts together', async () => {
    await inTraffic()
    const ids = [await footage(40), await footage(41)]
    const id = await startPurge(engines, null)
    const stop = new AbortController()
    const cutOff = { ...runOf(), signal: stop.signal, progress: (done: number) => done < 0.1 && stop.abort() }
    await expect(runPurge(engines, id, cutOff)).rejects.toThrow()
    expect(await readPurge(engines, id)).toMatchObject({ state: 'running', hidden: 2 })
    ids.push(await footage(42), await footage(43))
    expect(await ran(engines, id)).toMatchObject({ state: 'braked', hidden: 2, batch: 2 })
    const statuses = await Promise.all(ids.map((each) => statusOf(engines, each)))
    expect(statuses).toEqual(['grace', 'grace', 'active', 'active'])
    await releasePurge(engines, people.supervisor, id, undefined)
    expect(await ran(engines, id)).toMatchObject({ state: 'done', hidden: 4 })
  })

  test('takes exactly as many as it may, however many are tried at one moment', async () => {
    await inTraffic()
    const ids = await Promise.all(Array.from({ length: 8 }, async (_, n) => await footage(40 + n)))
    const id = await startPurge(engines, null)
    const ends = await Promise.allSettled(ids.map((each) => hide(engines, { id, run: runOf() }, each)))
    expect(ends.filter((end) => end.status === 'rejected' && end.reason instanceof Spent)).toHaveLength(5)
    const statuses = await Promise.all(ids.map((each) => statusOf(engines, each)))
    expect(statuses.filter((status) => status === 'grace')).toHaveLength(3)
    expect(await readPurge(engines, id)).toMatchObject({ hidden: 3 })
    expect(await ran(engines, id)).toMatchObject({ state: 'braked', batch: 5 })
    await releasePurge(engines, people.supervisor, id, undefined)
    expect(await ran(engines, id)).toMatchObject({ state: 'done', hidden: 8 })
  })
})
