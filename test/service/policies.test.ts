import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { PolicyId, RecordingId } from '../../src/base/ids.ts'
import { placeHold } from '../../src/retention/holds.ts'
import { approvePolicy, draftPolicy, listPolicies } from '../../src/retention/policies.ts'
import { askSimulation, listAffected, readSimulation, simulate } from '../../src/retention/simulations.ts'
import { catalogued, entriesAbout } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf, problemOf, runOf } from '../footsteps.ts'
import { caseWith, inForce, type Keepers, keepers, movedClock, simulated } from '../retained.ts'

const clock = movedClock()
const hour = 3_600_000
const day = 24 * hour
let engines: TestEngines
let people: Keepers
beforeAll(async () => {
  engines = await testEngines({ clock })
  people = await keepers(engines)
})
afterAll(async () => await engines[Symbol.asyncDispose]())
beforeEach(() => {
  clock.ahead = 0
})

const drafted = async (category: string | null, period = 'P31D') =>
  await draftPolicy(engines, people.drafter, { category, trigger: 'recorded', period })
const approval = async (id: PolicyId, person = people.approver) => await approvePolicy(engines, person, id, 'agreed')
const aged = async (category: string | null, days: number, size = 10): Promise<RecordingId> =>
  await catalogued(engines, { category, size, recordedAt: new Date(Date.now() - days * day) })

describe('a draft', () => {
  test('takes no effect, is the next version of its category, and has thirty days of grace where it says nothing', async () => {
    const first = await drafted('versions')
    const second = await drafted('versions', 'P1Y')
    expect(first).toMatchObject({ version: 1, state: 'draft', grace: 'P30D', sealed: ['detail'], approvedBy: null })
    expect(second).toMatchObject({ version: 2, period: 'P1Y' })
    expect(await drafted('other')).toMatchObject({ version: 1 })
    expect((await drafted(null)).category).toBe(null)
    expect(await entriesAbout(engines, first.id)).toMatchObject([
      { action: 'policy.drafted', policy: { category: 'versions', version: 1, period: 'P31D', grace: 'P30D' } },
    ])
  })

  test('by two people at one moment makes two versions', async () => {
    const made = await Promise.all(Array.from({ length: 8 }, async () => await drafted('racing')))
    expect(made.map(({ version }) => version).toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  test.for(['P0D', '-P1D', 'P1000Y', 'P1X', 'soon', ''])(
    'with the period "%s" is refused, and so is such a grace',
    async (text) => {
      const draft = { category: 'bad', trigger: 'recorded', period: 'P1D' } as const
      expect(await codeOf(draftPolicy(engines, people.drafter, { ...draft, period: text }))).toBe('bad-request')
      expect(await codeOf(draftPolicy(engines, people.drafter, { ...draft, grace: text }))).toBe('bad-request')
    },
  )
})

describe('an approval', () => {
  const refusal = async (id: PolicyId, person = people.approver) => {
    const problem = await problemOf(approval(id, person))
    return `${problem?.code}: ${problem?.detail}`
  }

  test('is for another person than the one who drafted, and the attempt is on record', async () => {
    const { id } = await drafted('same')
    await simulated(engines, people.drafter, id)
    await readSimulation(engines, people.drafter, id)
    expect(await codeOf(approval(id, people.drafter))).toBe('same-person')
    expect((await entriesAbout(engines, id)).at(-1)).toMatchObject({ action: 'policy.approve', outcome: 'denied' })
    await expect(
      engines.db
        .updateTable('policies')
        .set({ state: 'approved', approvedBy: people.drafter.id, approvedAt: clock.now() })
        .where('id', '=', id)
        .execute(),
    ).rejects.toThrow(/approved_by_another/)
  })

  test('needs a simulation that is ready and that this person has seen', async () => {
    const { id } = await drafted('seen')
    expect(await refusal(id)).toMatch(/^simulation-needed: Nobody has simulated it/)
    await askSimulation(engines, people.drafter, id)
    await readSimulation(engines, people.approver, id)
    expect(await refusal(id)).toMatch(/^simulation-needed: Its simulation is not ready/)
    await simulated(engines, people.drafter, id)
    expect(await refusal(id)).toMatch(/^simulation-needed: You have not seen/)
    await readSimulation(engines, people.supervisor, id)
    expect(await refusal(id)).toMatch(/^simulation-needed: You have not seen/)
    expect(await approval(id, people.supervisor)).toMatchObject({ state: 'approved', approvedBy: people.supervisor.id })
    expect(await refusal(id)).toMatch(/^conflict: The policy is approved/)
  })

  test('needs a new simulation once it was simulated anew, is older than a day, or another version was approved', async () => {
    const { id } = await drafted('stale')
    await simulated(engines, people.drafter, id)
    await readSimulation(engines, people.approver, id)
    await simulated(engines, people.drafter, id)
    expect(await refusal(id)).toMatch(/^simulation-needed: You have not seen/)
    await readSimulation(engines, people.approver, id)
    clock.ahead = 25 * hour
    expect(await refusal(id)).toMatch(/^simulation-needed: Its simulation is older than 24 hours/)
    clock.ahead = hour
    await inForce(engines, people, { category: 'stale', trigger: 'recorded', period: 'P9D' })
    expect(await refusal(id)).toMatch(/^simulation-needed: Another version/)
    await simulated(engines, people.drafter, id)
    await readSimulation(engines, people.approver, id)
    expect(await approval(id)).toMatchObject({ state: 'approved', version: 1 })
  })

  test('puts it in the place of the one in force, and says of which simulation', async () => {
    const first = await inForce(engines, people, { category: 'next', trigger: 'recorded', period: 'P9D' })
    const second = await inForce(engines, people, {
      category: 'next',
      trigger: 'convicted',
      period: 'P6M',
      grace: 'P7D',
    })
    const { items } = await listPolicies(engines, 200, undefined)
    const states = items.filter(({ category }) => category === 'next').map(({ id, state }) => [id, state])
    expect(states).toEqual([
      [second.id, 'approved'],
      [first.id, 'superseded'],
    ])
    expect((await entriesAbout(engines, second.id)).at(-1)).toMatchObject({
      action: 'policy.approved',
      policy: { version: 2, grace: 'P7D' },
      detail: { supersedes: first.id, draftedBy: people.drafter.id, counts: { due: { count: 0 } } },
    })
    const page = await listPolicies(engines, 1, undefined)
    expect(page.items).toHaveLength(1)
    expect((await listPolicies(engines, 1, page.nextCursor ?? '')).items[0]?.id).toBe(first.id)
    expect(await codeOf(listPolicies(engines, 1, 'nonsense'))).toBe('bad-request')
  })
})

describe('a simulation', () => {
  test('tells how many recordings and bytes would be due, sooner, later and at once, and which', async () => {
    const category = 'simulated'
    const [old, middle, young] = [
      await aged(category, 40, 100),
      await aged(category, 20, 20),
      await aged(category, 2, 3),
    ]
    await aged('elsewhere', 400)
    const first = await drafted(category)
    await simulated(engines, people.drafter, first.id)
    expect(await readSimulation(engines, people.approver, first.id)).toMatchObject({
      state: 'ready',
      due: { count: 3, bytes: 123 },
      sooner: { count: 3, bytes: 123 },
      later: { count: 0, bytes: 0 },
      atOnce: { count: 1, bytes: 100 },
    })
    await approval(first.id)

    const shorter = await drafted(category, 'P10D')
    await simulated(engines, people.drafter, shorter.id)
    expect(await readSimulation(engines, people.approver, shorter.id)).toMatchObject({
      due: { count: 3 },
      sooner: { count: 3 },
      later: { count: 0 },
      atOnce: { count: 1, bytes: 20 },
    })
    const { items } = await listAffected(engines, people.approver, shorter.id, 50, undefined)
    // By the calendar of the policy's time zone, whatever the hour is there.
    const dayOf = (days: number, period: number) =>
      Temporal.Instant.fromEpochMilliseconds(Date.now() - days * day)
        .toZonedDateTimeISO(engines.config.RETENTION_TIME_ZONE)
        .toPlainDate()
        .add({ days: period })
        .toString()
    expect(new Map(items.map(({ recordingId, oldDate, newDate }) => [recordingId, [oldDate, newDate]]))).toEqual(
      new Map([
        [old, [dayOf(40, 31), dayOf(40, 10)]],
        [middle, [dayOf(20, 31), dayOf(20, 10)]],
        [young, [dayOf(2, 31), dayOf(2, 10)]],
      ]),
    )

    const longer = await drafted(category, 'P1Y')
    await simulated(engines, people.drafter, longer.id)
    expect(await readSimulation(engines, people.approver, longer.id)).toMatchObject({
      due: { count: 3 },
      sooner: { count: 0 },
      later: { count: 3 },
      atOnce: { count: 0 },
    })
  })

  test('counts apart what a hold or an open case keeps', async () => {
    const category = 'sheltered'
    const [held, inCase] = [await aged(category, 40), await aged(category, 40)]
    await placeHold(engines, people.investigator, held, { kind: 'legal', reason: 'a claim' })
    await caseWith(engines, people.investigator, [inCase], { status: 'open' })
    const { id } = await drafted(category)
    await simulated(engines, people.drafter, id)
    expect(await readSimulation(engines, people.approver, id)).toMatchObject({
      due: { count: 0 },
      sooner: { count: 0 },
      atOnce: { count: 0 },
      held: { count: 2 },
    })
    expect((await listAffected(engines, people.approver, id, 50, undefined)).items).toEqual([])
  })

  test('of a policy for recordings without a category looks at those, and at no other', async () => {
    await aged(null, 5, 7)
    const { id } = await drafted(null, 'P1D')
    await simulated(engines, people.drafter, id)
    expect(await readSimulation(engines, people.approver, id)).toMatchObject({ due: { count: 1, bytes: 7 } })
  })

  test('looks at every recording of many pages once', async () => {
    const category = 'many'
    await aged(category, 1)
    const { db } = engines
    const [row] = await db.selectFrom('recordings').selectAll().where('category', '=', category).execute()
    if (row === undefined) throw new Error('nothing was catalogued')
    const upload = await db.selectFrom('uploads').selectAll().where('id', '=', row.upload).executeTakeFirstOrThrow()
    const copies = Array.from({ length: 1200 }, (_, n) => {
      const suffix = n.toString(16).padStart(12, '0')
      const recording = `${row.id.slice(0, 24)}${suffix}` as RecordingId
      return { recording, upload: `${upload.id.slice(0, 24)}${suffix}` as typeof upload.id }
    })
    await db
      .insertInto('uploads')
      .values(copies.map((copy) => ({ ...upload, id: copy.upload, recording: copy.recording, metadata: '{}' })))
      .execute()
    await db
      .insertInto('recordings')
      .values(
        copies.map((copy) => ({
          ...row,
          id: copy.recording,
          upload: copy.upload,
          sha256: `${copy.recording.replaceAll('-', '')}${copy.upload.replaceAll('-', '')}` as NonNullable<
            typeof row.sha256
          >,
          tracks: '[]',
          facts: '{}',
        })),
      )
      .execute()
    const { id } = await drafted(category)
    await simulated(engines, people.drafter, id)
    expect(await readSimulation(engines, people.approver, id)).toMatchObject({ due: { count: 1201 } })
    const listed = new Set<string>()
    for (let cursor: string | undefined; ; ) {
      const page = await listAffected(engines, people.approver, id, 200, cursor)
      for (const { recordingId } of page.items) listed.add(recordingId)
      if (page.nextCursor === null) break
      cursor = page.nextCursor
    }
    expect(listed.size).toBe(1201)
    // Simulated anew, it forgets what it listed before.
    await simulated(engines, people.drafter, id)
    const { count } = await db
      .selectFrom('simulationItems')
      .innerJoin('simulations', 'simulations.id', 'simulationItems.simulation')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('policy', '=', id)
      .executeTakeFirstOrThrow()
    expect(count).toBe(1201)
  })

  test('whose worker was late takes nothing from the newer one, which is the one that is read', async () => {
    const category = 'overtaken'
    await aged(category, 40)
    const { id } = await drafted(category)
    const late = await askSimulation(engines, people.drafter, id)
    const newer = await askSimulation(engines, people.drafter, id)
    await simulate(engines, newer, runOf())
    await simulate(engines, late, runOf())
    expect(await readSimulation(engines, people.approver, id)).toMatchObject({ id: newer, due: { count: 1 } })
    expect((await listAffected(engines, people.approver, id, 50, undefined)).items).toHaveLength(1)
  })

  test('is asked of a draft that is there, and is there once it was asked for', async () => {
    const { id } = await drafted('asked')
    expect(await codeOf(readSimulation(engines, people.approver, id))).toBe('not-found')
    expect(await codeOf(listAffected(engines, people.approver, id, 1, undefined))).toBe('not-found')
    await askSimulation(engines, people.drafter, id)
    expect(await codeOf(listAffected(engines, people.approver, id, 1, undefined))).toBe('not-ready')
    const policy = await inForce(engines, people, { category: 'asked', trigger: 'recorded', period: 'P1Y' })
    expect(await codeOf(askSimulation(engines, people.drafter, policy.id))).toBe('conflict')
  })
})
