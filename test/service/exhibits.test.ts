import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeCursor } from '../../src/base/cursor.ts'
import { type CaseId, type ClipId, type ExhibitId, newId, type RecordingId } from '../../src/base/ids.ts'
import { addExhibit, changeExhibit, listExhibits, readExhibit, withdrawExhibit } from '../../src/cases/exhibits.ts'
import { moveExhibit } from '../../src/cases/moving.ts'
import type { Person } from '../../src/people/person.ts'
import { listRecordings } from '../../src/recordings/actions.ts'
import { aCase, aClipRow, anExhibit } from '../case-files.ts'
import { catalogued, entriesAbout, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { actionsOn, codeOf, problemOf } from '../footsteps.ts'

let engines: TestEngines
let investigator: Person
let disclosure: Person
let stranger: Person

beforeAll(async () => {
  engines = await testEngines()
  investigator = await someone(engines, ['investigator'])
  disclosure = await someone(engines, ['disclosure'])
  stranger = await someone(engines, ['investigator', 'disclosure', 'supervisor'])
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const words = { sensitivity: 'none', description: 'The stop' } as const

const refusalsOn = async (id: string) => (await entriesAbout(engines, id)).filter(({ outcome }) => outcome === 'denied')

describe('an exhibit', () => {
  test('is a recording that was put into a case under a reference, with what is said of it', async () => {
    const id = await aCase(engines, investigator, [[disclosure, 'disclosure']])
    const recordingId = await catalogued(engines, { status: 'verified' })
    const description = 'Line one\n\t<script>alert("x")</script> \u{1F6A8}'
    const said = { reference: 'AB/1', sensitivity: 'sensitive', description } as const
    const made = await addExhibit(engines, investigator, id, { recordingId, ...said, description: ` ${description}\n` })
    const view = {
      id: made.id,
      caseId: id,
      recordingId,
      clipId: null,
      ...said,
      addedAt: expect.any(String),
      addedBy: { id: investigator.id, name: 'investigator' },
      withdrawnAt: null,
      withdrawnBecause: null,
      movedFrom: null,
      movedTo: null,
    }
    expect(await readExhibit(engines, disclosure, made.id)).toEqual(view)
    expect(await listExhibits(engines, disclosure, id, {})).toEqual({ items: [view], nextCursor: null })
    expect(await entriesAbout(engines, made.id)).toEqual([
      {
        operation: 'combination',
        action: 'exhibit.added',
        outcome: 'allowed',
        actor: { kind: 'person', id: investigator.id, role: 'investigator' },
        detail: { case: id, recording: recordingId, ...said },
      },
      expect.objectContaining({ operation: 'consultation', action: 'exhibit.read' }),
    ])
    expect((await entriesAbout(engines, id)).at(-1)).toMatchObject({
      operation: 'consultation',
      action: 'exhibit.list',
      actor: { id: disclosure.id },
      detail: { withdrawn: false, found: [made.id] },
    })
  })

  test('may be a clip, and is of its recording too', async () => {
    const id = await aCase(engines, investigator)
    const recording = await catalogued(engines)
    const clipId = await aClipRow(engines, investigator, recording, 'ready')
    const made = await addExhibit(engines, investigator, id, { clipId, reference: 'AB/1', ...words })
    expect(await readExhibit(engines, investigator, made.id)).toMatchObject({ clipId, recordingId: recording })
    expect((await entriesAbout(engines, made.id))[0]).toMatchObject({ detail: { recording, clip: clipId } })
    for (const [state, code] of [
      ['owed', 'not-ready'],
      ['working', 'not-ready'],
      ['failed', 'conflict'],
    ] as const) {
      const unready = await aClipRow(engines, investigator, recording, state)
      const adding = addExhibit(engines, investigator, id, { clipId: unready, reference: 'AB/2', ...words })
      expect(await codeOf(adding), state).toBe(code)
    }
  })

  test('is footage that is in custody', async () => {
    const id = await aCase(engines, investigator)
    const outcomes: Record<string, string> = {}
    for (const [n, status] of (
      ['received', 'verified', 'active', 'quarantined', 'grace', 'erased'] as const
    ).entries()) {
      const recordingId = await catalogued(engines, { camera: `CUSTODY-${n}`, status })
      const adding = addExhibit(engines, investigator, id, { recordingId, reference: `C/${n + 1}`, ...words })
      outcomes[status] = await codeOf(adding)
    }
    expect(outcomes).toEqual({
      received: 'not-ready',
      verified: 'accepted',
      active: 'accepted',
      quarantined: 'quarantined',
      grace: 'conflict',
      erased: 'erased',
    })
  })

  test('is nothing that is not there, nor what this person may not know of, which the ledger alone tells apart', async () => {
    const officer = await someone(engines, ['officer', 'investigator'], 'PC9')
    const id = await aCase(engines, officer)
    const blind = { ...officer, roles: ['officer' as const] }
    const recordingId = await catalogued(engines, { camera: 'NOT-THEIRS' })
    const clipId = await aClipRow(engines, investigator, recordingId, 'ready')
    const twice = await catalogued(engines, { camera: 'NOT-THEIRS', status: 'received', duplicateOf: recordingId })
    const problems = await Promise.all(
      [{ recordingId }, { clipId }, { recordingId: newId<RecordingId>() }, { clipId: newId<ClipId>() }].map(
        async (what) => await problemOf(addExhibit(engines, blind, id, { ...what, reference: 'AB/1', ...words })),
      ),
    )
    for (const problem of problems) expect(problem).toEqual(problems[0])
    expect(problems[0]?.code).toBe('not-found')
    expect(await refusalsOn(recordingId)).toMatchObject([{ operation: 'combination', action: 'exhibit.add' }])
    expect(await refusalsOn(clipId)).toHaveLength(1)
    expect(await codeOf(addExhibit(engines, officer, id, { recordingId: twice, reference: 'AB/1', ...words }))).toBe(
      'not-found',
    )
  })

  test('comes under a reference that was never given before in its case, also not to what was withdrawn or moved', async () => {
    const [id, other] = [await aCase(engines, investigator), await aCase(engines, investigator)]
    const first = await anExhibit(engines, investigator, id, 'AB/1')
    const second = await anExhibit(engines, investigator, id, 'AB/2')
    await anExhibit(engines, investigator, other, 'AB/1')
    const taken = async (reference: string) => await problemOf(anExhibit(engines, investigator, id, reference))
    expect(await taken('AB/1')).toMatchObject({ code: 'reference-taken', detail: expect.stringContaining('AB/1') })
    await withdrawExhibit(engines, investigator, first, 'The wrong footage')
    await moveExhibit(engines, investigator, second, { caseId: other, reference: 'AB/2' }, 'The other robbery')
    expect((await taken('AB/1'))?.code).toBe('reference-taken')
    expect((await taken('AB/2'))?.code).toBe('reference-taken')
    expect(await taken('AB/3')).toBeUndefined()
  })

  test('is one of many that were asked for under the same reference at once', async () => {
    const id = await aCase(engines, investigator)
    const codes = await Promise.all(
      Array.from({ length: 6 }, async () => await codeOf(anExhibit(engines, investigator, id, 'AB/1'))),
    )
    expect(codes.sort()).toEqual(['accepted', ...Array(5).fill('reference-taken')])
    expect((await listExhibits(engines, investigator, id, {})).items).toHaveLength(1)
  })

  test('is described otherwise, and the entry keeps what it said before', async () => {
    const id = await aCase(engines, investigator)
    const exhibit = await anExhibit(engines, investigator, id, 'AB/1')
    const before = { sensitivity: 'none', description: 'The stop, from the left' }
    const after = { sensitivity: 'sensitive', description: 'The stop; an informant speaks' } as const
    const changed = await changeExhibit(engines, investigator, exhibit, after, 'Heard the sound')
    expect(changed).toMatchObject({ id: exhibit, reference: 'AB/1', ...after })
    await changeExhibit(engines, investigator, exhibit, { sensitivity: 'sensitive' }, undefined)
    await changeExhibit(engines, investigator, exhibit, {}, undefined)
    expect((await entriesAbout(engines, exhibit)).slice(1)).toMatchObject([
      {
        operation: 'alteration',
        action: 'exhibit.changed',
        purpose: 'Heard the sound',
        detail: { reference: 'AB/1', before, after },
      },
    ])
  })

  test('is withdrawn once, with a reason, and then stays as it is', async () => {
    const id = await aCase(engines, investigator)
    const exhibit = await anExhibit(engines, investigator, id, 'AB/1')
    await withdrawExhibit(engines, investigator, exhibit, 'The wrong footage')
    expect(await codeOf(withdrawExhibit(engines, investigator, exhibit, 'Again'))).toBe('conflict')
    expect(await codeOf(changeExhibit(engines, investigator, exhibit, { description: 'No' }, undefined))).toBe(
      'conflict',
    )
    const move = { caseId: id, reference: 'AB/2' }
    expect(await codeOf(moveExhibit(engines, investigator, exhibit, move, 'No'))).toBe('conflict')
    const gone = { id: exhibit, withdrawnAt: expect.any(String), withdrawnBecause: 'The wrong footage', movedTo: null }
    expect(await readExhibit(engines, investigator, exhibit)).toMatchObject(gone)
    expect((await listExhibits(engines, investigator, id, {})).items).toEqual([])
    expect((await listExhibits(engines, investigator, id, { withdrawn: true })).items).toMatchObject([gone])
    expect((await entriesAbout(engines, exhibit))[1]).toMatchObject({
      operation: 'alteration',
      action: 'exhibit.withdrawn',
      purpose: 'The wrong footage',
      detail: { reference: 'AB/1' },
    })
    const set = { withdrawnAt: null, withdrawnBecause: null }
    const undone = engines.db.updateTable('exhibits').set(set).where('id', '=', exhibit).execute()
    await expect(undone).rejects.toThrow('does not change')
  })

  test('is listed in the order it was added, each once over the pages', async () => {
    const id = await aCase(engines, investigator)
    const made: ExhibitId[] = []
    for (let n = 1; n <= 5; n += 1) made.push(await anExhibit(engines, investigator, id, `Z/${6 - n}`))
    const seen: ExhibitId[] = []
    let cursor: string | null = null
    do {
      const query = { limit: 2, ...(cursor === null ? {} : { cursor }) }
      const page: Awaited<ReturnType<typeof listExhibits>> = await listExhibits(engines, investigator, id, query)
      seen.push(...page.items.map((item) => item.id))
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(seen).toEqual(made)
    expect(await codeOf(listExhibits(engines, investigator, id, { cursor: encodeCursor(['x']) }))).toBe('bad-request')
  })

  test('keeps its reference, its case and its footage by the rules of the database itself', async () => {
    const id = await aCase(engines, investigator)
    const exhibit = await anExhibit(engines, investigator, id, 'AB/1')
    const { db } = engines
    const row = db.updateTable('exhibits').where('id', '=', exhibit)
    await expect(row.set({ reference: 'AB/2' }).execute()).rejects.toThrow('permission denied')
    await expect(row.set({ case: newId<CaseId>() }).execute()).rejects.toThrow('permission denied')
    await expect(row.set({ recording: newId<RecordingId>() }).execute()).rejects.toThrow('permission denied')
    await expect(db.deleteFrom('exhibits').where('id', '=', exhibit).execute()).rejects.toThrow('permission denied')
  })
})

describe('the list of recordings of a case', () => {
  const found = async (person: Person, caseId: CaseId) =>
    (await listRecordings(engines, person, { caseId })).items.map((item) => item.id)

  test('is what is in it now, each once, for its members; for others it is empty, as for a case that is none', async () => {
    const id = await aCase(engines, investigator, [[disclosure, 'disclosure']])
    const whole = await catalogued(engines, { recordedAt: new Date('2026-11-25T08:00:00Z') })
    const cut = await catalogued(engines, { recordedAt: new Date('2026-11-25T09:00:00Z') })
    const wrong = await catalogued(engines)
    await anExhibit(engines, investigator, id, 'AB/1', whole)
    await anExhibit(engines, investigator, id, 'AB/2', whole)
    const clipId = await aClipRow(engines, investigator, cut, 'ready')
    await addExhibit(engines, investigator, id, { clipId, reference: 'AB/3', ...words })
    const mistake = await anExhibit(engines, investigator, id, 'AB/4', wrong)
    await withdrawExhibit(engines, investigator, mistake, 'The wrong footage')
    expect(await found(investigator, id)).toEqual([cut, whole])
    expect(await found(disclosure, id)).toEqual([cut, whole])
    expect(await found(stranger, id)).toEqual([])
    expect(await found(stranger, newId<CaseId>())).toEqual([])
    expect((await entriesAbout(engines, 'catalogue')).at(-2)).toMatchObject({
      actor: { id: stranger.id },
      detail: { query: { caseId: id }, found: [] },
    })
    const page = await listRecordings(engines, investigator, { caseId: id, limit: 1 })
    expect(page.items.map((item) => item.id)).toEqual([cut])
    const rest = await listRecordings(engines, investigator, { caseId: id, limit: 1, cursor: page.nextCursor ?? '' })
    expect(rest).toMatchObject({ items: [{ id: whole }], nextCursor: null })
  })
})

test('no act on an exhibit is kept without its entry', async () => {
  const id = await aCase(engines, investigator)
  const exhibit = await anExhibit(engines, investigator, id, 'AB/1')
  const stopped = {
    ...engines,
    clock: {
      ...engines.clock,
      instant: () => {
        throw new Error('no time')
      },
    },
  }
  const recordingId = await catalogued(engines)
  for (const attempt of [
    async () => await addExhibit(stopped, investigator, id, { recordingId, reference: 'AB/2', ...words }),
    async () => await changeExhibit(stopped, investigator, exhibit, { description: 'Other' }, undefined),
    async () => await withdrawExhibit(stopped, investigator, exhibit, 'No'),
    async () => await moveExhibit(stopped, investigator, exhibit, { caseId: id, reference: 'AB/2' }, 'No'),
    async () => await readExhibit(stopped, investigator, exhibit),
    async () => await listExhibits(stopped, investigator, id, {}),
  ])
    await expect(attempt()).rejects.toThrow('no time')
  expect((await listExhibits(engines, investigator, id, {})).items).toMatchObject([
    { id: exhibit, reference: 'AB/1', description: 'The stop, from the left' },
  ])
  expect(await actionsOn(engines, exhibit)).toEqual(['exhibit.added'])
})
