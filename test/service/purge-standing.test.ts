import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId, type RecordingId } from '../../src/base/ids.ts'
import { hide, Spent } from '../../src/retention/hiding.ts'
import { runPurge } from '../../src/retention/purge.ts'
import {
  abandonPurge,
  listPurges,
  readPurge,
  releasePurge,
  startDailyPurge,
  startPurge,
} from '../../src/retention/purges.ts'
import { lookAtPurges, purgesInWords } from '../../src/retention/standing.ts'
import { entriesAbout, kept } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf, runOf } from '../footsteps.ts'
import { inForce, type Keepers, keepers, movedClock, purged, ran, statusOf } from '../retained.ts'

const clock = movedClock()
const hour = 3_600_000
const day = 24 * hour
let engines: TestEngines
let people: Keepers
let category: string
beforeAll(async () => {
  engines = await testEngines({ clock, env: { PURGE_CLOCK_MINUTES: '99999999', PURGE_BRAKE: '1' } })
  people = await keepers(engines)
})
afterAll(async () => await engines[Symbol.asyncDispose]())
beforeEach(async () => {
  clock.ahead = 0
  category = `category ${newId()}`
  await inForce(engines, people, { category, trigger: 'recorded', period: 'P31D' })
})

const footage = async (): Promise<RecordingId> =>
  await kept(engines, randomBytes(64), { category, recordedAt: new Date(Date.now() - 40 * day) })
/** What the metric says, and what /readyz does. */
const standing = async () => {
  const words = purgesInWords(await lookAtPurges(engines))
  const { values } = await engines.metrics.purgeStopped.get()
  return { ...words, stopped: values.filter(({ value }) => value === 1).map(({ labels }) => labels.why) }
}

describe('a purge that braked', () => {
  test('is an alarm until it is given up, which ends it, with a reason and its entry', async () => {
    const ids = [await footage(), await footage()]
    const id = await startPurge(engines, people.drafter)
    expect(await ran(engines, id)).toMatchObject({ state: 'braked' })
    expect(await standing()).toEqual({
      alarm: true,
      says: expect.stringMatching(/^alarm: the purge of .* braked, and waits for a second person/),
      stopped: ['brake'],
    })
    await abandonPurge(engines, people.drafter, id, 'the policy was a mistake')
    const told = await readPurge(engines, id)
    expect(told).toMatchObject({ state: 'abandoned', batch: 2, endedAt: expect.any(String) })
    expect(told.said).toBe(
      'It braked, and a person gave it up. It had hidden nothing; what is due stays due, and the next purge counts it anew.',
    )
    expect(await standing()).toMatchObject({ alarm: false, stopped: [] })
    expect((await entriesAbout(engines, id)).at(-1)).toMatchObject({
      action: 'purge.abandoned',
      actor: { id: people.drafter.id },
      purpose: 'the policy was a mistake',
      detail: { batch: 2, hidden: 0 },
    })
    expect(await codeOf(abandonPurge(engines, people.drafter, id, 'again'))).toBe('conflict')
    expect(await codeOf(releasePurge(engines, people.supervisor, id, undefined))).toBe('conflict')
    expect(await codeOf(abandonPurge(engines, people.drafter, newId(), 'none'))).toBe('not-found')
    expect(await runPurge(engines, id, runOf())).toMatchObject({ outcome: 'skipped' })
    // With the mistake put right, the next one goes on.
    await inForce(engines, people, { category, trigger: 'recorded', period: 'P6Y' })
    expect(await purged(engines)).toMatchObject({ state: 'done', hidden: 0 })
    for (const each of ids) expect(await statusOf(engines, each)).toBe('active')
  })

  test('in the middle says, given up, how many it had hidden', async () => {
    const [first] = [await footage(), await footage(), await footage()]
    const id = await startPurge(engines, null)
    await hide(engines, { id, run: runOf() }, first)
    expect(await ran(engines, id)).toMatchObject({ state: 'braked', hidden: 1, batch: 2 })
    await abandonPurge(engines, people.supervisor, id, 'too many')
    expect((await readPurge(engines, id)).said).toMatch(
      /What it had hidden \(1\) is in grace and can be restored; what is/,
    )
    await inForce(engines, people, { category, trigger: 'recorded', period: 'P6Y' })
    expect(await purged(engines)).toMatchObject({ state: 'done' })
  })
})

describe('a purge that does not come to its end', () => {
  test('is an alarm after a day, and is given up as one that braked', async () => {
    const recording = await footage()
    const id = await startPurge(engines, null)
    await hide(engines, { id, run: runOf() }, recording)
    clock.ahead = day - hour
    expect(await standing()).toMatchObject({ alarm: false, stopped: [] })
    clock.ahead = day + hour
    expect(await standing()).toEqual({
      alarm: true,
      says: expect.stringMatching(/^alarm: the purge of .* has been at work for more than a day: look at the store/),
      stopped: ['long'],
    })
    expect(await startPurge(engines, null)).toBe(id)
    await abandonPurge(engines, people.drafter, id, 'it is stuck')
    expect(await readPurge(engines, id)).toMatchObject({
      state: 'abandoned',
      said: 'It was under way, and a person gave it up. What it had hidden (1) is in grace and can be restored; what is due stays due, and the next purge counts it anew.',
    })
    expect(await standing()).toMatchObject({ alarm: false, stopped: [] })
    expect((await entriesAbout(engines, id)).at(-1)).toMatchObject({
      action: 'purge.abandoned',
      purpose: 'it is stuck',
      detail: { hidden: 1, erased: 0, was: 'running' },
    })
    // A worker that was at it does nothing more.
    const other = await footage()
    await expect(hide(engines, { id, run: runOf() }, other)).rejects.toThrow(Spent)
    expect(await runPurge(engines, id, runOf())).toEqual({ outcome: 'skipped', because: 'the purge is abandoned' })
    expect(await statusOf(engines, other)).toBe('active')
    expect(await purged(engines)).toMatchObject({ state: 'done', hidden: 1 })
    expect(await codeOf(abandonPurge(engines, people.drafter, id, 'again'))).toBe('conflict')
  })

  test('is none a day after it was started, if it has just been released', async () => {
    for (let n = 0; n < 2; n++) await footage()
    const id = await startPurge(engines, null)
    expect(await ran(engines, id)).toMatchObject({ state: 'braked' })
    clock.ahead = 2 * day
    await releasePurge(engines, people.supervisor, id, undefined)
    expect(await standing()).toMatchObject({ alarm: false, stopped: [] })
    expect(await ran(engines, id)).toMatchObject({ state: 'done', hidden: 2 })
  })
})

test('a daily purge that finds a wrong clock is an alarm, and is tried again after an hour', async () => {
  await footage()
  await purged(engines)
  const strict = { ...engines, config: { ...engines.config, PURGE_CLOCK_MINUTES: 5 } }
  clock.ahead = 2 * day
  expect(await startDailyPurge(engines)).toBe(1)
  const [daily] = (await listPurges(engines, 1, undefined)).items
  if (daily === undefined) throw new Error('none was started')
  await runPurge(strict, daily.id, runOf())
  expect(await standing()).toMatchObject({
    alarm: true,
    says: expect.stringMatching(/did nothing, since its clock/),
    stopped: ['clock'],
  })
  expect(await startDailyPurge(engines)).toBe(0)
  clock.ahead += hour
  expect(await startDailyPurge(engines)).toBe(1)
  expect(await standing()).toMatchObject({ alarm: false, stopped: [] })
  const [again] = (await listPurges(engines, 1, undefined)).items
  expect(again?.id).not.toBe(daily.id)
  if (again !== undefined) expect(await ran(engines, again.id)).toMatchObject({ state: 'done', said: null })
})

test('all purges are listed, newest first, page by page', async () => {
  const made = []
  for (let n = 0; n < 3; n++) {
    const id = await startPurge(engines, null)
    await ran(engines, id)
    made.unshift(id)
  }
  const first = await listPurges(engines, 2, undefined)
  expect(first.items.map(({ id }) => id)).toEqual(made.slice(0, 2))
  const next = await listPurges(engines, 2, first.nextCursor ?? '')
  expect(next.items[0]).toEqual(await readPurge(engines, made[2] ?? newId()))
  expect(await codeOf(listPurges(engines, 2, 'nonsense'))).toBe('bad-request')
})
