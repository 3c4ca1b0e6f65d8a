import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { newId, type RecordingId } from '../../src/base/ids.ts'
import { erase } from '../../src/retention/erasing.ts'
import { Spent } from '../../src/retention/hiding.ts'
import { runPurge } from '../../src/retention/purge.ts'
import { abandonPurge, readPurge, startPurge } from '../../src/retention/purges.ts'
import { entriesAbout, kept } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { arrivesLate, type Fault, type FaultyStore, faultyStore, refuses } from '../faulty-store.ts'
import { actionsOn, codeOf, runOf } from '../footsteps.ts'
import { inForce, type Keepers, keepers, locksOver, movedClock, purged, ran, statusOf, stored } from '../retained.ts'

const clock = movedClock()
const day = 86_400_000
let store: FaultyStore
let engines: TestEngines
let people: Keepers
beforeAll(async () => {
  store = await faultyStore(inject('prepared').s3.endpoint)
  const env = { PURGE_CLOCK_MINUTES: '99999999', RETENTION_LOCK_SECONDS: '1', S3_ENDPOINT: store.endpoint }
  engines = await testEngines({ clock, env: { ...env, S3_TIMEOUT_SECONDS: '2' } })
  people = await keepers(engines)
  await inForce(engines, people, { category: null, trigger: 'recorded', period: 'P1D' })
})
afterAll(async () => {
  await engines[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
})
beforeEach(() => {
  clock.ahead = 0
})
afterEach(() => store.heal())

/** Deletions of what one of these is in. */
const deletionsOf =
  (ids: readonly RecordingId[], fault: Fault): Fault =>
  (exchange) => {
    const { method, url = '' } = exchange.request
    return method === 'DELETE' && ids.some((id) => url.includes(id)) ? fault(exchange) : exchange.pass()
  }

/** Recordings of one purge, whose grace is over. */
const overdueOf = async (count: number): Promise<RecordingId[]> => {
  const ids: RecordingId[] = []
  for (let n = 0; n < count; n++)
    ids.push(await kept(engines, randomBytes(64), { recordedAt: new Date(clock.now().getTime() - 9 * day) }))
  expect(await purged(engines)).toMatchObject({ hidden: count })
  clock.ahead = 40 * day
  await locksOver(engines)
  return ids
}

const itemOf = async (id: RecordingId) =>
  await engines.db.selectFrom('purgeItems').selectAll().where('recording', '=', id).executeTakeFirstOrThrow()
const alarms = async () => (await engines.metrics.erasuresFailed.get()).values[0]?.value ?? 0
const failuresOf = async (id: RecordingId) =>
  (await actionsOn(engines, id)).filter((action) => action === 'recording.erasure-failed').length

describe('a purge whose store fails', () => {
  test('with one object each time goes on with all others, and leaves it to the next purge after some attempts', async () => {
    const [bad = newId<RecordingId>(), good = newId<RecordingId>()] = await overdueOf(2)
    const before = await alarms()
    store.on('other', deletionsOf([bad], refuses(500, 'InternalError')))
    const purge = await startPurge(engines, null)
    expect(await codeOf(runPurge(engines, purge, runOf()))).toBe('store-unavailable')
    expect([await statusOf(engines, bad), await statusOf(engines, good)]).toEqual(['grace', 'erased'])
    expect([(await readPurge(engines, purge)).state, await alarms()]).toEqual(['running', before])
    await runPurge(engines, purge, runOf({ attempt: 6 }))
    expect(await readPurge(engines, purge)).toMatchObject({ state: 'done', erased: 1, failed: 1 })
    const why = 'The store answers, and fails with this recording each time.'
    expect(await itemOf(bad)).toMatchObject({ state: 'erasing', said: why })
    expect((await entriesAbout(engines, bad)).at(-1)).toMatchObject({
      action: 'recording.erasure-failed',
      outcome: 'failed',
      detail: { purge, why },
    })
    expect(await alarms()).toBe(before + 1)
    store.heal()
    expect(await purged(engines)).toMatchObject({ state: 'done', erased: 1, failed: 0 })
  })

  test('with everything waits for it and blames no object, in whichever attempt', async () => {
    const ids = await overdueOf(2)
    const purge = await startPurge(engines, null)
    store.on('facts', refuses(503))
    store.on('other', deletionsOf(ids, refuses(503)))
    expect(await codeOf(runPurge(engines, purge, runOf({ attempt: 60 })))).toBe('store-unavailable')
    store.heal()
    expect(await ran(engines, purge)).toMatchObject({ state: 'done', erased: 2, failed: 0 })
    for (const id of ids) expect(await statusOf(engines, id)).toBe('erased')
  })

  test('with more than a few, its buckets being there, waits for it too, and complains of none', async () => {
    const ids = await overdueOf(21)
    const before = await alarms()
    const purge = await startPurge(engines, null)
    const throttled = store.on('other', deletionsOf(ids, refuses(503, 'SlowDown')))
    expect(await codeOf(runPurge(engines, purge, runOf({ attempt: 60 })))).toBe('store-unavailable')
    expect(await readPurge(engines, purge)).toMatchObject({ state: 'running', erased: 0, failed: 0 })
    for (const id of ids) expect([await failuresOf(id), (await itemOf(id)).said]).toEqual([0, null])
    expect(await alarms()).toBe(before)
    throttled.lift()
    const bad = ids.slice(1)
    store.on('other', deletionsOf(bad, refuses(500, 'InternalError')))
    await runPurge(engines, purge, runOf({ attempt: 61 }))
    expect(await readPurge(engines, purge)).toMatchObject({ state: 'done', erased: 1, failed: 20 })
    for (const id of bad) expect(await failuresOf(id)).toBe(1)
    expect(await alarms()).toBe(before + 20)
    store.heal()
    expect(await purged(engines)).toMatchObject({ state: 'done', erased: 20, failed: 0 })
  })
})

test('an erasure in a purge that is given up at work goes to its end where it was begun, and is not begun elsewhere', async () => {
  const ids = await overdueOf(6)
  const gate = Promise.withResolvers<void>()
  const { met } = store.on('other', deletionsOf(ids, arrivesLate(gate.promise)))
  const purge = await startPurge(engines, null)
  const work = runPurge(engines, purge, runOf())
  await met
  await abandonPurge(engines, people.supervisor, purge, 'the policy was a mistake')
  gate.resolve()
  expect(await work).toEqual({ outcome: 'skipped', because: 'the purge is abandoned' })
  const states = await Promise.all(ids.map(async (id) => (await itemOf(id)).state))
  expect(new Set(states)).toEqual(new Set(['erased', 'grace']))
  for (const [n, id] of ids.entries()) {
    expect(await stored(engines, id)).toHaveLength(states[n] === 'erased' ? 0 : 1)
    if (states[n] === 'grace') await expect(erase(engines, { id: purge, run: runOf() }, id)).rejects.toThrow(Spent)
  }
  const erased = states.filter((state) => state === 'erased').length
  expect(await readPurge(engines, purge)).toMatchObject({ state: 'abandoned', erased })
  expect(await purged(engines)).toMatchObject({ state: 'done', erased: ids.length - erased })
})
