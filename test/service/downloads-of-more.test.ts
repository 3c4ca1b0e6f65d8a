import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/base/digest.ts'
import { type BundleId, type CaseId, type ExhibitId, newId, type RecordingId } from '../../src/base/ids.ts'
import { listBundles, readBundle } from '../../src/bundles/actions.ts'
import { addExhibit, changeExhibit, withdrawExhibit } from '../../src/cases/exhibits.ts'
import { dropMember } from '../../src/cases/members.ts'
import { clipKey } from '../../src/clips/clip.ts'
import { fileAt, requestDownload } from '../../src/downloads/actions.ts'
import type { Wanted } from '../../src/downloads/download.ts'
import { openFile } from '../../src/downloads/stream.ts'
import type { Person } from '../../src/people/person.ts'
import { aBundleOf, aClipRow } from '../case-files.ts'
import { catalogued, entriesAbout, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf, problemOf } from '../footsteps.ts'

let engines: TestEngines
let investigator: Person
let disclosure: Person
beforeAll(async () => {
  engines = await testEngines()
  investigator = await someone(engines, ['investigator'])
  disclosure = await someone(engines, ['disclosure'])
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const never = new AbortController().signal
const ask = async (wanted: Wanted, person: Person) => await requestDownload(engines, person, wanted, 'case 12/3456')
const tokenOf = async (wanted: Wanted, person: Person): Promise<string> => {
  const { url } = await ask(wanted, person)
  return url.slice(url.lastIndexOf('/') + 1)
}
const fetched = async (token: string): Promise<Buffer> => {
  const served = await fileAt(engines, token)
  return await buffer(await openFile(engines, served, { first: 0, last: served.size - 1 }, never))
}
/** Nothing in an open case is ever hidden. */
const hide = async (recording: RecordingId): Promise<void> => {
  const inCases = engines.db.selectFrom('exhibits').select('case').where('recording', '=', recording)
  const closed = { status: 'closed', closedAt: engines.clock.now() } as const
  await engines.db.updateTable('cases').set(closed).where('id', 'in', inCases).execute()
  await engines.db.updateTable('recordings').set({ status: 'grace' }).where('id', '=', recording).execute()
}

type Of = { caseId: CaseId; exhibit: ExhibitId; recording: RecordingId }

describe('a clip', () => {
  test('is fetched as it was cut, by investigators and disclosure officers, each time with an entry', async () => {
    const recording = await catalogued(engines)
    const id = await aClipRow(engines, investigator, recording, 'ready')
    const bytes = randomBytes(10)
    await engines.store.put('derived', clipKey(recording, id, 1), bytes, sha256(bytes))
    for (const person of [investigator, disclosure]) {
      const token = await tokenOf({ type: 'clip', id }, person)
      expect(await fileAt(engines, token)).toMatchObject({ filename: 'The stop.mp4', mediaType: 'video/mp4', size: 10 })
      expect(await fetched(token)).toEqual(bytes)
    }
    expect(await entriesAbout(engines, id)).toMatchObject([
      { operation: 'consultation', action: 'clip.download', purpose: 'case 12/3456' },
      { actor: { id: disclosure.id, role: 'disclosure' } },
    ])
  })

  test.for([
    ['owed', 'not-ready'],
    ['working', 'not-ready'],
    ['failed', 'conflict'],
  ] as const)('that is %s is answered with %s', async ([state, code]) => {
    const id = await aClipRow(engines, investigator, await catalogued(engines), state)
    expect(await codeOf(ask({ type: 'clip', id }, investigator))).toBe(code)
  })

  test('is withheld with its recording, also at an address that was given before', async () => {
    const recording = await catalogued(engines)
    const id = await aClipRow(engines, investigator, recording, 'ready')
    const token = await tokenOf({ type: 'clip', id }, investigator)
    await hide(recording)
    expect(await codeOf(fileAt(engines, token))).toBe('conflict')
    expect(await codeOf(ask({ type: 'clip', id }, investigator))).toBe('conflict')
    const refused = (await entriesAbout(engines, id)).filter(({ outcome }) => outcome === 'denied')
    expect(refused.map(({ action }) => action).sort()).toEqual(['clip.download', 'download.fetch'])
  })

  test('of a recording that the person may not know of is not found, and that is on record', async () => {
    const id = await aClipRow(engines, investigator, await catalogued(engines), 'ready')
    const stranger = await someone(engines, ['officer'], 'PC77')
    expect(await codeOf(ask({ type: 'clip', id }, stranger))).toBe('not-found')
    expect(await entriesAbout(engines, id)).toMatchObject([{ action: 'clip.download', outcome: 'denied' }])
  })
})

describe('a bundle', () => {
  test('is fetched by members of its case, and the entry names who it is for', async () => {
    const bytes = randomBytes(1000)
    const id = await aBundleOf(engines, [investigator, disclosure], await catalogued(engines), 'ready', bytes)
    const token = await tokenOf({ type: 'bundle', id }, disclosure)
    expect(await fileAt(engines, token)).toMatchObject({ filename: `exhibit-bundle-${id}.zip` })
    expect(await fetched(token)).toEqual(bytes)
    expect(await entriesAbout(engines, id)).toMatchObject([
      { operation: 'disclosure', action: 'bundle.download', purpose: 'case 12/3456', recipient: 'CPS London' },
    ])
  })

  test('is not found by anybody else, and that is on record', async () => {
    const id = await aBundleOf(engines, [investigator, disclosure], await catalogued(engines), 'ready', randomBytes(10))
    const stranger = await someone(engines, ['disclosure'])
    expect(await codeOf(ask({ type: 'bundle', id }, stranger))).toBe('not-found')
    expect(await codeOf(ask({ type: 'bundle', id: newId<BundleId>() }, stranger))).toBe('not-found')
    expect(await entriesAbout(engines, id)).toMatchObject([{ action: 'bundle.download', outcome: 'denied' }])
  })

  test('is had no more by whoever has left the case since they asked for it, and that is on record', async () => {
    const id = await aBundleOf(engines, [investigator, disclosure], await catalogued(engines), 'ready', randomBytes(10))
    const token = await tokenOf({ type: 'bundle', id }, disclosure)
    const { case: caseId } = await engines.db
      .selectFrom('bundles')
      .select('case')
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    await dropMember(engines, investigator, caseId, disclosure.id)
    expect(await codeOf(fileAt(engines, token))).toBe('not-found')
    expect((await entriesAbout(engines, id)).at(-1)).toMatchObject({ action: 'download.fetch', outcome: 'denied' })
  })

  test('that is not made yet is not ready, and one that holds footage which is withheld is withheld', async () => {
    const working = await aBundleOf(
      engines,
      [investigator, disclosure],
      await catalogued(engines),
      'working',
      randomBytes(10),
    )
    expect(await codeOf(ask({ type: 'bundle', id: working }, disclosure))).toBe('not-ready')
    const recording = await catalogued(engines)
    const id = await aBundleOf(engines, [investigator, disclosure], recording, 'ready', randomBytes(10))
    const token = await tokenOf({ type: 'bundle', id }, disclosure)
    await hide(recording)
    expect(await codeOf(fileAt(engines, token))).toBe('conflict')
  })

  const aBundle = async (recording: RecordingId) => {
    const id = await aBundleOf(engines, [investigator, disclosure], recording, 'ready', randomBytes(10))
    const { case: caseId, exhibit } = await engines.db
      .selectFrom('bundles')
      .innerJoin('bundleExhibits', 'bundleExhibits.bundle', 'bundles.id')
      .select(['bundles.case', 'bundleExhibits.exhibit'])
      .where('bundles.id', '=', id)
      .executeTakeFirstOrThrow()
    return { id, caseId, exhibit }
  }

  test.for([
    [
      'was marked sensitive',
      'exhibit-sensitive',
      /^AB\/1 is marked sensitive\. The bundle is given out no more; a copy that somebody fetched before stays/,
      async ({ exhibit }) => {
        await changeExhibit(engines, investigator, exhibit, { sensitivity: 'sensitive' }, 'It shows an informant')
      },
    ],
    [
      'was withdrawn',
      'conflict',
      /^AB\/1 was withdrawn from the case\. The bundle is given out no more/,
      async ({ exhibit }) => await withdrawExhibit(engines, investigator, exhibit, 'The wrong footage'),
    ],
    [
      'holds footage of one that was marked sensitive',
      'exhibit-sensitive',
      /^The footage of AB\/1 holds that of AB\/2, which is marked sensitive\. The bundle is given out no more/,
      async ({ caseId, recording }) => {
        const clipId = await aClipRow(engines, investigator, recording, 'ready')
        const words = { reference: 'AB/2', sensitivity: 'sensitive', description: 'The informant' } as const
        await addExhibit(engines, investigator, caseId, { clipId, ...words })
      },
    ],
  ] satisfies [string, string, RegExp, (of: Of) => Promise<void>][])(
    'of which an exhibit %s is given out no more, also at an address that was given before',
    async ([, code, words, happen]) => {
      const recording = await catalogued(engines)
      const { id, caseId, exhibit } = await aBundle(recording)
      const token = await tokenOf({ type: 'bundle', id }, disclosure)
      expect(await readBundle(engines, disclosure, id)).toMatchObject({ gone: null, withheld: null })
      await happen({ caseId, exhibit, recording })
      const refusal = { code, message: expect.stringMatching(words) }
      expect(await problemOf(ask({ type: 'bundle', id }, disclosure))).toMatchObject(refusal)
      expect(await problemOf(fileAt(engines, token))).toMatchObject(refusal)
      const refused = (await entriesAbout(engines, id)).filter(({ outcome }) => outcome === 'denied')
      expect(refused.map(({ action }) => action).sort()).toEqual(['bundle.download', 'download.fetch'])
      const told = { state: 'ready', gone: null, withheld: expect.stringMatching(words) }
      expect(await readBundle(engines, disclosure, id)).toMatchObject(told)
      const { items } = await listBundles(engines, disclosure, caseId, {})
      expect(items).toMatchObject([{ id, ...told }])
    },
  )

  test('of which an exhibit is no longer sensitive is given out again', async () => {
    const { id, exhibit } = await aBundle(await catalogued(engines))
    for (const sensitivity of ['sensitive', 'none'] as const)
      await changeExhibit(engines, investigator, exhibit, { sensitivity }, 'It was looked at again')
    expect((await fileAt(engines, await tokenOf({ type: 'bundle', id }, disclosure))).size).toBe(10)
  })
})
