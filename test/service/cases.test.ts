import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeCursor } from '../../src/base/cursor.ts'
import { type CaseId, newId, type PersonId } from '../../src/base/ids.ts'
import { changeCase, listCases, openCase, readCase } from '../../src/cases/actions.ts'
import { listEvents } from '../../src/cases/events.ts'
import { dropMember, putMember } from '../../src/cases/members.ts'
import { setSuspension } from '../../src/people/actions.ts'
import type { Person } from '../../src/people/person.ts'
import { aCase, aReference } from '../case-files.ts'
import { entriesAbout, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { actionsOn, codeOf, problemOf } from '../footsteps.ts'

let engines: TestEngines
let investigator: Person
let supervisor: Person
let disclosure: Person
let stranger: Person

beforeAll(async () => {
  engines = await testEngines()
  investigator = await someone(engines, ['investigator'])
  supervisor = await someone(engines, ['supervisor'])
  disclosure = await someone(engines, ['disclosure'])
  stranger = await someone(engines, ['investigator', 'disclosure', 'supervisor'])
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const detailsOf = async (id: string, action: string) =>
  (await entriesAbout(engines, id)).filter((entry) => entry.action === action)

const rolesIn = async (id: CaseId) =>
  Object.fromEntries((await readCase(engines, investigator, id)).members.map((member) => [member.id, member.role]))

describe('a case', () => {
  test('has its maker as first member, and what was said of it in its entry', async () => {
    const reference = aReference()
    const { id } = await openCase(engines, supervisor, { reference: ` ${reference} `, title: ' Robbery ' })
    expect(await readCase(engines, supervisor, id)).toEqual({
      id,
      reference,
      title: 'Robbery',
      status: 'open',
      openedAt: expect.any(String),
      closedAt: null,
      members: [{ id: supervisor.id, name: 'supervisor', role: 'investigator', since: expect.any(String) }],
    })
    expect((await entriesAbout(engines, id))[0]).toEqual({
      operation: 'administration',
      action: 'case.opened',
      outcome: 'allowed',
      actor: { kind: 'person', id: supervisor.id, role: 'supervisor' },
      detail: { reference, title: 'Robbery' },
    })
  })

  test('is listed to its members alone, newest first, page by page, and the list is an entry', async () => {
    const person = await someone(engines, ['investigator'])
    const ids: CaseId[] = []
    for (let n = 0; n < 5; n += 1) ids.push(await aCase(engines, person))
    const [first] = ids
    if (first === undefined) throw new Error('no case was opened')
    await changeCase(engines, person, first, { status: 'closed', reason: 'Dealt with' })
    const seen: CaseId[] = []
    let cursor: string | null = null
    do {
      const page: Awaited<ReturnType<typeof listCases>> = await listCases(engines, person, {
        limit: 2,
        ...(cursor === null ? {} : { cursor }),
      })
      expect(page.items.length).toBeLessThanOrEqual(2)
      seen.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    } while (cursor !== null)
    expect(seen).toEqual(ids.toReversed())
    expect((await listCases(engines, person, { status: 'closed' })).items).toMatchObject([
      { id: first, status: 'closed', closedAt: expect.any(String), role: 'investigator' },
    ])
    expect((await listCases(engines, person, { status: 'open' })).items).toHaveLength(4)
    expect((await entriesAbout(engines, 'own')).at(-1)).toMatchObject({
      operation: 'consultation',
      action: 'case.list',
      detail: { query: { status: 'open' }, found: ids.slice(1).toReversed() },
    })
    expect((await listCases(engines, await someone(engines, ['supervisor']), {})).items).toEqual([])
    expect(await codeOf(listCases(engines, person, { cursor: encodeCursor(['x']) }))).toBe('bad-request')
  })

  test('is renamed with the old and the new words in the entry, and without one when nothing changes', async () => {
    const id = await aCase(engines, investigator)
    const { reference, title } = await readCase(engines, investigator, id)
    const other = aReference()
    const changed = await changeCase(engines, investigator, id, { reference: other, title: 'Theft' })
    expect(changed).toMatchObject({ id, reference: other, title: 'Theft', status: 'open' })
    await changeCase(engines, investigator, id, { title: 'Theft' })
    await changeCase(engines, investigator, id, {})
    expect(await detailsOf(id, 'case.renamed')).toMatchObject([
      {
        operation: 'administration',
        detail: { before: { reference, title }, after: { reference: other, title: 'Theft' } },
      },
    ])
    const again = await openCase(engines, investigator, { reference, title: 'The reference it had' })
    expect(again.id).not.toBe(id)
  })

  test('is closed and reopened with a reason, which notes an event and takes none back', async () => {
    const id = await aCase(engines, investigator)
    const change = async (wanted: Parameters<typeof changeCase>[3]) =>
      await changeCase(engines, investigator, id, wanted)
    expect(await codeOf(change({ status: 'closed' }))).toBe('bad-request')
    expect(await codeOf(change({ reason: 'Because' }))).toBe('bad-request')
    expect(await codeOf(change({ status: 'closed', reason: '  ' }))).toBe('bad-request')
    expect(await codeOf(change({ status: 'closed', reason: 'Early', on: '2999-01-01' }))).toBe('bad-request')
    expect(await codeOf(change({ status: 'open', reason: 'Still', on: '2026-11-01' }))).toBe('bad-request')
    const closed = await change({ status: 'closed', reason: 'Dealt with', on: '2026-11-01' })
    expect(closed).toMatchObject({ status: 'closed', closedAt: expect.any(String) })
    expect(await change({ status: 'closed', reason: 'Once more' })).toEqual(closed)
    expect(await change({ status: 'open', reason: 'New evidence' })).toMatchObject({ status: 'open', closedAt: null })
    expect(await change({ status: 'open', reason: 'Once more' })).toMatchObject({ status: 'open' })
    expect((await actionsOn(engines, id)).filter((action) => action !== 'case.read')).toEqual([
      'case.opened',
      'case.closed',
      'case.reopened',
    ])
    expect(await detailsOf(id, 'case.closed')).toMatchObject([{ purpose: 'Dealt with', detail: { on: '2026-11-01' } }])
    expect((await listEvents(engines, investigator, id, {})).items).toMatchObject([
      { kind: 'closed', on: '2026-11-01', note: 'Dealt with', withdrawnAt: null },
    ])
  })

  test('that is closed in the first hour of a day of summer is closed on that day', async () => {
    const id = await aCase(engines, investigator)
    const instant = Temporal.Instant.from('2026-07-01T23:30:00Z')
    const clock = { now: () => new Date(instant.epochMilliseconds), instant: () => instant }
    await changeCase({ ...engines, clock }, investigator, id, { status: 'closed', reason: 'Dealt with' })
    expect((await listEvents(engines, investigator, id, {})).items).toMatchObject([
      { kind: 'closed', on: '2026-07-02' },
    ])
  })
})

describe('the reference of a case', () => {
  test('is given once, whoever asks and however it is written', async () => {
    const reference = aReference()
    const { id } = await openCase(engines, investigator, { reference, title: 'One' })
    for (const same of [reference, reference.toUpperCase(), ` ${reference}`, reference.replace('26', '２６')]) {
      for (const person of [investigator, stranger])
        expect(await codeOf(openCase(engines, person, { reference: same, title: 'Two' })), same).toBe('reference-taken')
    }
    const other = await aCase(engines, investigator)
    expect(await codeOf(changeCase(engines, investigator, other, { reference }))).toBe('reference-taken')
    expect(await readCase(engines, investigator, id)).toMatchObject({ reference, title: 'One' })
  })

  test('tells a stranger that it is taken and nothing else, and that they learnt it is an entry on that case', async () => {
    const reference = aReference()
    const { id } = await openCase(engines, investigator, { reference, title: 'Secret' })
    const [mine, theirs] = await Promise.all(
      [investigator, stranger].map(
        async (person) => await problemOf(openCase(engines, person, { reference, title: 'Two' })),
      ),
    )
    expect(mine).toEqual(theirs)
    expect(JSON.stringify(theirs)).not.toMatch(/Secret|[0-9a-f]{8}-/)
    expect((await entriesAbout(engines, id)).filter(({ outcome }) => outcome === 'denied')).toEqual([
      {
        operation: 'administration',
        action: 'case.open',
        outcome: 'denied',
        actor: { kind: 'person', id: stranger.id, role: 'investigator' },
      },
    ])
  })

  test('is given to one of many who ask for it at once', async () => {
    const reference = aReference()
    const codes = await Promise.all(
      Array.from(
        { length: 6 },
        async () => await codeOf(openCase(engines, investigator, { reference, title: 'Race' })),
      ),
    )
    expect(codes.sort()).toEqual(['accepted', ...Array(5).fill('reference-taken')])
  })
})

describe('a member', () => {
  test('is made, given another role and removed by an investigator, each once with its entry', async () => {
    const id = await aCase(engines, investigator)
    const both = await someone(engines, ['investigator', 'disclosure'])
    for (let n = 0; n < 2; n += 1) {
      const made = await putMember(engines, investigator, id, both.id, 'disclosure')
      expect(made).toEqual({ id: both.id, name: both.name, role: 'disclosure' })
    }
    await putMember(engines, investigator, id, both.id, 'investigator')
    expect(await rolesIn(id)).toEqual({ [investigator.id]: 'investigator', [both.id]: 'investigator' })
    for (let n = 0; n < 2; n += 1) await dropMember(engines, both, id, investigator.id)
    expect((await readCase(engines, both, id)).members).toHaveLength(1)
    expect(await codeOf(readCase(engines, investigator, id))).toBe('not-found')
    const [first, second] = await detailsOf(id, 'case.member-set')
    expect(first).toMatchObject({ operation: 'administration', detail: { person: both.id, role: 'disclosure' } })
    expect(second).toMatchObject({ detail: { person: both.id, before: 'disclosure', role: 'investigator' } })
    expect(await detailsOf(id, 'case.member-set')).toHaveLength(2)
    expect(await detailsOf(id, 'case.member-removed')).toMatchObject([
      { detail: { person: investigator.id, before: 'investigator' } },
    ])
  })

  test('must have signed in with a role that carries it', async () => {
    const id = await aCase(engines, investigator)
    const put = async (member: PersonId, role: 'investigator' | 'disclosure') =>
      await codeOf(putMember(engines, investigator, id, member, role))
    expect(await put(newId<PersonId>(), 'investigator')).toBe('not-found')
    for (const role of ['officer', 'auditor', 'admin', 'retention'] as const) {
      const person = await someone(engines, [role])
      expect([await put(person.id, 'investigator'), await put(person.id, 'disclosure')], role).toEqual([
        'conflict',
        'conflict',
      ])
    }
    expect(await put(disclosure.id, 'investigator')).toBe('conflict')
    expect(await put(supervisor.id, 'disclosure')).toBe('conflict')
    expect(await put(supervisor.id, 'investigator')).toBe('accepted')
    expect(await put(disclosure.id, 'disclosure')).toBe('accepted')
  })

  test('is nobody whose account is suspended', async () => {
    const id = await aCase(engines, investigator)
    const person = await someone(engines, ['investigator'])
    await setSuspension(engines, await someone(engines, ['admin']), person.id, true, undefined)
    expect(await codeOf(putMember(engines, investigator, id, person.id, 'investigator'))).toBe('conflict')
  })

  test('in the role disclosure reads the case and changes nothing of it', async () => {
    const both = await someone(engines, ['investigator', 'disclosure'])
    const id = await aCase(engines, investigator, [[both, 'disclosure']])
    expect(await readCase(engines, both, id)).toMatchObject({ id, status: 'open' })
    for (const attempt of [
      async () => await changeCase(engines, both, id, { title: 'Mine' }),
      async () => await changeCase(engines, both, id, { status: 'closed', reason: 'Mine' }),
      async () => await putMember(engines, both, id, both.id, 'investigator'),
      async () => await dropMember(engines, both, id, investigator.id),
    ])
      expect(await codeOf(attempt())).toBe('not-allowed')
    expect((await entriesAbout(engines, id)).filter(({ outcome }) => outcome === 'denied')).toMatchObject([
      { action: 'case.change', actor: { id: both.id } },
      { action: 'case.set-members', actor: { id: both.id } },
    ])
  })

  test('who is the last that may change the case is neither removed nor given another role', async () => {
    const both = await someone(engines, ['investigator', 'disclosure'])
    const id = await aCase(engines, both, [[disclosure, 'disclosure']])
    expect(await codeOf(dropMember(engines, both, id, both.id))).toBe('last-member')
    expect(await codeOf(putMember(engines, both, id, both.id, 'disclosure'))).toBe('last-member')
    await dropMember(engines, both, id, disclosure.id)
    expect((await readCase(engines, both, id)).members).toHaveLength(1)
  })

  test('whose account is suspended does not look after a case', async () => {
    const other = await someone(engines, ['investigator'])
    const id = await aCase(engines, investigator, [[other, 'investigator']])
    await setSuspension(engines, await someone(engines, ['admin']), other.id, true, undefined)
    expect(await codeOf(dropMember(engines, investigator, id, investigator.id))).toBe('last-member')
    expect(await codeOf(dropMember(engines, investigator, id, other.id))).toBe('accepted')
  })

  test('is left, however many remove each other at once', async () => {
    for (let n = 0; n < 10; n += 1) {
      const other = await someone(engines, ['investigator'])
      const id = await aCase(engines, investigator, [[other, 'investigator']])
      const codes = await Promise.all([
        codeOf(dropMember(engines, investigator, id, other.id)),
        codeOf(dropMember(engines, other, id, investigator.id)),
      ])
      // Whoever comes second is no member any more, and learns nothing.
      expect(codes.sort()).toEqual(['accepted', 'not-found'])
      const left = await engines.db.selectFrom('caseMembers').select('role').where('case', '=', id).execute()
      expect(left).toEqual([{ role: 'investigator' }])
    }
  })

  test('is left, when two leave by themselves at once', async () => {
    const other = await someone(engines, ['investigator'])
    const id = await aCase(engines, investigator, [[other, 'investigator']])
    const codes = await Promise.all([
      codeOf(dropMember(engines, investigator, id, investigator.id)),
      codeOf(dropMember(engines, other, id, other.id)),
    ])
    expect(codes.sort()).toEqual(['accepted', 'last-member'])
  })
})

describe('a stranger', () => {
  test('cannot tell a case from none, whatever their role; the ledger can', async () => {
    const id = await aCase(engines, investigator)
    const attempts = [
      async (on: CaseId) => await readCase(engines, stranger, on),
      async (on: CaseId) => await changeCase(engines, stranger, on, { title: 'Mine' }),
      async (on: CaseId) => await changeCase(engines, stranger, on, { status: 'open', reason: 'Mine' }),
      async (on: CaseId) => await putMember(engines, stranger, on, stranger.id, 'investigator'),
      async (on: CaseId) => await putMember(engines, stranger, on, newId<PersonId>(), 'investigator'),
      async (on: CaseId) => await dropMember(engines, stranger, on, investigator.id),
    ]
    const nothing = newId<CaseId>()
    for (const attempt of attempts) {
      const [hidden, absent] = [await problemOf(attempt(id)), await problemOf(attempt(nothing))]
      expect(hidden?.code).toBe('not-found')
      expect(hidden).toEqual(absent)
    }
    expect(await entriesAbout(engines, nothing)).toEqual([])
    const denied = (await entriesAbout(engines, id)).filter(({ outcome }) => outcome === 'denied')
    expect(denied).toMatchObject([
      { operation: 'consultation', action: 'case.read', actor: { id: stranger.id, role: 'investigator' } },
      { operation: 'administration', action: 'case.change' },
      { operation: 'administration', action: 'case.set-members' },
    ])
    expect((await listCases(engines, stranger, {})).items).toEqual([])
  })

  test('who was a member is one again', async () => {
    const other = await someone(engines, ['investigator'])
    const id = await aCase(engines, investigator, [[other, 'investigator']])
    await readCase(engines, other, id)
    await dropMember(engines, investigator, id, other.id)
    expect(await codeOf(readCase(engines, other, id))).toBe('not-found')
  })
})

test('the database itself keeps a closed case dated, and cases for ever', async () => {
  const id = await aCase(engines, investigator)
  const { db } = engines
  await expect(db.updateTable('cases').set({ status: 'closed' }).where('id', '=', id).execute()).rejects.toThrow(
    'closed_has_time',
  )
  await expect(db.deleteFrom('cases').where('id', '=', id).execute()).rejects.toThrow('permission denied')
})
