import { randomBytes } from 'node:crypto'
import { compactVerify, importJWK } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId, type RecordingId, type RenditionId } from '../../src/base/ids.ts'
import { requestDownload } from '../../src/downloads/actions.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { makeOwed } from '../../src/renditions/actions.ts'
import { replace } from '../../src/renditions/queries.ts'
import { explainDate, readErasure } from '../../src/retention/dates.ts'
import { approveDeletion, askDeletion, restore } from '../../src/retention/decisions.ts'
import { placeHold, releaseHold } from '../../src/retention/holds.ts'
import { erasureType } from '../../src/retention/proof.ts'
import { runPurge } from '../../src/retention/purge.ts'
import { readPurge, startDailyPurge, startPurge } from '../../src/retention/purges.ts'
import { openViewing } from '../../src/viewings/opening.ts'
import { entriesAbout, kept } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { actionsOn, codeOf, runOf } from '../footsteps.ts'
import {
  caseWith,
  derived,
  happened,
  inForce,
  type Keepers,
  keepers,
  locksOver,
  movedClock,
  purged,
  ran,
  setCase,
  statusOf,
  stored,
} from '../retained.ts'

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

const inTraffic = async (policy: Partial<Parameters<typeof inForce>[2]> = {}) =>
  await inForce(engines, people, { category, trigger: 'recorded', period: 'P31D', ...policy })
const daysAgo = (days: number) => new Date(Date.now() - days * day)
const footage = async (days: number, more: Parameters<typeof kept>[2] = {}): Promise<RecordingId> =>
  await kept(engines, randomBytes(64), { category, recordedAt: daysAgo(days), ...more })
/** On to the end of any grace. */
const afterGrace = async () => {
  clock.ahead += 31 * day
  await locksOver(engines)
}

describe('a purge', () => {
  test('hides what is due, and erases it with a proof when its grace is over', async () => {
    const policy = await inTraffic()
    const id = await footage(32)
    const young = await footage(30)
    await derived(engines, id)
    // A clip whose making was cut off.
    const begun = `clips/${id}/cut-off.mp4`
    await engines.store.startMultipart('derived', begun, 'video/mp4')
    expect(await purged(engines)).toEqual({ state: 'done', hidden: 1, erased: 0, held: 0, failed: 0 })
    expect([await statusOf(engines, id), await statusOf(engines, young)]).toEqual(['grace', 'active'])
    expect(await stored(engines, id)).toHaveLength(4)
    clock.ahead = 29 * day
    expect(await purged(engines)).toMatchObject({ hidden: 1, erased: 0 })
    await afterGrace()
    clock.ahead = 31 * day
    expect(await purged(engines)).toMatchObject({ erased: 1, failed: 0 })
    expect([await statusOf(engines, id), await statusOf(engines, young)]).toEqual(['erased', 'grace'])
    expect(await stored(engines, id)).toEqual([])
    expect(await engines.store.multiparts('derived', begun)).toEqual([])

    const jws = await readErasure(engines, people.investigator, id)
    const key = await importJWK(engines.receiptKey.publicJwk, 'EdDSA')
    const { payload, protectedHeader } = await compactVerify(jws, key)
    expect(erasureType).toBe('exhibit-erasure+jwt')
    expect(protectedHeader).toEqual({ alg: 'EdDSA', typ: erasureType, kid: engines.receiptKey.kid })
    const { leaf, entryId, ...claims } = JSON.parse(new TextDecoder().decode(payload))
    const { sha256 } = await engines.db
      .selectFrom('recordings')
      .select('sha256')
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    expect(claims).toEqual({
      iss: engines.config.RECEIPT_ISSUER,
      iat: expect.any(Number),
      recordingId: id,
      sha256,
      erasedAt: expect.stringMatching(/Z$/),
      authority: `policy ${policy.id}`,
      policyVersion: 1,
      objects: 4,
    })
    const entry = await engines.db.selectFrom('entries').selectAll().where('id', '=', entryId).executeTakeFirstOrThrow()
    expect(entry.leaf.toString('hex')).toBe(leaf)
    expect(await actionsOn(engines, id)).toEqual([
      'recording.hidden',
      'recording.erasure-begun',
      'recording.erased',
      'erasure.read',
    ])
    expect(await codeOf(readErasure(engines, people.investigator, young))).toBe('conflict')
    expect((await explainDate(engines, people.investigator, id)).words).toMatch(/^It was erased/)
  })

  test('leaves of what was known about the footage a tombstone, and destroys the sealed parts that the policy names', async () => {
    await inTraffic({ sealed: ['detail', 'purpose'] })
    const id = await footage(32, { incident: '26/11/25-0914', facts: JSON.stringify({ position: {} }) })
    await requestDownload(
      engines,
      people.investigator,
      { type: 'recording', id },
      'A name that is nobody else’s to know',
    )
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    await afterGrace()
    expect(await purged(engines)).toMatchObject({ erased: 1 })
    const { db } = engines
    const row = await db.selectFrom('recordings').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    expect(row).toMatchObject({ status: 'erased', incident: null, tracks: [], facts: {}, size: 64 })
    const about = await entriesAbout(engines, id)
    expect(about[0]).toEqual({
      operation: 'consultation',
      action: 'recording.download',
      outcome: 'allowed',
      actor: expect.objectContaining({ id: people.investigator.id }),
    })
    expect(about.find(({ action }) => action === 'recording.erased')).toMatchObject({ detail: { objects: 1 } })
    const erased = await db
      .selectFrom('entryBodies')
      .select(['erased', 'parts'])
      .where('subjectId', '=', id)
      .where('action', '=', 'recording.download')
      .executeTakeFirstOrThrow()
    expect(Object.keys(erased.erased).toSorted()).toEqual(['detail', 'purpose'])
    expect(JSON.stringify(erased.parts)).not.toContain('A name')
  })

  test('lets nobody see, fetch, hide or restore what is hidden or erased', async () => {
    await inTraffic()
    const id = await footage(32)
    await purged(engines)
    const tries = async () => [
      await codeOf(openViewing(engines, people.investigator, id, 'to look')),
      await codeOf(requestDownload(engines, people.investigator, { type: 'recording', id }, 'to look')),
      await codeOf(askDeletion(engines, people.drafter, id, 'again')),
    ]
    expect(await tries()).toEqual(['conflict', 'conflict', 'conflict'])
    // Whoever was at its renditions when it was hidden makes no more of them.
    expect(await makeOwed(engines, id, runOf())).toMatchObject({ outcome: 'skipped' })
    const rendition = { id: newId<RenditionId>(), recording: id, kind: 'hls', state: 'working' } as const
    const { sha256: sourceSha256 } = await engines.db
      .selectFrom('recordings')
      .select('sha256')
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    if (sourceSha256 === null) throw new Error('it has no digest')
    const further = inTransaction(
      engines.db,
      async (tx) => await replace(tx, { ...rendition, sourceSha256, owedAt: clock.now() }),
    )
    await expect(further).rejects.toThrow(/nothing more is made of it/)
    await afterGrace()
    await purged(engines)
    expect(await tries()).toEqual(['erased', 'erased', 'conflict'])
    expect(await codeOf(restore(engines, people.supervisor, id, 'a mistake'))).toBe('erased')
    await expect(
      engines.db.updateTable('recordings').set({ status: 'active' }).where('id', '=', id).execute(),
    ).rejects.toThrow(/one way/)
  })

  test('keeps what has no policy, and what counts from an event that is not known', async () => {
    const id = await footage(4000)
    const uncategorised = await footage(4000, { category: null })
    expect(await purged(engines)).toMatchObject({ hidden: 0, held: 0 })
    await inTraffic({ trigger: 'convicted', period: 'P1M' })
    expect(await purged(engines)).toMatchObject({ hidden: 0, held: 0 })
    expect([await statusOf(engines, id), await statusOf(engines, uncategorised)]).toEqual(['active', 'active'])
  })

  test('takes nothing inside an open case, and counts from the event when it is closed', async () => {
    await inTraffic({ trigger: 'convicted', period: 'P1M' })
    const id = await footage(400)
    const of = await caseWith(engines, people.investigator, [id], {
      status: 'open',
      events: { convicted: '2026-01-31' },
    })
    expect(await purged(engines)).toMatchObject({ hidden: 0 })
    await setCase(engines, of, 'closed')
    expect((await explainDate(engines, people.investigator, id)).date).toBe('2026-03-01')
    const second = await caseWith(engines, people.investigator, [id], { events: { charged: '2020-01-01' } })
    expect((await explainDate(engines, people.investigator, id)).date).toBe(null)
    expect(await purged(engines)).toMatchObject({ hidden: 0 })
    await happened(engines, people.investigator, second, 'convicted', '2099-05-01')
    expect((await explainDate(engines, people.investigator, id)).date).toBe('2099-06-02')
    expect(await purged(engines)).toMatchObject({ hidden: 0 })
    await engines.db
      .updateTable('exhibits')
      .set({ withdrawnAt: clock.now(), withdrawnBecause: 'another matter' })
      .where('case', '=', second)
      .execute()
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    // The case is opened again while it is hidden: it comes back.
    await setCase(engines, of, 'open')
    expect(await purged(engines)).toMatchObject({ hidden: 0, erased: 0, held: 1 })
    expect(await statusOf(engines, id)).toBe('active')
  })

  test('brings back what a policy approved meanwhile keeps for longer', async () => {
    await inTraffic()
    const id = await footage(32)
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    await inTraffic({ period: 'P6Y' })
    await afterGrace()
    expect(await purged(engines)).toMatchObject({ erased: 0, held: 1 })
    expect(await statusOf(engines, id)).toBe('active')
    expect((await entriesAbout(engines, id)).at(-1)).toMatchObject({
      action: 'recording.restored',
      detail: { because: expect.stringContaining('policy version 2') },
    })
  })

  test('takes at once what two people want gone, but by way of grace, and never under a hold', async () => {
    const id = await footage(1)
    await askDeletion(engines, people.drafter, id, 'recorded in a changing room')
    expect(await codeOf(askDeletion(engines, people.approver, id, 'me too'))).toBe('conflict')
    expect(await codeOf(approveDeletion(engines, people.drafter, id, undefined))).toBe('same-person')
    expect(await purged(engines)).toMatchObject({ hidden: 0 })
    await approveDeletion(engines, people.approver, id, undefined)
    expect(await codeOf(approveDeletion(engines, people.approver, id, undefined))).toBe('conflict')
    const hold = await placeHold(engines, people.investigator, id, { kind: 'legal', reason: 'a claim' })
    expect(await purged(engines)).toMatchObject({ hidden: 0, held: 1 })
    await releaseHold(engines, people.investigator, hold.id, undefined)
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    await afterGrace()
    expect(await purged(engines)).toMatchObject({ erased: 1 })
    const jws = await readErasure(engines, people.investigator, id)
    const claims = JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())
    expect(claims.authority).toMatch(/^deletion-request /)
    expect(claims).not.toHaveProperty('policyVersion')
  })

  test('does not take again what was restored, until its hold is released', async () => {
    await inTraffic()
    const id = await footage(40)
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    const restored = await restore(engines, people.supervisor, id, 'it is needed after all')
    expect(restored).toMatchObject({ id, status: 'active', reviewOn: expect.stringMatching(/^\d{4}-\d\d-\d\d$/) })
    expect(await purged(engines)).toMatchObject({ hidden: 0, held: 1 })
    expect(await codeOf(restore(engines, people.supervisor, id, 'again'))).toBe('conflict')
    await releaseHold(engines, people.supervisor, restored.holdId, undefined)
    expect(await purged(engines)).toMatchObject({ hidden: 1, held: 0 })
  })

  test('is not hindered by a recording that was never examined, whose period counts from its receipt', async () => {
    await inTraffic()
    const id = await footage(4000, { status: 'verified', receivedAt: daysAgo(20) })
    expect(await purged(engines)).toMatchObject({ hidden: 0 })
    clock.ahead = 12 * day
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    await restore(engines, people.supervisor, id, 'a mistake')
    expect(await statusOf(engines, id)).toBe('verified')
    const owed = await engines.db.selectFrom('jobs').select('payload').where('name', '=', 'take-into-custody').execute()
    expect(owed).toContainEqual({ payload: { recordingId: id } })
  })

  test('does not leave what it hid before it was made playable unplayable once that is restored', async () => {
    await inTraffic()
    const id = await footage(40)
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    const renditionJobs = async () =>
      await engines.db.selectFrom('jobs').select('payload').where('name', '=', 'make-renditions').execute()
    expect(await renditionJobs()).not.toContainEqual({ payload: { recordingId: id } })
    await restore(engines, people.supervisor, id, 'a mistake')
    expect(await renditionJobs()).toContainEqual({ payload: { recordingId: id } })
  })
})

describe('one purge at a time', () => {
  test('is what starting it twice at one moment gives, and two workers at it hide and erase each recording once', async () => {
    await inTraffic()
    const ids = [await footage(40), await footage(41), await footage(42)]
    const started = await Promise.all(Array.from({ length: 6 }, async () => await startPurge(engines, people.drafter)))
    const [id] = started
    if (id === undefined) throw new Error('none was started')
    expect(new Set(started)).toEqual(new Set([id]))
    const both = async (purge: typeof id) =>
      await Promise.all([runPurge(engines, purge, runOf()), runPurge(engines, purge, runOf())])
    await both(id)
    expect(await readPurge(engines, id)).toMatchObject({ state: 'done', hidden: 3, failed: 0 })
    await afterGrace()
    const next = await startPurge(engines, null)
    expect(next).not.toBe(id)
    await both(next)
    expect(await readPurge(engines, next)).toMatchObject({ state: 'done', hidden: 0, failed: 0 })
    for (const each of ids) {
      expect((await actionsOn(engines, each)).filter((action) => action === 'recording.erased')).toHaveLength(1)
      expect(await stored(engines, each)).toEqual([])
    }
    expect((await readPurge(engines, next)).erased).toBeGreaterThanOrEqual(3)
  })

  test('is begun once a day, from the hour that is configured on, where there is something to look for', async () => {
    await using own = await testEngines({ clock, env })
    const theirs = await keepers(own)
    expect(await startDailyPurge(own)).toBe(0)
    await inForce(own, theirs, { category, trigger: 'recorded', period: 'P31D' })
    // What was approved today waits for the hour to strike.
    expect(await startDailyPurge(own)).toBe(0)
    clock.ahead = day
    expect(await startDailyPurge(own)).toBe(1)
    expect(await startDailyPurge(own)).toBe(0)
    const { id } = await own.db.selectFrom('purges').select('id').executeTakeFirstOrThrow()
    await ran(own, id)
    expect(await startDailyPurge(own)).toBe(0)
    clock.ahead = 2 * day
    expect(await startDailyPurge(own)).toBe(1)
  })

  test('takes nothing by a clock that is a day ahead of the others, and says so', async () => {
    await inTraffic()
    const id = await footage(40)
    await using other = await testEngines({ clock })
    const config = { ...engines.config, PURGE_CLOCK_MINUTES: other.config.PURGE_CLOCK_MINUTES }
    clock.ahead = day
    const purge = await startPurge(engines, null)
    await runPurge({ ...engines, config }, purge, runOf())
    const { said, ...rest } = await readPurge(engines, purge)
    expect(rest).toMatchObject({ state: 'done', hidden: 0 })
    expect(said).toMatch(/Nothing was hidden and nothing erased: by the clock here it is .* by the database's/)
    expect(await statusOf(engines, id)).toBe('active')
    clock.ahead = 0
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
  })
})
