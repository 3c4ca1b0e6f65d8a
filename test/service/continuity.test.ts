import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/base/digest.ts'
import { type CaseId, type ClipId, type EntryId, firstIdAt, newId, type RecordingId } from '../../src/base/ids.ts'
import { parseProof, verifyProof } from '../../src/base/tlog-proof.ts'
import { moveExhibit } from '../../src/cases/moving.ts'
import type { Act } from '../../src/continuity/act.ts'
import { makeStatement, readStory } from '../../src/continuity/actions.ts'
import type { Subject } from '../../src/continuity/facts.ts'
import { statementPdf } from '../../src/continuity/statement.ts'
import { requestDownload } from '../../src/downloads/actions.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { sealEntry } from '../../src/ledger/entry.ts'
import { beginLog, currentLog, logKeyOf } from '../../src/ledger/log/log.ts'
import { proofOf } from '../../src/ledger/log/proofs.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { record } from '../../src/ledger/record.ts'
import { actor, type Person } from '../../src/people/person.ts'
import { readRecording } from '../../src/recordings/actions.ts'
import { placeHold } from '../../src/retention/holds.ts'
import { closeViewing, closeViewings } from '../../src/viewings/closing.ts'
import { openViewing } from '../../src/viewings/opening.ts'
import { askBundle, makeNow } from '../bundled.ts'
import { aCase, anExhibit } from '../case-files.ts'
import { catalogued, entriesAbout, someone } from '../catalogued.ts'
import { cutNow } from '../clipped.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { aDock, codeOf, digestOf, sendFile, take } from '../footsteps.ts'
import { pagesOf, textOf } from '../pdf-text.ts'
import { ffmpeg, show } from '../shown.ts'
import { actionsIn, isShown, leavesOf, only, storyOf } from '../stories.ts'
import { leafIn } from '../told.ts'

let engines: TestEngines
let folder: string
let people: Record<'asha' | 'ben' | 'dora' | 'sue' | 'ada' | 'rita', Person>
beforeAll(async () => {
  engines = await testEngines()
  await beginLog(engines)
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-continuity-'))
  people = {
    asha: await someone(engines, ['investigator']),
    ben: await someone(engines, ['investigator']),
    dora: await someone(engines, ['disclosure']),
    sue: await someone(engines, ['supervisor']),
    ada: await someone(engines, ['auditor']),
    rita: await someone(engines, ['retention']),
  }
})
afterAll(async () => {
  await engines[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const of = (id: RecordingId): Subject => ({ type: 'recording', id })
const clipOf = (id: ClipId): Subject => ({ type: 'clip', id })
const tokenIn = (url: string): string => new URL(url).pathname.split('/').at(-2) ?? ''

/** The whole story as this person is told it, page by page. */
const told = async (person: Person, subject: Subject, limit?: number): Promise<Act[]> =>
  await storyOf(engines, person, subject, limit)

type Footage = { recording: RecordingId; clip: ClipId; sibling: ClipId; caseId: CaseId }
let shared: Footage | undefined

/** A recording that a dock brought, with all that people do to one. Made once. */
const footage = async (): Promise<Footage> => {
  if (shared !== undefined) return shared
  const { asha, ben, dora } = people
  const file = path.join(folder, 'BWC_0417.mp4')
  const source = ['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25:d=3', '-f', 'lavfi', '-i', 'sine=d=3']
  await ffmpeg(...source, '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac', file)
  const recording = await show(engines, await aDock(engines, 'Desk 4'), file)
  const viewing = await openViewing(engines, ben, recording, 'Complaint 26/0193')
  await closeViewing(engines, tokenIn(viewing.playlistUrl))
  const clip = (await cutNow(engines, asha, recording, [0.5, 1.5])).id
  const sibling = (await cutNow(engines, asha, recording, [1, 2])).id
  const caseId = await aCase(engines, asha, [[dora, 'disclosure']])
  const exhibit = await anExhibit(engines, asha, caseId, 'AB/1', recording)
  const bundle = await askBundle(engines, dora, caseId, [exhibit])
  // What it discloses has to be under a signed head.
  await sequence(engines)
  await makeNow(engines, bundle)
  await requestDownload(engines, ben, { type: 'recording', id: recording }, 'To compare')
  shared = { recording, clip, sibling, caseId }
  return shared
}

const whole = [
  ...['upload.created', 'upload.stored', 'recording.verified', 'recording.examined'],
  ...['rendition.made', 'rendition.made', 'rendition.made'],
  ...['recording.viewing', 'recording.viewing-ended'],
  ...['clip.request', 'clip.cut', 'clip.request', 'clip.cut'],
  ...['exhibit.added', 'bundle.asked', 'bundle.made', 'recording.disclosed', 'recording.download'],
]

describe('the story of a recording', () => {
  test('tells a supervisor every act from camera to now, in order, by whom, why, and what it changed', async () => {
    const { recording } = await footage()
    const acts = (await told(people.sue, of(recording))).filter(isShown)
    expect(acts.filter(({ action }) => action !== 'custody.read').map(({ action }) => action)).toEqual(whole)
    const times = acts.map(({ at }) => at)
    expect(times).toEqual([...times].sort())
    const { sha256 } = await engines.db
      .selectFrom('recordings')
      .select('sha256')
      .where('id', '=', recording)
      .executeTakeFirstOrThrow()
    expect(only(acts, 'upload.stored')).toMatchObject({ who: { kind: 'dock', name: 'Desk 4' } })
    expect(only(acts, 'recording.verified')).toMatchObject({
      operation: 'collection',
      who: { kind: 'service', id: 'take-into-custody', name: null, job: expect.any(String) },
      changed: { what: 'recording', before: null, after: sha256 },
    })
    expect(only(acts, 'clip.cut').changed).toMatchObject({ what: 'clip', before: sha256 })
    expect(only(acts, 'recording.viewing')).toMatchObject({
      who: { kind: 'person', id: people.ben.id, name: people.ben.name, role: 'investigator' },
      why: 'Complaint 26/0193',
    })
    expect(only(acts, 'bundle.asked')).toMatchObject({ recipient: 'CPS London North', why: 'Initial details' })
    for (const act of acts) expect(act.shown).toBe('whole')
    for (const act of acts) expect(leafIn(act)).toBe(act.leaf)
    expect(acts.map(({ leaf }) => leaf)).toEqual(
      await leavesOf(
        engines,
        acts.map(({ entry }) => entry),
      ),
    )
  })

  test('is told to an auditor as well, who sees no footage', async () => {
    const { recording } = await footage()
    const acts = (await told(people.ada, of(recording))).filter(isShown)
    expect(acts.every(({ shown }) => shown === 'whole')).toBe(true)
    expect(await codeOf(readRecording(engines, people.ada, recording))).toBe('not-found')
  })

  test('seals from others who looked and why, and lets them compute every leaf all the same', async () => {
    const { recording } = await footage()
    const acts = (await told(people.asha, of(recording))).filter(isShown)
    expect(only(acts, 'upload.stored').who).toMatchObject({ kind: 'dock', name: 'Desk 4' })
    const viewing = only(acts, 'recording.viewing')
    expect(viewing).toMatchObject({ shown: 'in-part', who: null })
    expect(viewing).not.toHaveProperty('why')
    expect(Object.keys(viewing.sealed).sort()).toEqual(['actor', 'purpose'])
    expect(only(acts, 'recording.download').sealed).toHaveProperty('purpose')
    // Her own acts, and those of her own case, she sees whole.
    expect(only(acts, 'clip.request')).toMatchObject({ shown: 'whole', who: { id: people.asha.id } })
    expect(only(acts, 'exhibit.added')).toMatchObject({ words: expect.stringContaining('AB/1') })
    expect(only(acts, 'bundle.asked')).toMatchObject({ recipient: 'CPS London North' })
    for (const act of acts) expect(leafIn(act)).toBe(act.leaf)
    expect(JSON.stringify(acts)).not.toMatch(/Complaint|To compare/)
  })

  test('tells whoever is no member of the case nothing of it but that something was done on a day', async () => {
    const { recording, caseId } = await footage()
    const acts = await told(people.ben, of(recording))
    expect(acts).toHaveLength((await told(people.sue, of(recording))).length - 1)
    expect(acts.filter(({ shown }) => shown === 'withheld')).toHaveLength(4)
    const text = JSON.stringify(acts)
    expect(text).not.toMatch(/AB\/1|CPS|Robbery|exhibit\.added|bundle/)
    expect(text).not.toContain(caseId)
    const { rows } = {
      rows: await engines.db.selectFrom('exhibits').select('id').where('recording', '=', recording).execute(),
    }
    for (const { id } of rows) expect(text).not.toContain(id)
    // Their places are those that a supervisor sees there.
    const leaves = (await told(people.sue, of(recording))).map(({ leaf }) => leaf)
    for (const { leaf } of acts) expect(leaves).toContain(leaf)
  })

  test('is read page by page to its end, though each page that is read is an act more', async () => {
    const { recording } = await footage()
    const pages = await told(people.sue, of(recording), 4)
    const once = await told(people.sue, of(recording))
    const leaves = pages.map(({ leaf }) => leaf)
    expect(new Set(leaves).size).toBe(leaves.length)
    expect(once.map(({ leaf }) => leaf).slice(0, leaves.length)).toEqual(leaves)
    expect(once.length).toBeGreaterThan(leaves.length)
    const readings = once.filter(isShown).filter(({ action }) => action === 'custody.read')
    expect(readings.at(-1)).toMatchObject({ who: { id: people.sue.id }, operation: 'consultation' })
    const strange = async (cursor: string) => await codeOf(readStory(engines, people.sue, of(recording), { cursor }))
    expect(await strange('nonsense')).toBe('bad-request')
    expect(await strange(Buffer.from(JSON.stringify([newId()])).toString('base64url'))).toBe('bad-request')
  })

  test('gives nobody the id, and so the moment, of an act that it withholds, on whichever page that stands', async () => {
    const { recording } = await footage()
    const whole = (await told(people.sue, of(recording))).filter(isShown)
    const idOf = new Map(whole.map(({ leaf, entry }) => [leaf, entry]))
    const withheld = (await told(people.ben, of(recording))).filter(({ shown }) => shown === 'withheld')
    const moments = withheld.map(({ leaf }) => idOf.get(leaf)?.slice(0, 13))
    expect(moments).toHaveLength(4)
    const seen: string[] = []
    for (let cursor: string | undefined; ; ) {
      const page = await readStory(engines, people.ben, of(recording), {
        limit: 1,
        ...(cursor === undefined ? {} : { cursor }),
      })
      seen.push(...page.acts.map(({ leaf }) => leaf))
      if (page.nextCursor === null) break
      cursor = page.nextCursor
      for (const moment of moments) expect(Buffer.from(cursor, 'base64url').toString()).not.toContain(moment)
    }
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen).toEqual(expect.arrayContaining(withheld.map(({ leaf }) => leaf)))
    // Nor does the entry of a reading, which others read, say where it went on.
    const readings = (await told(people.sue, of(recording))).filter(isShown)
    expect(readings.findLast(({ action }) => action === 'custody.read')?.disclosed.parts.detail?.value).toBeDefined()
    expect(JSON.stringify(readings.filter(({ action }) => action === 'custody.read'))).not.toContain('after')
  })

  test('has what another machine, whose clock is ahead, has put on record already', async () => {
    const recording = await catalogued(engines, {})
    const sealed = sealEntry(
      {
        ...{ operation: 'consultation', action: 'rendition.made', subject: { type: 'recording', id: recording } },
        actor: { kind: 'service', id: 'another machine' },
      },
      engines.clock,
    )
    const id = firstIdAt(Date.now() + 30_000) as EntryId
    const entry = sealed.entry.replace(sealed.id, id)
    const leaf = sha256(Buffer.concat([sealed.salt, Buffer.from(entry)]))
    await sql`
      with leaf as (insert into entries (id, leaf) values (${id}, ${leaf}))
      insert into entry_bodies (id, entry, salt, parts)
      values (${id}, ${entry}, ${sealed.salt}, ${JSON.stringify(sealed.parts)})`.execute(engines.db)
    expect((await told(people.sue, of(recording))).at(-1)).toMatchObject({ entry: id, leaf: leaf.toString('hex') })
  })

  test('says where each act stands in the log, and each then proves to be there', async () => {
    const { recording } = await footage()
    await readRecording(engines, people.ben, recording)
    const before = await told(people.ada, of(recording))
    expect(before.at(-1)).toMatchObject({ index: null, origin: null, underCheckpoint: false })
    await sequence(engines)
    const story = await readStory(engines, people.ada, of(recording), { limit: 200 })
    const log = await currentLog(engines.db)
    if (log === undefined) throw new Error('no log')
    const [view] = story.logs
    expect(view).toMatchObject({ origin: log.origin, checkpoint: { note: expect.stringContaining(log.origin) } })
    const acts = story.acts.filter(isShown)
    expect(acts.at(-1)).toMatchObject({ action: 'custody.read', index: null })
    for (const act of acts.slice(0, -1)) {
      expect(act).toMatchObject({ origin: log.origin, underCheckpoint: true })
      const answer = await proofOf(engines, act.entry)
      const proof = 'proof' in answer ? parseProof(answer.proof) : null
      expect(proof?.index).toBe(act.index)
      if (proof === null) throw new Error('no proof')
      expect(verifyProof(proof, Buffer.from(act.leaf, 'hex'), logKeyOf(log))).toHaveProperty('head')
    }
  })

  test('has the second sending of the same file in it, and holds, refusals and what services did', async () => {
    const bytes = randomBytes(4096)
    const dock = await aDock(engines)
    const first = await sendFile(engines, dock, bytes, { camera: 'CAM-TWICE' })
    await take(engines, first.recording)
    const second = await sendFile(engines, dock, bytes, { camera: 'CAM-TWICE' })
    await take(engines, second.recording)
    await placeHold(engines, people.asha, first.recording, { kind: 'complaint', reason: 'Complaint 26/0200' })
    const officer = await someone(engines, ['officer'], 'PC404')
    await codeOf(readRecording(engines, officer, first.recording))
    const acts = await told(people.sue, of(first.recording))
    expect(actionsIn(acts)).toEqual([
      ...['upload.created', 'upload.stored', 'recording.verified', 'recording.examined'],
      ...['upload.created', 'upload.stored', 'recording.duplicate'],
      ...['recording.held', 'recording.read', 'custody.read'],
    ])
    expect(only(acts, 'recording.duplicate').changed).toEqual({
      what: 'recording',
      before: digestOf(bytes),
      after: digestOf(bytes),
    })
    expect(only(acts, 'recording.read')).toMatchObject({
      outcome: 'denied',
      words: 'Somebody asked to read the facts in the catalogue, and was refused.',
    })
    const toBen = await told(people.ben, of(first.recording))
    expect(only(toBen, 'recording.held')).toMatchObject({ who: null, words: expect.stringContaining('(complaint)') })
    expect(JSON.stringify(toBen)).not.toContain('26/0200')
    expect(await codeOf(told(people.sue, of(second.recording)))).toBe('not-found')
  })

  test('ends for a recording that was withdrawn from one case and moved to another where each reader may look', async () => {
    const { asha, ben } = people
    const recording = await catalogued(engines)
    const [one, two] = [await aCase(engines, asha, [[ben, 'investigator']]), await aCase(engines, asha)]
    const exhibit = await anExhibit(engines, asha, one, 'AB/7', recording)
    await moveExhibit(engines, asha, exhibit, { caseId: two, reference: 'XY/9' }, 'The other robbery')
    const toBen = await told(ben, of(recording))
    expect(actionsIn(toBen)).toEqual(['exhibit.added', 'exhibit.moved-away', 'withheld', 'custody.read'])
    expect(only(toBen, 'exhibit.moved-away')).toMatchObject({
      words: 'AB/7 became an exhibit of another case.',
      why: 'The other robbery',
      sealed: { detail: expect.any(String) },
    })
    expect(JSON.stringify(toBen)).not.toMatch(new RegExp(`XY/9|${two}`))
    expect(actionsIn(await told(asha, of(recording)))).toContain('exhibit.moved-here')
  })
})

describe('the story of a clip', () => {
  test('runs through to its source, and leaves out what concerns other clips alone', async () => {
    const { clip, sibling, recording } = await footage()
    const { facts } = await readStory(engines, people.sue, clipOf(clip), {})
    expect(facts).toMatchObject({ recording, clip: { id: clip, start: 0.5, end: 1.5, sha256: expect.any(String) } })
    const acts = await told(people.sue, clipOf(clip))
    const expected = whole.toSpliced(whole.lastIndexOf('clip.request'), 2)
    const later = ['custody.read', 'recording.read']
    expect(actionsIn(acts).filter((action) => !later.includes(action))).toEqual(expected)
    expect(only(acts, 'clip.cut').changed?.after).toBe(facts.clip?.sha256)
    expect(JSON.stringify(acts)).not.toContain(sibling)
    expect(only(acts, 'custody.read').disclosed.parts.detail?.value).toMatchObject({ format: 'json' })
    const readings = await entriesAbout(engines, recording)
    expect(readings.at(-1)).toMatchObject({ action: 'custody.read', detail: { clip } })
  })

  test('is told to whoever may read about clips, and to auditors; to others it is not there', async () => {
    const { clip, recording } = await footage()
    for (const person of [people.asha, people.dora, people.ada])
      expect((await told(person, clipOf(clip))).length).toBeGreaterThan(5)
    expect(await codeOf(told(people.rita, clipOf(clip)))).toBe('not-found')
    expect(await codeOf(told(people.sue, clipOf(newId())))).toBe('not-found')
    const refusals = (await entriesAbout(engines, recording)).filter(({ outcome }) => outcome === 'denied')
    expect(refusals.at(-1)).toMatchObject({ action: 'custody.read', actor: { id: people.rita.id } })
    // Of the recording itself retention is told, and not what the clips are called.
    const acts = await told(people.rita, of(recording))
    expect(only(acts, 'clip.request').sealed).toHaveProperty('detail')
    expect(JSON.stringify(acts)).not.toContain('What happened')
  })
})

describe('the continuity statement', () => {
  test('holds all that the story does, for whoever asked, and asking is an entry', async () => {
    const { recording } = await footage()
    const acts = await told(people.ben, of(recording))
    const { statement, acts: reading } = await makeStatement(engines, people.ben, of(recording))
    const text = textOf(await buffer(statementPdf(statement, reading)))
    for (const act of acts) expect(text).toContain(`Leaf: ${act.leaf}`)
    expect(text).toContain(`End of the list: ${acts.length + 1} acts.`)
    expect(text).toContain(`for ${people.ben.name} (${people.ben.id}). Entry ${statement.entry} records it.`)
    expect(text).not.toMatch(/AB\/1|CPS London/)
    expect((await entriesAbout(engines, recording)).at(-1)).toMatchObject({
      action: 'custody.read',
      detail: { format: 'pdf' },
    })
  })

  test('groups nothing away: of a recording that was watched two thousand times it has two thousand lines', async () => {
    const recording = await catalogued(engines)
    await inTransaction(engines.db, async (tx) => {
      for (let n = 0; n < 2000; n += 1)
        await record(tx, engines.clock, {
          operation: 'consultation',
          action: 'recording.viewing',
          subject: { type: 'recording', id: recording },
          actor: actor(people.ben),
          purpose: `Reason ${n}`,
        })
    })
    const { statement, acts } = await makeStatement(engines, people.sue, of(recording))
    const lines = pagesOf(await buffer(statementPdf(statement, acts))).flat()
    const reasons = lines.flatMap((line) => /^Why: “Reason (\d+)”$/.exec(line)?.[1] ?? [])
    expect(new Set(reasons).size).toBe(2000)
    expect(lines).toContain('End of the list: 2001 acts.')
  }, 60_000)

  test('a viewing that ends by itself while it is made is in the next one', async () => {
    const { recording } = await footage()
    const { statement, acts } = await makeStatement(engines, people.sue, of(recording))
    await closeViewings(engines, AbortSignal.timeout(10_000))
    await readRecording(engines, people.asha, recording)
    const text = textOf(await buffer(statementPdf(statement, acts)))
    const entries = await entriesAbout(engines, recording)
    expect(entries.at(-1)).toMatchObject({ action: 'recording.read' })
    expect(text.split('The facts in the catalogue were read.').length).toBe(
      entries.filter(({ action, outcome }) => action === 'recording.read' && outcome === 'allowed').length,
    )
  })
})
