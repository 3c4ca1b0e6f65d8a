import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeCursor } from '../../src/base/cursor.ts'
import { type CaseEventId, type CaseId, newId } from '../../src/base/ids.ts'
import { changeCase, readCase } from '../../src/cases/actions.ts'
import { listEvents, noteEvent, withdrawEvent } from '../../src/cases/events.ts'
import { changeExhibit, withdrawExhibit } from '../../src/cases/exhibits.ts'
import { readHistory } from '../../src/cases/history.ts'
import { dropMember, putMember } from '../../src/cases/members.ts'
import { moveExhibit } from '../../src/cases/moving.ts'
import type { CaseEventKind } from '../../src/engines/case-tables.ts'
import { eraseFromEntry } from '../../src/ledger/record.ts'
import { actor, type Person } from '../../src/people/person.ts'
import { aCase, anExhibit } from '../case-files.ts'
import { entriesAbout, someone } from '../catalogued.ts'
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
  stranger = await someone(engines, ['supervisor'])
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const note = async (id: CaseId, kind: CaseEventKind, on: string, said?: string): Promise<CaseEventId> =>
  (await noteEvent(engines, investigator, id, { kind, on, ...(said === undefined ? {} : { note: said }) })).id

describe('an event', () => {
  test('is noted late and in any order, and listed by its day', async () => {
    const id = await aCase(engines, investigator, [[disclosure, 'disclosure']])
    const convicted = await note(id, 'convicted', '2026-06-01')
    const charged = await note(id, 'charged', '2025-12-24', ' Three charges ')
    const released = await note(id, 'released', '2031-01-01')
    const sentenced = await note(id, 'sentenced', '2026-06-01')
    const { items } = await listEvents(engines, disclosure, id, {})
    expect(items.map((item) => item.id)).toEqual([released, sentenced, convicted, charged])
    expect(items[3]).toEqual({
      id: charged,
      kind: 'charged',
      on: '2025-12-24',
      note: 'Three charges',
      notedAt: expect.any(String),
      by: { id: investigator.id, name: 'investigator' },
      withdrawnAt: null,
      withdrawnBecause: null,
    })
    const entries = await entriesAbout(engines, id)
    expect(entries.find((entry) => Object(entry).detail?.event === charged)).toEqual({
      operation: 'administration',
      action: 'case.event-noted',
      outcome: 'allowed',
      actor: { kind: 'person', id: investigator.id, role: 'investigator' },
      detail: { event: charged, kind: 'charged', on: '2025-12-24', note: 'Three charges' },
    })
    const row = await engines.db
      .selectFrom('caseEvents')
      .selectAll()
      .where('id', '=', charged)
      .executeTakeFirstOrThrow()
    const kept = await engines.db.selectFrom('entryBodies').select('action').where('id', '=', row.entry).execute()
    expect(kept).toEqual([{ action: 'case.event-noted' }])
    expect(row.onDate).toBe('2025-12-24')
  })

  test('comes in pages, each once, also where days are the same', async () => {
    const id = await aCase(engines, investigator)
    for (const on of ['2026-01-01', '2026-01-01', '2025-01-01', '2026-01-01', '2026-03-01'])
      await note(id, 'charged', on)
    const seen: string[] = []
    let cursor: string | null = null
    do {
      const query = { limit: 2, ...(cursor === null ? {} : { cursor }) }
      const page: Awaited<ReturnType<typeof listEvents>> = await listEvents(engines, investigator, id, query)
      seen.push(...page.items.map((item) => item.id))
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(seen).toHaveLength(5)
    expect(new Set(seen).size).toBe(5)
    for (const keys of [['x'], ['2026-01-01'], ['2026-02-30', newId()], ['0000-01-01', newId()], ['2026-01-01', 'x']])
      expect(await codeOf(listEvents(engines, investigator, id, { cursor: encodeCursor(keys) })), keys[0]).toBe(
        'bad-request',
      )
  })

  test('is neither in the future, unless it is a release, nor on a day that does not exist', async () => {
    const id = await aCase(engines, investigator)
    for (const [kind, on] of [
      ['charged', '2999-01-01'],
      ['closed', '2999-01-01'],
      ['released', '2999-01-01'],
      ['convicted', '2026-02-30'],
      ['convicted', '0202-06-01'],
    ] as const)
      expect(await codeOf(note(id, kind, on)), `${kind} ${on}`).toBe('bad-request')
    expect((await listEvents(engines, investigator, id, {})).items).toEqual([])
  })

  test('that was wrong is taken back with a reason, and stays in sight', async () => {
    const [id, other] = [await aCase(engines, investigator), await aCase(engines, investigator)]
    const event = await note(id, 'acquitted', '2026-06-01')
    const withdraw = async (on: CaseId) => await withdrawEvent(engines, investigator, on, event, 'The other defendant')
    expect(await codeOf(withdraw(other))).toBe('not-found')
    await withdraw(id)
    expect(await codeOf(withdraw(id))).toBe('conflict')
    expect((await listEvents(engines, investigator, id, {})).items).toMatchObject([
      { id: event, withdrawnAt: expect.any(String), withdrawnBecause: 'The other defendant' },
    ])
    expect((await entriesAbout(engines, id)).find(({ action }) => action === 'case.event-withdrawn')).toMatchObject({
      purpose: 'The other defendant',
      detail: { event, kind: 'acquitted', on: '2026-06-01' },
    })
  })

  test('`closed` closes the case, once, and is not taken back while it does', async () => {
    const id = await aCase(engines, investigator)
    const first = await note(id, 'closed', '2026-06-01')
    expect(await readCase(engines, investigator, id)).toMatchObject({ status: 'closed', closedAt: expect.any(String) })
    expect(await codeOf(note(id, 'closed', '2026-07-01'))).toBe('case-closed')
    expect(await codeOf(note(id, 'released', '2026-07-01'))).toBe('accepted')
    const withdraw = async (event: CaseEventId) =>
      await codeOf(withdrawEvent(engines, investigator, id, event, 'A slip of the pen'))
    expect(await withdraw(first)).toBe('conflict')
    await changeCase(engines, investigator, id, { status: 'open', reason: 'An appeal' })
    const second = await note(id, 'closed', '2026-08-01')
    expect(await withdraw(first)).toBe('accepted')
    expect(await withdraw(second)).toBe('conflict')
    expect(await readCase(engines, investigator, id)).toMatchObject({ status: 'closed' })
  })

  test('`closed` that closed a reopened case is not taken back for an earlier closing that was overtaken', async () => {
    const id = await aCase(engines, investigator)
    const first = await note(id, 'closed', '2026-06-01')
    await changeCase(engines, investigator, id, { status: 'open', reason: 'An appeal' })
    const second = await note(id, 'closed', '2026-11-30')
    const withdraw = async (event: CaseEventId) =>
      await codeOf(withdrawEvent(engines, investigator, id, event, 'The wrong day'))
    expect(await withdraw(second)).toBe('conflict')
    await changeCase(engines, investigator, id, { status: 'open', reason: 'The wrong day' })
    expect(await withdraw(second)).toBe('accepted')
    const third = await note(id, 'closed', '2026-11-29')
    expect([await withdraw(third), await withdraw(first)]).toEqual(['conflict', 'accepted'])
  })

  test('`closed` does not have its day changed by closing the case once more, which says how that is done', async () => {
    const id = await aCase(engines, investigator)
    const close = async (on?: string) =>
      await changeCase(engines, investigator, id, {
        status: 'closed',
        reason: 'Dealt with',
        title: `Closed on ${on}`,
        ...(on === undefined ? {} : { on }),
      })
    await close('2026-06-01')
    const refused = await problemOf(close('2026-06-02'))
    expect(refused?.code).toBe('conflict')
    expect(refused?.message).toBe(
      'It is closed already, on 2026-06-01: on changes nothing. Where the day is wrong, reopen it, take back that event, and close it again on the right day.',
    )
    expect(await readCase(engines, investigator, id)).toMatchObject({ title: 'Closed on 2026-06-01' })
    // What is so already stays so.
    expect([await codeOf(close('2026-06-01')), await codeOf(close())]).toEqual(['accepted', 'accepted'])
    expect((await listEvents(engines, investigator, id, {})).items).toMatchObject([{ on: '2026-06-01' }])
  })

  test('that closes is one of two at once', async () => {
    const id = await aCase(engines, investigator)
    const codes = await Promise.all([
      codeOf(note(id, 'closed', '2026-06-01')),
      codeOf(changeCase(engines, investigator, id, { status: 'closed', reason: 'Dealt with' })),
      codeOf(note(id, 'closed', '2026-06-02')),
    ])
    // Closing what is closed by the status is no change; by an event it is a second event.
    expect(codes.filter((code) => code === 'case-closed').length).toBeGreaterThanOrEqual(1)
    expect((await listEvents(engines, investigator, id, {})).items).toHaveLength(1)
  })

  test('is noted by those who may change the case, and not there for strangers', async () => {
    const id = await aCase(engines, investigator, [[disclosure, 'disclosure']])
    const event = await note(id, 'charged', '2026-06-01')
    const nothing = newId<CaseId>()
    for (const attempt of [
      async (on: CaseId) => await noteEvent(engines, stranger, on, { kind: 'charged', on: '2026-06-01' }),
      async (on: CaseId) => await withdrawEvent(engines, stranger, on, event, 'Mine'),
      async (on: CaseId) => await listEvents(engines, stranger, on, {}),
      async (on: CaseId) => await readHistory(engines, stranger, on, {}),
    ]) {
      const [hidden, absent] = [await problemOf(attempt(id)), await problemOf(attempt(nothing))]
      expect(hidden?.code).toBe('not-found')
      expect(hidden).toEqual(absent)
    }
    expect(await codeOf(noteEvent(engines, disclosure, id, { kind: 'charged', on: '2026-06-01' }))).toBe('not-allowed')
    const denied = (await entriesAbout(engines, id)).filter(({ outcome }) => outcome === 'denied')
    expect(denied).toMatchObject([
      { action: 'case.note-event', actor: { id: stranger.id } },
      { action: 'case.read', actor: { id: stranger.id } },
      { action: 'case.note-event', actor: { id: disclosure.id } },
    ])
  })
})

describe('the history of a case', () => {
  test('tells in words what was done to it and its exhibits, newest first, and reading it is an entry', async () => {
    const member = await someone(engines, ['disclosure'])
    const id = await aCase(engines, investigator, [[member, 'disclosure']])
    const { reference } = await readCase(engines, investigator, id)
    const other = await aCase(engines, investigator)
    const first = await anExhibit(engines, investigator, id, 'AB/1')
    await changeExhibit(engines, investigator, first, { sensitivity: 'sensitive' }, 'Heard the sound')
    await withdrawExhibit(engines, investigator, first, 'The wrong footage')
    const second = await anExhibit(engines, investigator, id, 'AB/2')
    const third = await moveExhibit(engines, investigator, second, { caseId: id, reference: 'AB/3' }, 'Swapped')
    await moveExhibit(engines, investigator, third.id, { caseId: other, reference: 'ZZ/1' }, 'Elsewhere')
    await anExhibit(engines, investigator, other, 'ZZ/2')
    await changeCase(engines, investigator, id, { title: 'Theft' })
    const event = await note(id, 'no_further_action', '2026-06-01')
    await withdrawEvent(engines, investigator, id, event, 'Not yet')
    await dropMember(engines, investigator, id, member.id)
    await changeCase(engines, investigator, id, { status: 'closed', reason: 'Dealt with', on: '2026-06-02' })
    await changeCase(engines, investigator, id, { status: 'open', reason: 'An appeal' })
    await codeOf(readCase(engines, stranger, id))
    const { items, nextCursor } = await readHistory(engines, investigator, id, {})
    expect(nextCursor).toBeNull()
    const said = items.map(({ words, reason }) => (reason === null ? words : `${words} ${reason}`))
    // Written at one moment, in whichever order.
    expect(said.slice(7, 9).sort()).toEqual(['AB/2 became AB/3. Swapped', 'AB/3 came from AB/2. Swapped'])
    expect(said.toSpliced(7, 2)).toEqual([
      'The case was reopened. An appeal',
      'The case was closed, on 2026-06-02. Dealt with',
      'disclosure is no longer a member.',
      'Withdrawn as wrong: no further action, on 2026-06-01. Not yet',
      'Noted: no further action, on 2026-06-01.',
      'The case was renamed: title from “Robbery at Station Road” to “Theft”.',
      'AB/3 became an exhibit of another case. Elsewhere',
      'AB/2, a recording, was put into the case.',
      'AB/1 was withdrawn. The wrong footage',
      'AB/1 was changed: sensitivity from “none” to “sensitive”. Heard the sound',
      'AB/1, a recording, was put into the case.',
      'disclosure became a member as disclosure.',
      `The case was opened as ${reference}, “Robbery at Station Road”.`,
    ])
    expect(items[12]).toEqual({
      id: expect.any(String),
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z$/),
      action: 'exhibit.added',
      subject: { type: 'exhibit', id: first },
      by: { id: investigator.id, name: 'investigator' },
      words: 'AB/1, a recording, was put into the case.',
      reason: null,
    })
    expect(JSON.stringify(items)).not.toMatch(new RegExp(`${other}|ZZ/|${stranger.id}`))
    expect((await entriesAbout(engines, id)).at(-1)).toMatchObject({
      operation: 'consultation',
      action: 'case.history-read',
    })

    const seen: string[] = []
    let cursor: string | null = null
    do {
      const query = { limit: 4, ...(cursor === null ? {} : { cursor }) }
      const page: Awaited<ReturnType<typeof readHistory>> = await readHistory(engines, investigator, id, query)
      seen.push(...page.items.map((item) => item.words))
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(seen).toEqual(items.map((item) => item.words))
    expect(await codeOf(readHistory(engines, investigator, id, { cursor: encodeCursor(['x']) }))).toBe('bad-request')
  })

  test('of the case that something came from another does not name that one', async () => {
    const [from, to] = [await aCase(engines, investigator), await aCase(engines, investigator)]
    const exhibit = await anExhibit(engines, investigator, from, 'AB/1')
    await moveExhibit(engines, investigator, exhibit, { caseId: to, reference: 'CD/1' }, 'Elsewhere')
    const { items } = await readHistory(engines, investigator, to, {})
    expect(items[0]?.words).toBe('CD/1 came from another case.')
  })

  test('says so where a part of the ledger was erased, as the law may ask', async () => {
    const id = await aCase(engines, investigator)
    const exhibit = await anExhibit(engines, investigator, id, 'AB/1')
    const rows = await engines.db.selectFrom('entryBodies').select('id').where('subjectId', '=', exhibit).execute()
    for (const part of ['detail', 'actor'] as const) {
      for (const row of rows) {
        const act = { action: 'entry.erased', actor: actor(investigator) }
        await engines.db.transaction().execute(async (tx) => {
          await eraseFromEntry(tx, engines.clock, row.id, part, act)
        })
      }
    }
    const { items } = await readHistory(engines, investigator, id, { limit: 1 })
    expect(items).toMatchObject([{ words: '(no longer known) was put into the case.', by: null }])
  })

  test('is read by every member, and shows who became one', async () => {
    const id = await aCase(engines, investigator)
    await putMember(engines, investigator, id, disclosure.id, 'disclosure')
    const { items } = await readHistory(engines, disclosure, id, {})
    expect(items.map((item) => item.action)).toEqual(['case.member-set', 'case.opened'])
  })
})
