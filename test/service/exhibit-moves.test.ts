import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CaseId, type ExhibitId, newId, type RecordingId } from '../../src/base/ids.ts'
import { changeCase } from '../../src/cases/actions.ts'
import { addExhibit, changeExhibit, listExhibits, readExhibit, withdrawExhibit } from '../../src/cases/exhibits.ts'
import { dropMember } from '../../src/cases/members.ts'
import { moveExhibit } from '../../src/cases/moving.ts'
import { type Db, inTransaction } from '../../src/engines/postgres.ts'
import type { Person } from '../../src/people/person.ts'
import { aCase, aClipRow, anExhibit } from '../case-files.ts'
import { catalogued, entriesAbout, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf, problemOf } from '../footsteps.ts'

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

const refusalsOn = async (id: string) => (await entriesAbout(engines, id)).filter(({ outcome }) => outcome === 'denied')

/** Waits until a statement of another connection stands behind a lock. */
const someoneWaits = async (db: Db): Promise<void> => {
  for (;;) {
    const found = await sql`
      select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
    if (found.rows.length > 0) return
  }
}

const close = async (id: CaseId) =>
  await changeCase(engines, investigator, id, { status: 'closed', reason: 'Dealt with' })

describe('a move', () => {
  test('withdraws the exhibit where it is, and the new one names it', async () => {
    const [from, to] = [
      await aCase(engines, investigator, [[disclosure, 'disclosure']]),
      await aCase(engines, investigator),
    ]
    const recording = await catalogued(engines)
    const clipId = await aClipRow(engines, investigator, recording, 'ready')
    const said = { reference: 'AB/1', sensitivity: 'sensitive', description: 'The stop' } as const
    const old = await addExhibit(engines, investigator, from, { clipId, ...said })
    const moved = await moveExhibit(engines, investigator, old.id, { caseId: to, reference: 'CD/7' }, 'Another robbery')
    const movedTo = { id: moved.id, caseId: to, reference: 'CD/7' }
    const movedFrom = { id: old.id, caseId: from, reference: 'AB/1' }
    const gone = { withdrawnAt: expect.any(String), withdrawnBecause: 'Another robbery' }
    expect(await readExhibit(engines, investigator, old.id)).toMatchObject({ caseId: from, ...gone, movedTo })
    expect(await readExhibit(engines, investigator, moved.id)).toMatchObject({
      caseId: to,
      recordingId: recording,
      clipId,
      ...said,
      reference: 'CD/7',
      withdrawnAt: null,
      movedFrom,
      movedTo: null,
    })
    // A member of the one case alone does not learn that there is another.
    expect(await readExhibit(engines, disclosure, old.id)).toMatchObject({ ...gone, movedTo: null })
    const places = { from: { case: from, exhibit: old.id }, to: { case: to, exhibit: moved.id } }
    expect((await entriesAbout(engines, old.id))[1]).toMatchObject({ action: 'exhibit.moved-away', detail: places })
    expect((await entriesAbout(engines, moved.id))[0]).toMatchObject({
      operation: 'combination',
      action: 'exhibit.moved-here',
      purpose: 'Another robbery',
      detail: { ...places, recording, clip: clipId, description: 'The stop' },
    })
  })

  test('within its own case gives it another reference', async () => {
    const id = await aCase(engines, investigator)
    const old = await anExhibit(engines, investigator, id, 'AB/1')
    const move = async (reference: string) =>
      await moveExhibit(engines, investigator, old, { caseId: id, reference }, 'Two initials swapped')
    expect(await codeOf(move('AB/1'))).toBe('reference-taken')
    expect(await codeOf(move('ab/2'))).toBe('bad-request')
    expect(await readExhibit(engines, investigator, old)).toMatchObject({ withdrawnAt: null })
    const moved = await move('BA/1')
    const { items } = await listExhibits(engines, investigator, id, {})
    expect(items).toMatchObject([{ id: moved.id, reference: 'BA/1', movedFrom: { id: old, reference: 'AB/1' } }])
  })

  test('needs a member who may change both cases, and open cases', async () => {
    const [from, to] = [await aCase(engines, investigator), await aCase(engines, stranger)]
    const both = await someone(engines, ['investigator', 'disclosure'])
    const readOnly = await aCase(engines, investigator, [[both, 'disclosure']])
    const mine = await aCase(engines, both)
    const exhibit = await anExhibit(engines, investigator, from, 'AB/1')
    const own = await anExhibit(engines, both, mine, 'AB/1')
    const move = async (person: Person, id: ExhibitId, caseId: CaseId) =>
      await problemOf(moveExhibit(engines, person, id, { caseId, reference: 'CD/1' }, 'Because'))
    const [hidden, absent] = [await move(investigator, exhibit, to), await move(investigator, exhibit, newId<CaseId>())]
    expect(hidden?.code).toBe('not-found')
    expect(hidden).toEqual(absent)
    expect(await refusalsOn(to)).toMatchObject([{ action: 'exhibit.move', actor: { id: investigator.id } }])
    expect((await move(stranger, exhibit, to))?.code).toBe('not-found')
    expect(await refusalsOn(exhibit)).toMatchObject([{ action: 'exhibit.move', actor: { id: stranger.id } }])
    expect((await move(both, own, readOnly))?.code).toBe('not-allowed')
    const closed = await aCase(engines, investigator)
    await close(closed)
    expect((await move(investigator, exhibit, closed))?.code).toBe('case-closed')
    await close(from)
    const open = await aCase(engines, investigator)
    expect((await move(investigator, exhibit, open))?.code).toBe('case-closed')
    expect(await readExhibit(engines, investigator, exhibit)).toMatchObject({ withdrawnAt: null })
  })

  test('in opposite directions, and of one exhibit to two places, ends with each exhibit in one place', async () => {
    for (let n = 1; n <= 5; n += 1) {
      const [left, right] = [await aCase(engines, investigator), await aCase(engines, investigator)]
      const [a, b] = [
        await anExhibit(engines, investigator, left, 'A/1'),
        await anExhibit(engines, investigator, right, 'B/1'),
      ]
      const move = async (id: ExhibitId, caseId: CaseId, reference: string) =>
        await codeOf(moveExhibit(engines, investigator, id, { caseId, reference }, 'Because'))
      const codes = await Promise.all([
        move(a, right, 'A/2'),
        move(b, left, 'B/2'),
        move(a, right, 'A/3'),
        move(b, right, 'B/3'),
      ])
      expect(codes.filter((code) => code === 'accepted')).toHaveLength(2)
      expect(codes.filter((code) => code === 'conflict')).toHaveLength(2)
      const inside = [
        ...(await listExhibits(engines, investigator, left, {})).items,
        ...(await listExhibits(engines, investigator, right, {})).items,
      ]
      expect(inside).toHaveLength(2)
    }
  })
})

describe('a closed case', () => {
  test('keeps its exhibits as they are until it is reopened', async () => {
    const id = await aCase(engines, investigator)
    const exhibit = await anExhibit(engines, investigator, id, 'AB/1')
    await close(id)
    expect(await codeOf(anExhibit(engines, investigator, id, 'AB/2'))).toBe('case-closed')
    expect(await codeOf(changeExhibit(engines, investigator, exhibit, { description: 'No' }, undefined))).toBe(
      'case-closed',
    )
    expect(await codeOf(withdrawExhibit(engines, investigator, exhibit, 'No'))).toBe('case-closed')
    expect((await listExhibits(engines, investigator, id, {})).items).toHaveLength(1)
    await changeCase(engines, investigator, id, { status: 'open', reason: 'An appeal' })
    expect(await codeOf(anExhibit(engines, investigator, id, 'AB/2'))).toBe('accepted')
  })

  test('has every exhibit that was accepted before it closed, and none after', async () => {
    const id = await aCase(engines, investigator)
    const recording = await catalogued(engines)
    const adding = Array.from(
      { length: 8 },
      async (_, n) => await codeOf(anExhibit(engines, investigator, id, `AB/${n + 1}`, recording)),
    )
    const [codes] = await Promise.all([Promise.all(adding), close(id)])
    expect(new Set([...codes, 'accepted', 'case-closed'])).toEqual(new Set(['accepted', 'case-closed']))
    const { items } = await listExhibits(engines, investigator, id, {})
    expect(items).toHaveLength(codes.filter((code) => code === 'accepted').length)
    const order = await sql<{ late: number }>`
      select count(*)::int as late from exhibits join cases on cases.id = exhibits."case"
      where cases.id = ${id} and exhibits.added_at > cases.closed_at`.execute(engines.db)
    expect(order.rows).toEqual([{ late: 0 }])
  })
})

describe('a purge of a recording', () => {
  // What whoever erases does: the recording for update, and then a look at what keeps it.
  const purging = async (recording: RecordingId, meanwhile: () => Promise<void>) =>
    await inTransaction(engines.db, async (tx) => {
      await tx.selectFrom('recordings').select('id').where('id', '=', recording).forUpdate().execute()
      await meanwhile()
      await tx.updateTable('recordings').set({ status: 'grace' }).where('id', '=', recording).execute()
    })

  test('that was first keeps it out of every case', async () => {
    const id = await aCase(engines, investigator)
    const recording = await catalogued(engines)
    let adding: Promise<string> = Promise.resolve('never asked')
    await purging(recording, async () => {
      adding = codeOf(anExhibit(engines, investigator, id, 'AB/1', recording))
      await someoneWaits(engines.db)
    })
    expect(await adding).toBe('conflict')
    expect((await listExhibits(engines, investigator, id, {})).items).toEqual([])
  })

  test('that was first is over before its case is open again', async () => {
    const id = await aCase(engines, investigator)
    const recording = await catalogued(engines)
    await anExhibit(engines, investigator, id, 'AB/1', recording)
    await close(id)
    const order: string[] = []
    let reopening: Promise<unknown> = Promise.resolve()
    await purging(recording, async () => {
      const change = { status: 'open', reason: 'An appeal' } as const
      reopening = changeCase(engines, investigator, id, change).then(() => order.push('open'))
      await someoneWaits(engines.db)
      order.push('hidden')
    })
    await reopening
    expect(order).toEqual(['hidden', 'open'])
  })
})

describe('a stranger to the case', () => {
  test('cannot tell an exhibit from none, whatever their role; the ledger can', async () => {
    const id = await aCase(engines, investigator)
    const exhibit = await anExhibit(engines, investigator, id, 'AB/1')
    const recordingId = await catalogued(engines)
    const attempts = [
      async (on: ExhibitId) => await readExhibit(engines, stranger, on),
      async (on: ExhibitId) => await changeExhibit(engines, stranger, on, { description: 'Mine' }, undefined),
      async (on: ExhibitId) => await withdrawExhibit(engines, stranger, on, 'Mine'),
      async (on: ExhibitId) => await moveExhibit(engines, stranger, on, { caseId: id, reference: 'AB/2' }, 'Mine'),
    ]
    const nothing = newId<ExhibitId>()
    for (const attempt of attempts) {
      const [hidden, absent] = [await problemOf(attempt(exhibit)), await problemOf(attempt(nothing))]
      expect(hidden?.code).toBe('not-found')
      expect(hidden).toEqual(absent)
    }
    expect(await entriesAbout(engines, nothing)).toEqual([])
    expect((await refusalsOn(exhibit)).map(({ action }) => action)).toEqual([
      'exhibit.read',
      'exhibit.change',
      'exhibit.withdraw',
      'exhibit.move',
    ])
    const none = newId<CaseId>()
    const add = async (on: CaseId) =>
      await problemOf(
        addExhibit(engines, stranger, on, { recordingId, reference: 'AB/1', sensitivity: 'none', description: 'Mine' }),
      )
    expect(await add(id)).toEqual(await add(none))
    const list = async (on: CaseId) => await problemOf(listExhibits(engines, stranger, on, {}))
    expect(await list(id)).toEqual(await list(none))
    expect((await refusalsOn(id)).map(({ action }) => action)).toEqual(['exhibit.add', 'exhibit.read'])
  })

  test('is whoever was removed while they added', async () => {
    const other = await someone(engines, ['investigator'])
    const id = await aCase(engines, investigator, [[other, 'investigator']])
    await dropMember(engines, investigator, id, other.id)
    expect(await codeOf(anExhibit(engines, other, id, 'AB/1'))).toBe('not-found')
    expect((await listExhibits(engines, investigator, id, {})).items).toEqual([])
  })
})
