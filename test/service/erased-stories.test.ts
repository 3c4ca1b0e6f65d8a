import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { type RawBuilder, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClipId, type EntryId, newId, type RecordingId } from '../../src/base/ids.ts'
import { listClips, readClip, requestClip } from '../../src/clips/actions.ts'
import { makeStatement, readStory } from '../../src/continuity/actions.ts'
import type { Subject } from '../../src/continuity/facts.ts'
import { statementPdf } from '../../src/continuity/statement.ts'
import { requestDownload } from '../../src/downloads/actions.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { eraseFromEntry } from '../../src/ledger/record.ts'
import type { Person } from '../../src/people/person.ts'
import { readRecording } from '../../src/recordings/actions.ts'
import { aCase, aClipRow, anExhibit } from '../case-files.ts'
import { catalogued, kept, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { aDock, digestOf, sendFile, take } from '../footsteps.ts'
import { textOf } from '../pdf-text.ts'
import { inForce, keepers, locksOver, movedClock, purged } from '../retained.ts'
import { actionsIn, leavesOf, only, storyOf } from '../stories.ts'
import { leafIn } from '../told.ts'

let engines: TestEngines
let people: Record<'asha' | 'ben' | 'sue', Person>
beforeAll(async () => {
  engines = await testEngines()
  people = {
    asha: await someone(engines, ['investigator']),
    ben: await someone(engines, ['investigator']),
    sue: await someone(engines, ['supervisor']),
  }
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const of = (id: RecordingId): Subject => ({ type: 'recording', id })

describe('what was erased', () => {
  const erasing = (): Parameters<typeof eraseFromEntry>[4] => ({
    action: 'entry.part-erased',
    actor: { kind: 'service', id: 'test' },
    detail: { part: 'body' },
  })

  test('of an entry leaves its line, its leaf and the entry of its erasure', async () => {
    const recording = await catalogued(engines)
    await readRecording(engines, people.asha, recording)
    const [{ id: target } = { id: newId<EntryId>() }] = await engines.db
      .selectFrom('entryBodies')
      .select('id')
      .where('subjectId', '=', recording)
      .execute()
    const erasure = await inTransaction(
      engines.db,
      async (tx) => await eraseFromEntry(tx, engines.clock, target, 'body', erasing()),
    )
    for (const person of [people.sue, people.ben]) {
      const acts = await storyOf(engines, person, of(recording))
      expect(acts[0]).toMatchObject({ shown: 'erased', entry: target, erasedBy: erasure })
      expect(acts[0]?.leaf).toBe((await leavesOf(engines, [target]))[0])
      expect(acts[1]).toMatchObject({ action: 'entry.part-erased', entry: erasure })
      expect(actionsIn(acts.slice(2)).every((action) => action === 'custody.read')).toBe(true)
    }
  })

  test('of an entry in a case of others is withheld as it was', async () => {
    const recording = await catalogued(engines)
    const caseId = await aCase(engines, people.asha)
    const exhibit = await anExhibit(engines, people.asha, caseId, 'AB/1', recording)
    const { id: target } = await engines.db
      .selectFrom('entryBodies')
      .select('id')
      .where('subjectId', '=', exhibit)
      .executeTakeFirstOrThrow()
    await inTransaction(engines.db, async (tx) => await eraseFromEntry(tx, engines.clock, target, 'body', erasing()))
    const acts = await storyOf(engines, people.ben, of(recording))
    expect(actionsIn(acts)).toEqual(['withheld', 'withheld', 'custody.read'])
    expect(JSON.stringify(acts)).not.toContain(target)
    expect(actionsIn(await storyOf(engines, people.asha, of(recording))).slice(0, 2)).toEqual([
      'erased',
      'entry.part-erased',
    ])
  })
})

test('a recording that was erased still has its story, with the reasons that went with it named as gone', async () => {
  const clock = movedClock()
  const env = { PURGE_CLOCK_MINUTES: '99999999', RETENTION_LOCK_SECONDS: '1' }
  await using later = await testEngines({ clock, env })
  const keeping = await keepers(later)
  await inForce(later, keeping, { category: null, trigger: 'recorded', period: 'P1D', sealed: ['purpose'] })
  const bytes = randomBytes(2048)
  const sent = await sendFile(later, await aDock(later), bytes)
  await take(later, sent.recording)
  await requestDownload(later, keeping.investigator, { type: 'recording', id: sent.recording }, 'Complaint 26/0193')
  expect(await purged(later)).toMatchObject({ hidden: 1, failed: 0 })
  clock.ahead = 40 * 86_400_000
  await locksOver(later)
  expect(await purged(later)).toMatchObject({ erased: 1, failed: 0 })
  const { acts, facts } = await readStory(later, keeping.supervisor, of(sent.recording), { limit: 200 })
  expect(facts).toMatchObject({ status: 'erased', sha256: digestOf(bytes), camera: 'CAM-1' })
  expect(actionsIn(acts)).toEqual([
    ...['upload.created', 'upload.stored', 'recording.verified', 'recording.examined', 'recording.download'],
    ...['recording.hidden', 'recording.erasure-begun', 'recording.erased', 'entry.part-erased', 'custody.read'],
  ])
  const [download, erasure] = [only(acts, 'recording.download'), only(acts, 'entry.part-erased')]
  expect(download).toMatchObject({ shown: 'in-part', erased: { purpose: erasure.entry }, who: { kind: 'person' } })
  expect(download).not.toHaveProperty('why')
  expect(leafIn(download)).toBe(download.leaf)
  expect(erasure.words).toBe(`The reason was erased from entry ${download.entry}. Its place in the log stays.`)
  expect(only(acts, 'recording.erased').changed).toEqual({ what: 'recording', before: digestOf(bytes), after: null })
  expect(only(acts, 'recording.hidden').words).toMatch(
    /^The retention schedule hid the recording, to be erased no earlier/,
  )
}, 60_000)

test('what was written of the clips of a recording is erased with it, and they say so', async () => {
  const clock = movedClock()
  const env = { PURGE_CLOCK_MINUTES: '99999999', RETENTION_LOCK_SECONDS: '1' }
  await using later = await testEngines({ clock, env })
  const keeping = await keepers(later)
  const asha = keeping.investigator
  await inForce(later, keeping, { category: null, trigger: 'recorded', period: 'P1D' })
  const tracks = JSON.stringify([{ kind: 'video', codec: 'h264' }])
  const id = await kept(later, randomBytes(64), { duration: 60, tracks })
  const ready = await aClipRow(later, asha, id, 'ready')
  const owed = await requestClip(later, asha, id, {
    start: 1,
    end: 2,
    title: 'Asha’s source',
    reason: 'Complaint 26/1',
  })
  const other = await aClipRow(later, asha, await kept(later, randomBytes(64), { recordedAt: clock.now() }), 'ready')
  const change = async (clip: ClipId, what: RawBuilder<unknown>) =>
    await sql`update clips set ${what} where id = ${clip}`.execute(later.db)
  for (const clip of [ready, owed.id, other]) await expect(change(clip, sql`title = null`)).rejects.toThrow('a clip')
  await expect(change(owed.id, sql`title = 'another'`)).rejects.toThrow('has its title until its recording is erased')

  expect(await purged(later)).toMatchObject({ hidden: 1, failed: 0 })
  clock.ahead = 40 * 86_400_000
  await locksOver(later)
  expect(await purged(later)).toMatchObject({ erased: 1, failed: 0 })
  for (const clip of (await listClips(later, asha, id, {})).items) expect(clip.title).toBeNull()
  expect(await readClip(later, asha, ready)).toMatchObject({
    ...{ title: null, state: 'ready', size: 10, start: 1 },
    provenance: { v: 1, asked: { start: 1, end: 2 } },
  })
  expect((await readClip(later, asha, ready)).provenance).not.toHaveProperty('checks')
  expect(await readClip(later, asha, other)).toMatchObject({ title: 'The stop' })
  const { statement, acts } = await makeStatement(later, keeping.supervisor, { type: 'clip', id: ready })
  expect(textOf(await buffer(statementPdf(statement, acts)))).toContain('whose title was erased with the recording')
  for (const what of [sql`title = 'The stop'`, sql`size = 11`, sql`provenance = '{"v":2}'`])
    await expect(change(ready, what)).rejects.toThrow('a clip')
}, 60_000)
