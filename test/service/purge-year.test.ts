import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CaseId, HoldId, RecordingId } from '../../src/base/ids.ts'
import { placeHold, releaseHold } from '../../src/retention/holds.ts'
import { kept } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import {
  caseWith,
  inForce,
  type Keepers,
  keepers,
  locksOver,
  movedClock,
  purged,
  setCase,
  statusOf,
  stored,
} from '../retained.ts'

const clock = movedClock()
const day = 86_400_000
let engines: TestEngines
let people: Keepers
beforeAll(async () => {
  engines = await testEngines({ clock, env: { PURGE_CLOCK_MINUTES: '99999999', RETENTION_LOCK_SECONDS: '1' } })
  people = await keepers(engines)
})
afterAll(async () => await engines[Symbol.asyncDispose]())

// What follows is computed with days since 1970 and nothing of the code that is tested.
const today = Math.floor(Date.now() / day)
const civil = (n: number): [year: number, month: number, date: number] => {
  const at = new Date(n * day)
  return [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()]
}
const lengthOf = (year: number, month: number) => new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
const later = (n: number, { months = 0, days = 0 }) => {
  const [year, month, date] = civil(n)
  const first = new Date(Date.UTC(year, month + months, 1))
  const at = Math.min(date, lengthOf(first.getUTCFullYear(), first.getUTCMonth()))
  return Math.floor(Date.UTC(first.getUTCFullYear(), first.getUTCMonth(), at) / day) + days
}
const textOf = (n: number) => new Date(n * day).toISOString().slice(0, 10)

/** Facts as a person would tell them: days from today. */
type Story = {
  category: 'traffic' | 'arrest' | 'interview' | 'no-policy' | null
  recorded: number
  received?: number
  flags?: string[]
  /** Closed from that day on; convicted on the day named, if it is known. */
  cases?: { closes: number; convicted?: number }[]
  hold?: [from: number, to: number]
}

const rules = {
  traffic: { period: { days: 31 }, graceDays: 30 },
  interview: { period: { months: 5 }, graceDays: 7 },
  none: { period: { days: 90 }, graceDays: 30 },
}

/** The day on which it is due by what is known on `at`; undefined: it is kept. */
const dueDay = (story: Story, at: number): number | undefined => {
  const { category, cases = [], hold, flags = [] } = story
  if (hold !== undefined && hold[0] <= at && at < hold[1]) return undefined
  if (cases.some(({ closes }) => at < closes)) return undefined
  if (category === 'no-policy') return undefined
  if (category === 'arrest') {
    if (cases.length === 0 || cases.some(({ convicted }) => convicted === undefined)) return undefined
    // The day of the conviction does not count, and the last day does.
    return Math.max(...cases.map(({ convicted = 0 }) => later(today + convicted, { months: 2 }) - today)) + 1
  }
  const begin = flags.includes('clock_drift') ? (story.received ?? story.recorded) : story.recorded
  return later(today + begin, rules[category ?? 'none'].period) - today
}

const graceOf = (category: Story['category']) => (category === 'interview' ? 7 : 30)

const stories: Story[] = []
for (const recorded of [-60, -33, -3, 40, 100, 200, 320]) {
  stories.push({ category: 'traffic', recorded }, { category: null, recorded }, { category: 'interview', recorded })
  stories.push({ category: 'no-policy', recorded: recorded - 4000 })
}
stories.push(
  { category: 'traffic', recorded: -5000, received: -4, flags: ['clock_drift'] },
  { category: 'traffic', recorded: 5, received: 60, flags: ['clock_drift', 'truncated'] },
  { category: 'arrest', recorded: -900 },
  { category: 'arrest', recorded: -900, cases: [{ closes: 50, convicted: 30 }] },
  { category: 'arrest', recorded: -900, cases: [{ closes: -5, convicted: -400 }] },
  {
    category: 'arrest',
    recorded: -900,
    cases: [
      { closes: 20, convicted: -40 },
      { closes: 90, convicted: 80 },
    ],
  },
  { category: 'arrest', recorded: -900, cases: [{ closes: 20, convicted: -40 }, { closes: 90 }] },
  { category: 'arrest', recorded: -900, cases: [{ closes: 9999, convicted: -400 }] },
  { category: 'traffic', recorded: -60, cases: [{ closes: 155 }] },
  { category: 'traffic', recorded: -60, hold: [-1, 190] },
  { category: 'traffic', recorded: -60, hold: [-1, 9999] },
  // Held while it is hidden.
  { category: 'traffic', recorded: -60, hold: [10, 130] },
  { category: 'interview', recorded: -200, hold: [5, 70], cases: [{ closes: -1 }] },
)

/** Purges of more than a year, each at noon. */
const purgeDays = [3, 50, 97, 144, 191, 238, 285, 332, 379]

/** Its status after each purge, from its story alone. */
const expected = (story: Story): string[] => {
  let hiddenOn: number | undefined
  let gone = false
  return purgeDays.map((at) => {
    if (gone) return 'erased'
    const due = dueDay(story, at)
    const isDue = due !== undefined && due <= at
    if (hiddenOn === undefined) {
      if (isDue) hiddenOn = at
    } else if (at - hiddenOn >= graceOf(story.category)) {
      if (isDue) gone = true
    }
    return gone ? 'erased' : hiddenOn === undefined ? 'active' : 'grace'
  })
}

/** Early in a day in every year's summer and winter time, so that days are days. */
const atDay = (n: number) => new Date((today + n) * day + 2 * 3_600_000)

test('a year of purges takes what is to be taken, by an account that knows only the facts, and nothing else', async () => {
  // Nothing is on the edge of a day: an account in days can only tell whole days apart.
  await inForce(engines, people, { category: 'traffic', trigger: 'recorded', period: 'P31D' })
  await inForce(engines, people, { category: 'interview', trigger: 'recorded', period: 'P5M', grace: 'P7D' })
  await inForce(engines, people, { category: null, trigger: 'recorded', period: 'P90D' })
  await inForce(engines, people, { category: 'arrest', trigger: 'convicted', period: 'P2M' })
  const ids: RecordingId[] = []
  const cases = new Map<CaseId, number>()
  const holds: { recording: RecordingId; from: number; to: number; id?: HoldId }[] = []
  for (const story of stories) {
    const { category, recorded, received = recorded, flags = [] } = story
    const times = { recordedAt: atDay(recorded), correctedAt: atDay(recorded), receivedAt: atDay(received) }
    const id = await kept(engines, randomBytes(32), { category, flags, ...times })
    ids.push(id)
    for (const { closes, convicted } of story.cases ?? []) {
      const events = convicted === undefined ? {} : { convicted: textOf(today + convicted) }
      cases.set(await caseWith(engines, people.investigator, [id], { status: 'open', events }), closes)
    }
    if (story.hold !== undefined) holds.push({ recording: id, from: story.hold[0], to: story.hold[1] })
  }
  const plan = stories.map(expected)
  for (const [step, at] of purgeDays.entries()) {
    // Noon, whatever time of the day the test runs at.
    clock.ahead = atDay(at).getTime() + 10 * 3_600_000 - Date.now()
    for (const [id, closes] of cases) if (closes <= at) await setCase(engines, id, 'closed')
    for (const hold of holds) {
      if (hold.id === undefined && hold.from <= at && at < hold.to)
        hold.id = (
          await placeHold(engines, people.investigator, hold.recording, { kind: 'legal', reason: 'a claim' })
        ).id
      if (hold.id !== undefined && at >= hold.to) {
        await releaseHold(engines, people.investigator, hold.id, undefined)
        hold.to = Number.POSITIVE_INFINITY
      }
    }
    await locksOver(engines)
    expect(await purged(engines)).toMatchObject({ state: 'done', failed: 0 })
    const found = await Promise.all(
      ids.map(async (id) => [await statusOf(engines, id), (await stored(engines, id)).length > 0] as const),
    )
    for (const [index, [status, isThere]] of found.entries()) {
      const wanted = plan[index]?.[step]
      expect({ at, story: stories[index], status, isThere }).toEqual({
        at,
        story: stories[index],
        status: wanted,
        isThere: wanted !== 'erased',
      })
    }
  }
  const ends = new Set(plan.map((each) => each.at(-1)))
  expect(ends).toEqual(new Set(['active', 'grace', 'erased']))
  const proofs = await engines.db.selectFrom('erasures').select('recording').execute()
  expect(proofs).toHaveLength(plan.filter((each) => each.at(-1) === 'erased').length)
})
