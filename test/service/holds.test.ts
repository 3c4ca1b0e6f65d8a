import { randomBytes } from 'node:crypto'
import { GetObjectLegalHoldCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId, type PurgeId, type RecordingId } from '../../src/base/ids.ts'
import { approveDiscardOf, askDiscard } from '../../src/custody/disputes.ts'
import { explainDate } from '../../src/retention/dates.ts'
import { restore } from '../../src/retention/decisions.ts'
import { protectedUntil } from '../../src/retention/destroying.ts'
import { erase } from '../../src/retention/erasing.ts'
import { hide } from '../../src/retention/hiding.ts'
import { holdOriginal, listHolds, placeHold, releaseHold } from '../../src/retention/holds.ts'
import { startPurge } from '../../src/retention/purges.ts'
import { originalKey } from '../../src/uploads/upload.ts'
import { assign, catalogued, entriesAbout, kept, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf, problemOf, runOf } from '../footsteps.ts'
import { times } from '../long.ts'
import { inForce, type Keepers, keepers, locksOver, movedClock, purged, ran, statusOf, stored } from '../retained.ts'

const clock = movedClock()
const day = 86_400_000
let engines: TestEngines
let people: Keepers
beforeAll(async () => {
  engines = await testEngines({ clock, env: { PURGE_CLOCK_MINUTES: '99999999', RETENTION_LOCK_SECONDS: '1' } })
  people = await keepers(engines)
  await inForce(engines, people, { category: 'traffic', trigger: 'recorded', period: 'P31D' })
})
afterAll(async () => await engines[Symbol.asyncDispose]())
beforeEach(() => {
  clock.ahead = 0
})

const legal = { kind: 'legal', reason: 'A claim was announced' } as const
const old = { category: 'traffic', recordedAt: new Date(Date.now() - 400 * day) }

describe('a hold', () => {
  test('is placed with a reason, listed, and released by who placed it or a supervisor, each with its entry', async () => {
    const id = await catalogued(engines)
    const other = await someone(engines, ['disclosure'])
    const first = await placeHold(engines, people.investigator, id, { ...legal, reviewOn: '2099-01-31' })
    const second = await placeHold(engines, other, id, { kind: 'complaint', reason: 'Complaint 26/0193' })
    expect(first).toMatchObject({ recordingId: id, kind: 'legal', reviewOn: '2099-01-31' })
    expect((await listHolds(engines, people.supervisor, id, 50, undefined)).items).toMatchObject([
      { id: second.id, kind: 'complaint', reason: 'Complaint 26/0193', reviewOn: null, releasedAt: null },
      { id: first.id, kind: 'legal', reason: legal.reason, placedBy: people.investigator.id },
    ])
    expect(await codeOf(releaseHold(engines, other, first.id, undefined))).toBe('not-allowed')
    expect(await codeOf(releaseHold(engines, people.investigator, first.id, 'It was settled'))).toBe('accepted')
    expect(await codeOf(releaseHold(engines, people.supervisor, second.id, undefined))).toBe('accepted')
    expect(await codeOf(releaseHold(engines, people.supervisor, second.id, undefined))).toBe('conflict')
    expect(await codeOf(releaseHold(engines, people.supervisor, newId(), undefined))).toBe('not-found')
    expect(await entriesAbout(engines, id)).toMatchObject([
      { action: 'recording.held', purpose: legal.reason, detail: { hold: first.id, reviewOn: '2099-01-31' } },
      { action: 'recording.held', detail: { kind: 'complaint' } },
      { action: 'hold.list' },
      { action: 'hold.release', outcome: 'denied' },
      { action: 'recording.hold-released', purpose: 'It was settled', detail: { hold: first.id } },
      { action: 'recording.hold-released', detail: { hold: second.id } },
    ])
  })

  test.for(['2026-02-30', '2025-11-24', '20260101', 'soon'])(
    'with %s as the day of its review is refused',
    async (reviewOn) => {
      const id = await catalogued(engines)
      expect(await codeOf(placeHold(engines, people.investigator, id, { ...legal, reviewOn }))).toBe('bad-request')
    },
  )

  test('is refused where there is nothing to hold', async () => {
    expect(await codeOf(placeHold(engines, people.investigator, newId(), legal))).toBe('not-found')
    const erased = await catalogued(engines, { status: 'erased' })
    expect(await codeOf(placeHold(engines, people.investigator, erased, legal))).toBe('erased')
    const duplicate = await catalogued(engines, { duplicateOf: await catalogued(engines) })
    expect(await codeOf(placeHold(engines, people.investigator, duplicate, legal))).toBe('not-found')
    expect(
      await codeOf(placeHold(engines, people.investigator, await catalogued(engines), { ...legal, reason: '  ' })),
    ).toBe('bad-request')
  })

  test('is a legal hold in the store too, until the last one is released', async () => {
    const id = await kept(engines, randomBytes(100))
    const inStore = async () => {
      const { client, bucketNames, facts } = engines.store
      const at = { Bucket: bucketNames.originals, Key: engines.config.S3_KEY_PREFIX + originalKey(id) }
      const version = (await facts('originals', originalKey(id)))?.version
      const answer = await client.send(new GetObjectLegalHoldCommand({ ...at, VersionId: version }))
      return answer.LegalHold?.Status
    }
    const [one, two] = [
      await placeHold(engines, people.investigator, id, legal),
      await placeHold(engines, people.investigator, id, legal),
    ]
    const owed = await engines.db.selectFrom('jobs').select('payload').where('name', '=', 'hold-original').execute()
    expect(owed).toContainEqual({ payload: { recordingId: id } })
    await holdOriginal(engines, id)
    expect(await inStore()).toBe('ON')
    const key = originalKey(id)
    for (const version of await engines.store.versions('originals', key))
      await expect(engines.store.delete('originals', key, version)).rejects.toThrow()
    await releaseHold(engines, people.investigator, one.id, undefined)
    await holdOriginal(engines, id)
    expect(await inStore()).toBe('ON')
    await releaseHold(engines, people.investigator, two.id, undefined)
    await holdOriginal(engines, id)
    expect(await inStore()).toBe('OFF')
  })

  test('on a hidden recording brings nothing back, and stops its erasure, as its answer says', async () => {
    const id = await kept(engines, randomBytes(100), old)
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    const hold = await placeHold(engines, people.investigator, id, legal)
    expect(hold.said).toMatch(/stays hidden, and is not erased/)
    expect(await statusOf(engines, id)).toBe('grace')
    clock.ahead = 60 * day
    await locksOver(engines)
    expect(await purged(engines)).toMatchObject({ erased: 0, held: 1 })
    expect(await statusOf(engines, id)).toBe('grace')
    const told = await explainDate(engines, people.investigator, id)
    expect(told).toMatchObject({ date: null, grace: { restorable: true }, decidedBy: { rule: 'hold' } })
    expect(told.words).toMatch(/It is hidden.*It is not erased as long as this holds: A hold \(legal\)/)
    expect(await codeOf(restore(engines, people.supervisor, id, 'it is needed'))).toBe('accepted')
    expect(await statusOf(engines, id)).toBe('active')
  })

  test('says to an officer only that something keeps the recording: no reason, no kind, no person', async () => {
    const [camera, collar] = ['BWC-HELD', 'PC 4711']
    const id = await kept(engines, randomBytes(100), { ...old, camera })
    await assign(engines, camera, collar, '2020-01-01T00:00:00Z', null)
    const officer = await someone(engines, ['officer'], collar)
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    const complaint = { kind: 'complaint', reason: 'Complaint 26/0193', reviewOn: '2099-01-31' } as const
    const hold = await placeHold(engines, people.investigator, id, complaint)
    clock.ahead = 60 * day
    await locksOver(engines)
    expect(await purged(engines)).toMatchObject({ hidden: 0, erased: 0 })
    const listed = await listHolds(engines, officer, id, 50, undefined)
    const unsaid = { kind: null, reason: null, reviewOn: null, placedBy: null, releasedBy: null }
    expect(listed.items).toEqual([{ id: hold.id, ...unsaid, placedAt: hold.placedAt, releasedAt: null }])
    const told = await explainDate(engines, officer, id)
    expect(told).toMatchObject({ date: null, decidedBy: { rule: 'hold' }, grace: { restorable: true, said: null } })
    expect(told.decidedBy.words).toMatch(/^A hold has been on it since \d{4}-\d\d-\d\d\.$/)
    expect(JSON.stringify([listed, told])).not.toMatch(/complaint|2099|0193/i)
    // Whoever sees every recording learns why.
    const both = await someone(engines, ['officer', 'disclosure'], 'PC 4712')
    expect((await listHolds(engines, both, id, 50, undefined)).items).toMatchObject([
      { kind: 'complaint', reason: complaint.reason, placedBy: people.investigator.id },
    ])
    expect((await explainDate(engines, both, id)).grace?.said).toMatch(/A hold \(complaint\)/)
  })

  test('keeps a quarantined recording from being discarded', async () => {
    const id = await catalogued(engines, { status: 'quarantined', quarantinedBecause: 'digest-mismatch' })
    const hold = await placeHold(engines, people.investigator, id, legal)
    await askDiscard(engines, people.supervisor, id, 'nobody needs it')
    const second = await someone(engines, ['supervisor'])
    expect((await problemOf(approveDiscardOf(engines, second, id, 'indeed')))?.message).toMatch(/A hold is on/)
    await releaseHold(engines, people.investigator, hold.id, undefined)
    expect(await codeOf(approveDiscardOf(engines, second, id, 'indeed'))).toBe('accepted')
  })

  test('and an open case are beaten by nobody who writes into the database either', async () => {
    const id = await catalogued(engines)
    await placeHold(engines, people.investigator, id, legal)
    const hidden = engines.db.updateTable('recordings').set({ status: 'grace' }).where('id', '=', id).execute()
    await expect(hidden).rejects.toThrow(/under a hold or in an open case/)
    const gone = engines.db
      .updateTable('recordings')
      .set({ status: 'erased' })
      .where('id', '=', await catalogued(engines))
    await expect(gone.execute()).rejects.toThrow(/by way of grace/)
  })
})

describe(`${times(40, 200)} holds that race a purge`, () => {
  const races = times(40, 200)
  const shuffled = async <A, B>(at: number, one: () => Promise<A>, other: () => Promise<B>): Promise<[A, B]> => {
    // Each has the lead in half of them.
    if (at % 2 === 0) return await Promise.all([one(), other()])
    const second = other()
    const first = one()
    return [await first, await second]
  }

  test('never end with both a hold and an erasure', async () => {
    const ids: RecordingId[] = []
    for (let n = 0; n < races; n++) ids.push(await kept(engines, randomBytes(16), old))
    const purge: PurgeId = await startPurge(engines, null)
    const { hidden, failed } = await ran(engines, purge)
    expect({ hidden, failed }).toEqual({ hidden: races, failed: 0 })
    clock.ahead = 60 * day
    await locksOver(engines)
    const purging = { id: purge, run: runOf() }
    const ends = { held: 0, erased: 0 }
    const race = async (id: RecordingId, at: number) => {
      const [held, erased] = await shuffled(
        at,
        async () => {
          // An erasure first asks the store: whoever takes as long arrives at the same moment.
          if (at % 4 > 0) await protectedUntil(engines, id)
          return await codeOf(placeHold(engines, people.investigator, id, legal))
        },
        async () => await erase(engines, purging, id),
      )
      const left = await stored(engines, id)
      if (held === 'accepted') {
        ends.held += 1
        expect([erased, await statusOf(engines, id), left.length]).toEqual(['held', 'grace', 1])
      } else {
        ends.erased += 1
        expect(['conflict', 'erased']).toContain(held)
        expect([erased, await statusOf(engines, id), left.length]).toEqual(['erased', 'erased', 0])
      }
    }
    const several = 4
    for (let first = 0; first < races; first += several)
      await Promise.all(ids.slice(first, first + several).map((id, n) => race(id, first / several + n)))
    expect(ends.held).toBeGreaterThan(times(2, 10))
    expect(ends.erased).toBeGreaterThan(times(2, 10))
  })

  test('never hide what was held before', async () => {
    const purge = await startPurge(engines, null)
    const purging = { id: purge, run: runOf() }
    const outcomes = new Set<string>()
    for (let at = 0; at < races / 2; at++) {
      const id = await catalogued(engines, old)
      const [hold, hidden] = await shuffled(
        at,
        async () => await placeHold(engines, people.investigator, id, legal),
        async () => await hide(engines, purging, id),
      )
      outcomes.add(hidden)
      expect(hidden).toBe(/stays hidden/.test(hold.said) ? 'hidden' : 'held')
      expect(await statusOf(engines, id)).toBe(hidden === 'hidden' ? 'grace' : 'active')
    }
    expect(outcomes).toEqual(new Set(['hidden', 'held']))
  })
})
