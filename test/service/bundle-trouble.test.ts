import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Transform } from 'node:stream'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { sha256 } from '../../src/base/digest.ts'
import {
  type BundleId,
  type CaseId,
  type ExhibitId,
  newId,
  type RecordingId,
  type RenditionId,
} from '../../src/base/ids.ts'
import { listBundles, readBundle, requestBundle } from '../../src/bundles/actions.ts'
import { bundleKey } from '../../src/bundles/bundle.ts'
import { changeExhibit, withdrawExhibit } from '../../src/cases/exhibits.ts'
import { clipKey } from '../../src/clips/clip.ts'
import type { Person } from '../../src/people/person.ts'
import { originalKey } from '../../src/uploads/upload.ts'
import {
  askBundle,
  bundleRow,
  checkedBag,
  jsonIn,
  makeNow,
  published,
  put,
  readable,
  unpacked,
  words,
  zipIn,
} from '../bundled.ts'
import { aCase, aClipRow } from '../case-files.ts'
import { catalogued, entriesAbout, kept, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { cutsAnswer, type FaultyStore, faultyStore } from '../faulty-store.ts'
import { codeOf, problemOf } from '../footsteps.ts'
import { setCase } from '../retained.ts'

let store: FaultyStore
let engines: TestEngines
let asha: Person
let dora: Person
let folder: string
let caseId: CaseId
let recording: RecordingId
let exhibit: ExhibitId

beforeAll(async () => {
  store = await faultyStore(inject('prepared').s3.endpoint)
  engines = await testEngines({ env: { S3_ENDPOINT: store.endpoint, BUNDLES_OWED: '3' } })
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-trouble-'))
  asha = await someone(engines, ['investigator'])
})
beforeEach(async () => {
  dora = await someone(engines, ['disclosure'])
  caseId = await aCase(engines, asha, [[dora, 'disclosure']])
  recording = await kept(engines, randomBytes(50_000), { camera: `CAM-${newId()}` })
  exhibit = await put(engines, asha, caseId, 'AB/1', { recordingId: recording })
})
afterEach(() => store.heal())
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await engines[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
})

const ask = async (...ids: ExhibitId[]) => await askBundle(engines, dora, caseId, ids)
/** What the purge does to footage; while its case is open, nothing is ever hidden. */
const mark = async (id: RecordingId, status: 'grace' | 'quarantined' | 'erased') => {
  await setCase(engines, caseId, 'closed')
  const steps = status === 'erased' ? (['grace', 'erased'] as const) : [status]
  for (const step of steps)
    await engines.db.updateTable('recordings').set({ status: step }).where('id', '=', id).execute()
}
const alarms = async () => (await engines.metrics.storeMismatches.get()).values[0]?.value ?? 0
const nothingLeft = async (id: BundleId) => {
  expect(await engines.store.list('derived', bundleKey(id))).toEqual([])
  expect(await engines.store.multiparts('derived', bundleKey(id))).toEqual([])
}

/** One bit of what is read of an original changes on its way, so often. */
const damage = (times = Number.POSITIVE_INFINITY): void => {
  let left = times
  store.on('read', ({ request, pass }) => {
    if (left === 0 || request.url?.includes('/recordings/') !== true) return pass()
    left -= 1
    const content = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        const copy = Buffer.from(chunk)
        copy[0] = (copy[0] ?? 0) ^ 1
        done(null, copy)
      },
    })
    return pass({ content })
  })
}

test('a bundle waits for the form that a browser plays, and keeps no worker from making it', async () => {
  const { sha256: sourceSha256 } = await engines.db
    .selectFrom('recordings')
    .select('sha256')
    .where('id', '=', recording)
    .executeTakeFirstOrThrow()
  if (sourceSha256 === null) throw new Error('a recording without its digest')
  const row = { id: newId<RenditionId>(), recording, kind: 'hls', state: 'working', sourceSha256 } as const
  const unmade = { failure: null, tool: null, size: null, sha256: null, owedAt: engines.clock.now() }
  await engines.db
    .insertInto('renditions')
    .values({ ...row, ...unmade })
    .execute()
  const id = await ask(exhibit)
  const first = await bundleRow(engines, id)
  await makeNow(engines, id)
  const waiting = await bundleRow(engines, id)
  expect(waiting.state).toBe('owed')
  expect(waiting.job).not.toBe(first.job)
  expect(await readBundle(engines, dora, id)).toMatchObject({
    state: 'owed',
    failure: null,
    waitsFor: expect.stringMatching(/^A copy of AB\/1 that browsers play is still being made/),
  })
  await engines.db.updateTable('renditions').set({ state: 'failed' }).where('recording', '=', recording).execute()
  await makeNow(engines, id)
  expect((await bundleRow(engines, id)).state).toBe('ready')
})

describe('a bundle is refused', () => {
  test('to whoever is no member, as if there were no case; only the ledger tells', async () => {
    const eve = await someone(engines, ['disclosure', 'supervisor', 'investigator'])
    const hidden = await problemOf(askBundle(engines, eve, caseId, [exhibit]))
    const absent = await problemOf(askBundle(engines, eve, newId<CaseId>(), [exhibit]))
    expect(hidden).toEqual(absent)
    expect(hidden?.code).toBe('not-found')
    const made = await ask(exhibit)
    for (const work of [readBundle(engines, eve, made), listBundles(engines, eve, caseId, {})])
      expect(await codeOf(work)).toBe('not-found')
    const denied = (id: string) =>
      entriesAbout(engines, id).then((all) => all.filter(({ outcome }) => outcome === 'denied'))
    expect(await denied(caseId)).toMatchObject([
      { operation: 'disclosure', action: 'bundle.request', actor: { id: eve.id } },
      { operation: 'consultation', action: 'bundle.read' },
    ])
    expect(await denied(made)).toMatchObject([{ action: 'bundle.read', actor: { id: eve.id } }])
  })

  test('of a sensitive exhibit, which is named, and of what holds its footage', async () => {
    const secret = await put(engines, asha, caseId, 'S/1', { recordingId: recording, sensitivity: 'sensitive' })
    const open = await put(engines, asha, caseId, 'AB/2', { recordingId: await catalogued(engines) })
    const direct = await problemOf(ask(open, secret))
    expect(direct).toMatchObject({ code: 'exhibit-sensitive', message: expect.stringContaining('S/1') })
    expect(await problemOf(ask(exhibit))).toMatchObject({
      code: 'exhibit-sensitive',
      message: expect.stringContaining('S/1'),
    })
    const refused = (await entriesAbout(engines, caseId)).filter(({ outcome }) => outcome === 'denied')
    expect(refused).toMatchObject([{ action: 'bundle.request', actor: { id: dora.id } }])
    expect(await codeOf(ask(open))).toBe('accepted')
  })

  test('of exhibits that are not of this case, or were withdrawn', async () => {
    const elsewhere = await aCase(engines, asha)
    const foreign = await put(engines, asha, elsewhere, 'X/1', { recordingId: recording })
    expect(await problemOf(ask(exhibit, foreign))).toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/of this case/),
    })
    expect(await codeOf(ask(newId<ExhibitId>()))).toBe('not-found')
    const gone = await put(engines, asha, caseId, 'AB/2', { recordingId: recording })
    await withdrawExhibit(engines, asha, gone, 'Wrong one')
    expect(await problemOf(ask(exhibit, gone))).toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('AB/2'),
    })
  })

  test('of exhibits that are hidden or erased, where the case is closed', async () => {
    const states = [
      ['grace', 'conflict'],
      ['erased', 'erased'],
    ] as const
    for (const [status, code] of states) {
      await mark(recording, status)
      expect(await problemOf(ask(exhibit))).toMatchObject({ code, message: expect.stringContaining('AB/1') })
    }
  })

  test('of more than one bundle holds', async () => {
    const huge = await catalogued(engines, { size: 400 * 1024 ** 3 })
    const each = await put(engines, asha, caseId, 'AB/2', { recordingId: huge })
    expect(await problemOf(ask(each))).toMatchObject({ code: 'too-large', message: expect.stringContaining('400 GiB') })
  })

  test('to a person who is owed as many as there may be, until one is made', async () => {
    const [first] = [await ask(exhibit), await ask(exhibit), await ask(exhibit)]
    expect(await codeOf(ask(exhibit))).toBe('too-many-bundles')
    await makeNow(engines, first)
    expect(await codeOf(ask(exhibit))).toBe('accepted')
  })
})

describe('a bundle fails, in words, and leaves nothing in the store', () => {
  test.for<[string, RegExp, () => Promise<unknown>]>([
    ['was withdrawn', /AB\/1 was withdrawn/, async () => await withdrawExhibit(engines, asha, exhibit, 'Wrong one')],
    [
      'was marked sensitive',
      /AB\/1 is marked sensitive/,
      async () => await changeExhibit(engines, asha, exhibit, { sensitivity: 'sensitive' }, 'An informant'),
    ],
    [
      'was found inside a sensitive one',
      /S\/1, which is marked/,
      async () => await put(engines, asha, caseId, 'S/1', { recordingId: recording, sensitivity: 'sensitive' }),
    ],
    ['was put into quarantine', /AB\/1: What was read back/, async () => await mark(recording, 'quarantined')],
    ['was hidden for erasure', /AB\/1: The recording waits/, async () => await mark(recording, 'grace')],
    ['was erased', /AB\/1: The recording was erased/, async () => await mark(recording, 'erased')],
  ])('where its exhibit %s meanwhile', async ([, why, happens]) => {
    const id = await ask(exhibit)
    let calls = 0
    const row = await makeNow(engines, id, {
      fence: async () => {
        calls += 1
        // Everything is stored by now, and nothing is published.
        if (calls === 3) await happens()
      },
    })
    expect(calls).toBe(4)
    expect(row).toMatchObject({ state: 'failed', sha256: null })
    expect(row.failure).toMatch(why)
    expect(row.failure).toMatch(/Nothing was published.*kept.*Ask for a new bundle/)
    await nothingLeft(id)
    expect((await entriesAbout(engines, id)).at(-1)).toMatchObject({ action: 'bundle.failed', outcome: 'failed' })
    expect((await entriesAbout(engines, recording)).map(({ action }) => action)).not.toContain('recording.disclosed')
  })

  test('where it was erased before the first byte was read', async () => {
    const id = await ask(exhibit)
    await mark(recording, 'erased')
    const before = await alarms()
    await engines.store.delete('originals', originalKey(recording))
    expect(await makeNow(engines, id)).toMatchObject({
      state: 'failed',
      failure: expect.stringContaining('was erased'),
    })
    expect(await alarms()).toBe(before)
  })

  const broken = async (id: BundleId, about: RecordingId, said: RegExp) => {
    const before = await alarms()
    const row = await makeNow(engines, id)
    expect(row.state).toBe('failed')
    expect(row.failure).toMatch(said)
    expect(row.failure).toMatch(/is kept.*tell an administrator/)
    await nothingLeft(id)
    expect(await alarms()).toBe(before + 1)
    const entries = (await entriesAbout(engines, about)).filter(({ action }) => action === 'recording.mismatch-found')
    expect(entries).toMatchObject([{ outcome: 'failed', actor: { kind: 'service' }, detail: { bundle: id } }])
  }

  test('where an original is not in the store any more: an alarm', async () => {
    const id = await ask(exhibit)
    const { objectVersion } = await engines.db
      .selectFrom('recordings')
      .select('objectVersion')
      .where('id', '=', recording)
      .executeTakeFirstOrThrow()
    await engines.store.delete('originals', originalKey(recording), objectVersion ?? '')
    await broken(id, recording, /original of AB\/1.*not there/)
  })

  test('where an original reads as other bytes: an alarm', async () => {
    const id = await ask(exhibit)
    damage()
    await broken(id, recording, /original of AB\/1.*another SHA-256/)
  })

  test.for([
    ['shorter', Buffer.alloc(9), /clip of AB\/2.*full length/],
    ['longer', Buffer.alloc(11), /clip of AB\/2.*full length/],
    ['of the same length', Buffer.alloc(10), /clip of AB\/2.*another SHA-256/],
  ] as const)('where a clip was replaced by something %s: an alarm', async ([, bytes, said]) => {
    const clipId = await aClipRow(engines, asha, recording, 'ready')
    const clip = await put(engines, asha, caseId, 'AB/2', { clipId })
    await engines.store.put('derived', clipKey(recording, clipId, 1), bytes, sha256(bytes))
    await broken(await ask(exhibit, clip), recording, said)
  })
})

test('the bundles of one person are made one after the other, whatever became of the one before', async () => {
  const due = async (id: BundleId) => {
    const { job } = await bundleRow(engines, id)
    const query = engines.db.selectFrom('jobs').select('dueAt').where('id', '=', job)
    return (await query.executeTakeFirstOrThrow()).dueAt.getTime() <= Date.now()
  }
  const [first, second, third] = [await ask(exhibit), await ask(exhibit), await ask(exhibit)]
  expect([await due(first), await due(second), await due(third)]).toEqual([true, false, false])
  await makeNow(engines, first)
  expect([await due(second), await due(third)]).toEqual([true, false])
  await withdrawExhibit(engines, asha, exhibit, 'Wrong one')
  expect((await makeNow(engines, second)).state).toBe('failed')
  expect(await due(third)).toBe(true)
})

test('nothing stays in the store of a bundle whose worker was killed, and which may not go out any more', async () => {
  const id = await ask(exhibit)
  const begun = await engines.store.startMultipart('derived', bundleKey(id), 'application/zip')
  const part = { number: 1, body: randomBytes(100), sha256: Buffer.alloc(0) }
  await engines.store.putPart('derived', bundleKey(id), begun, { ...part, sha256: sha256(part.body) })
  await withdrawExhibit(engines, asha, exhibit, 'Wrong one')
  expect((await makeNow(engines, id)).state).toBe('failed')
  await nothingLeft(id)
})

test('bytes damaged on their way here are no alarm: the bundle is made once more', async () => {
  const id = await ask(exhibit)
  const before = await alarms()
  damage(1)
  await expect(makeNow(engines, id)).rejects.toThrow(/damaged on their way/)
  expect((await bundleRow(engines, id)).state).toBe('working')
  expect(await engines.store.multiparts('derived', bundleKey(id))).toEqual([])
  expect(await makeNow(engines, id, { attempt: 2 })).toMatchObject({ state: 'ready' })
  expect(await alarms()).toBe(before)
})

test('a bundle of many parts is made of reads that break off again and again', async () => {
  const large = await kept(engines, randomBytes(40 * 1024 * 1024), { camera: `CAM-${newId()}` })
  const second = await put(engines, asha, caseId, 'AB/2', { recordingId: large })
  const id = await ask(exhibit, second)
  let cuts = 3
  store.on('read', (exchange) => {
    if (cuts === 0 || exchange.request.url?.includes('/recordings/') !== true) return exchange.pass()
    cuts -= 1
    return cutsAnswer(9_000_000)(exchange)
  })
  const told: number[] = []
  const row = await makeNow(engines, id, { progress: (fraction) => told.push(fraction) })
  expect(row).toMatchObject({ state: 'ready', size: (await zipIn(engines, id))?.length })
  expect((await checkedBag(await unpacked(engines, id, folder))).wrong).toEqual([])
  expect(told).toEqual(told.toSorted((a, b) => a - b))
  expect(told.at(-1)).toBeGreaterThan(0.9)
})

test('members read how far it is; whoever waits for it does so without an entry each time', async () => {
  const id = await ask(exhibit)
  expect(await readBundle(engines, dora, id)).toEqual({
    id,
    caseId,
    schedule: 1,
    askedBy: { id: dora.id, name: 'disclosure' },
    ...words,
    exhibits: [{ id: exhibit, reference: 'AB/1', item: 1 }],
    state: 'owed',
    progress: 0,
    waitsFor: null,
    failure: null,
    size: null,
    sha256: null,
    gone: null,
    withheld: null,
    askedAt: expect.any(String),
    endedAt: null,
  })
  await readBundle(engines, dora, id)
  expect((await entriesAbout(engines, id)).map(({ action }) => action)).toEqual(['bundle.asked'])
  await makeNow(engines, id)
  expect(await readBundle(engines, asha, id)).toMatchObject({ state: 'ready', endedAt: expect.any(String) })
  expect((await entriesAbout(engines, id)).map(({ action }) => action)).toEqual([
    'bundle.asked',
    'bundle.made',
    'bundle.read',
  ])
  const more = await ask(exhibit)
  const { items, nextCursor } = await listBundles(engines, asha, caseId, { limit: 1 })
  expect(items).toMatchObject([{ id: more, schedule: 2 }])
  const rest = await listBundles(engines, asha, caseId, { limit: 1, cursor: nextCursor ?? '' })
  expect(rest).toMatchObject({ items: [{ id }], nextCursor: null })
})

test('nothing changes in a bundle that is ready, whoever tries', async () => {
  const id = await ask(exhibit)
  await makeNow(engines, id)
  const change = engines.db.updateTable('bundles').set({ state: 'failed' }).where('id', '=', id).execute()
  await expect(change).rejects.toThrow('a bundle that is ready does not change')
})

test('an exhibit that is first listed in the first hour of a day of summer is listed on that day', async () => {
  const instant = Temporal.Instant.from('2026-07-14T23:30:00Z')
  const clock = { now: () => new Date(instant.epochMilliseconds), instant: () => instant }
  const { id } = await requestBundle({ ...engines, clock }, dora, caseId, { ...words, exhibitIds: [exhibit] })
  await published(engines)
  await makeNow(engines, id)
  const top = await unpacked(engines, id, folder)
  const { items } = await jsonIn(top, 'data/schedules/MG6C.json')
  expect(items).toMatchObject([{ reference: 'AB/1', listed: '2026-07-15' }])
  expect(await readable(top, 'data/schedules/MG6C.csv')).toContain('2026-07-15')
})
