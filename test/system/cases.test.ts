import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../src/base/ids.ts'
import { CasesPage, CaseView, EventsPage, ExhibitsPage, ExhibitView, HistoryPage } from '../../src/cases/schemas.ts'
import type { Role } from '../../src/people/role.ts'
import { type Answer, startTestApi, type TestApi } from '../api.ts'
import { aClipRow, aReference } from '../case-files.ts'
import { catalogued, entriesAbout, someone } from '../catalogued.ts'

let system: TestApi
beforeAll(async () => {
  system = await startTestApi()
})
afterAll(async () => await system[Symbol.asyncDispose]())

const Made = Type.Object({ id: Type.String() }, { additionalProperties: false })

/** One request of the person `sub`, who holds the role. */
const by = async (sub: string, role: Role, method: string, path: string, json?: unknown): Promise<Answer> => {
  const token = await system.issuer.tokenFor(role, { sub, name: sub })
  return await system.ask(method, `/api/v1${path}`, { token, ...(json === undefined ? {} : { json }) })
}
const asha = async (method: string, path: string, json?: unknown) =>
  await by('asha', 'investigator', method, path, json)
const dora = async (method: string, path: string, json?: unknown) => await by('dora', 'disclosure', method, path, json)

const idOf = (answer: Answer): string => {
  if (Value.Check(Made, answer.body)) return answer.body.id
  throw new Error(`nothing was made: ${answer.text}`)
}
const idOfPerson = async (sub: string, role: Role): Promise<string> => {
  const { body } = await by(sub, role, 'GET', '/me')
  return String(Object(body).id)
}
const aCase = async (): Promise<string> =>
  idOf(await asha('POST', '/cases', { reference: aReference(), title: 'Robbery at Station Road' }))

test('an investigator opens a case, puts footage into it, and shares it with a disclosure officer', async () => {
  const reference = aReference()
  const opened = await asha('POST', '/cases', { reference, title: 'Robbery' })
  const id = idOf(opened)
  expect(opened.status).toBe(201)
  expect(opened.headers.get('location')).toBe(`${system.api.url}/api/v1/cases/${id}`)
  const officer = await idOfPerson('dora', 'disclosure')
  expect((await dora('GET', `/cases/${id}`)).status).toBe(404)
  const member = await asha('PUT', `/cases/${id}/members/${officer}`, { role: 'disclosure' })
  expect({ status: member.status, body: member.body }).toEqual({
    status: 200,
    body: { id: officer, name: 'dora', role: 'disclosure' },
  })
  const read = await dora('GET', `/cases/${id}`)
  expect(Value.Check(CaseView, read.body)).toBe(true)
  expect(read.body).toMatchObject({
    reference,
    title: 'Robbery',
    status: 'open',
    members: [{ name: 'asha' }, { name: 'dora' }],
  })

  const recordingId = await catalogued(system.engines)
  const clipId = await aClipRow(system.engines, await someone(system.engines, ['investigator']), recordingId, 'ready')
  const words = { sensitivity: 'none', description: 'The stop <script>alert(1)</script>\n"quoted" =1+1' }
  const whole = await asha('POST', `/cases/${id}/exhibits`, { recordingId, reference: 'AB/1', ...words })
  expect(whole.status).toBe(201)
  const clip = await asha('POST', `/cases/${id}/exhibits`, { clipId, reference: 'AB/2', ...words })
  const listed = await dora('GET', `/cases/${id}/exhibits?limit=200`)
  expect(Value.Check(ExhibitsPage, listed.body)).toBe(true)
  expect(listed.body).toMatchObject({
    items: [
      { id: idOf(whole), recordingId, clipId: null, reference: 'AB/1', ...words },
      { id: idOf(clip), recordingId, clipId, reference: 'AB/2', ...words },
    ],
    nextCursor: null,
  })
  const one = await dora('GET', `/exhibits/${idOf(clip)}`)
  expect(Value.Check(ExhibitView, one.body)).toBe(true)
  expect((await dora('GET', `/recordings?caseId=${id}`)).body).toMatchObject({ items: [{ id: recordingId }] })
  expect((await by('eve', 'supervisor', 'GET', `/recordings?caseId=${id}`)).body).toEqual({
    items: [],
    nextCursor: null,
  })

  const changed = await asha('PATCH', `/exhibits/${idOf(whole)}`, { sensitivity: 'sensitive' })
  expect(changed).toMatchObject({ status: 200, body: { sensitivity: 'sensitive', description: words.description } })
  const other = await aCase()
  const move = { caseId: other, reference: 'CD/1', reason: 'The other robbery' }
  const moved = await asha('POST', `/exhibits/${idOf(whole)}/move`, move)
  expect(moved.status).toBe(201)
  expect((await asha('GET', `/exhibits/${idOf(whole)}`)).body).toMatchObject({
    movedTo: { id: idOf(moved), caseId: other },
  })
  const withdrawn = await asha('POST', `/exhibits/${idOf(clip)}/withdrawal`, { reason: 'A copy' })
  expect({ status: withdrawn.status, text: withdrawn.text }).toEqual({ status: 204, text: '' })
  expect((await dora('GET', `/cases/${id}/exhibits`)).body).toEqual({ items: [], nextCursor: null })
  expect((await dora('GET', `/cases/${id}/exhibits?withdrawn=true`)).body).toMatchObject({
    items: [{ withdrawnBecause: 'The other robbery', movedTo: null }, { withdrawnBecause: 'A copy' }],
  })

  const charged = await asha('POST', `/cases/${id}/events`, { kind: 'charged', on: '2026-06-01' })
  expect(charged.status).toBe(201)
  const back = await asha('POST', `/cases/${id}/events/${idOf(charged)}/withdrawal`, { reason: 'Not yet' })
  expect(back.status).toBe(204)
  const events = await dora('GET', `/cases/${id}/events`)
  expect(Value.Check(EventsPage, events.body)).toBe(true)
  const closed = await asha('PATCH', `/cases/${id}`, { status: 'closed', reason: 'Dealt with' })
  expect(closed).toMatchObject({ status: 200, body: { status: 'closed' } })
  const history = await dora('GET', `/cases/${id}/history?limit=3`)
  expect(Value.Check(HistoryPage, history.body)).toBe(true)
  expect(history.body).toMatchObject({ items: [{ action: 'case.closed', by: { name: 'asha' } }, {}, {}] })
  const list = await dora('GET', '/cases?status=closed')
  expect(Value.Check(CasesPage, list.body)).toBe(true)
  expect(list.body).toMatchObject({ items: [{ id, role: 'disclosure' }] })
  expect((await asha('DELETE', `/cases/${id}/members/${officer}`)).status).toBe(204)
  expect((await dora('GET', '/cases?status=closed')).body).toEqual({ items: [], nextCursor: null })
})

test('a case is answered to a stranger of any role exactly as none is', async () => {
  const id = await aCase()
  const recordingId = await catalogued(system.engines)
  const made = await asha('POST', `/cases/${id}/exhibits`, {
    recordingId,
    reference: 'AB/1',
    sensitivity: 'none',
    description: 'x',
  })
  const exhibit = idOf(made)
  const attempts: [string, string, unknown?][] = [
    ['GET', `/cases/${id}`],
    ['PATCH', `/cases/${id}`, { title: 'Mine' }],
    ['PUT', `/cases/${id}/members/${newId()}`, { role: 'disclosure' }],
    ['DELETE', `/cases/${id}/members/${newId()}`],
    ['GET', `/cases/${id}/exhibits`],
    ['POST', `/cases/${id}/exhibits`, { recordingId, reference: 'AB/2', sensitivity: 'none', description: 'x' }],
    ['GET', `/cases/${id}/events`],
    ['POST', `/cases/${id}/events`, { kind: 'charged', on: '2026-06-01' }],
    ['POST', `/cases/${id}/events/${newId()}/withdrawal`, { reason: 'Mine' }],
    ['GET', `/cases/${id}/history`],
    ['GET', `/exhibits/${exhibit}`],
    ['PATCH', `/exhibits/${exhibit}`, { description: 'Mine' }],
    ['POST', `/exhibits/${exhibit}/withdrawal`, { reason: 'Mine' }],
    ['POST', `/exhibits/${exhibit}/move`, { caseId: id, reference: 'AB/2', reason: 'Mine' }],
  ]
  const said = ({ status, text }: Answer) => ({ status, text: text.replaceAll(/"requestId":"[^"]*"/g, '') })
  for (const [method, path, json] of attempts) {
    const nowhere = path.replaceAll(id, newId()).replaceAll(exhibit, newId())
    for (const role of [
      'investigator',
      'supervisor',
      'disclosure',
      'officer',
      'retention',
      'auditor',
      'admin',
    ] as const) {
      const [hidden, absent] = [await by('eve', role, method, path, json), await by('eve', role, method, nowhere, json)]
      expect([403, 404], `${role} ${method} ${path}`).toContain(hidden.status)
      expect(said(hidden)).toEqual(said(absent))
    }
    expect((await by('eve', 'investigator', method, path, json)).status).toBe(404)
  }
  expect((await by('eve', 'supervisor', 'GET', '/cases')).body).toEqual({ items: [], nextCursor: null })
  const denied = (await entriesAbout(system.engines, id)).filter(({ outcome }) => outcome === 'denied')
  expect(denied.length).toBeGreaterThan(3)
})

test('a member is whoever last signed in with a role that carries it', async () => {
  const id = await aCase()
  const member = await idOfPerson('cleo', 'officer')
  const put = async (role: string) => (await asha('PUT', `/cases/${id}/members/${member}`, { role })).status
  expect([await put('investigator'), await put('disclosure')]).toEqual([409, 409])
  await idOfPerson('cleo', 'disclosure')
  expect([await put('investigator'), await put('disclosure')]).toEqual([409, 200])
  expect((await by('cleo', 'officer', 'GET', `/cases/${id}`)).status).toBe(403)
  expect((await by('cleo', 'disclosure', 'PATCH', `/cases/${id}`, { title: 'Mine' })).status).toBe(403)
  expect((await asha('PUT', `/cases/${id}/members/${newId()}`, { role: 'investigator' })).status).toBe(404)
  expect((await asha('PUT', `/cases/${id}/members/nobody`, { role: 'investigator' })).status).toBe(404)
  const last = await asha('DELETE', `/cases/${id}/members/${await idOfPerson('asha', 'investigator')}`)
  expect(last).toMatchObject({ status: 409, body: { code: 'last-member' } })
})

describe('what is not well formed', () => {
  const good = { sensitivity: 'none', description: 'The stop', reference: 'AB/1' }
  test.for<[string, object]>([
    ['two slashes', { reference: 'AB/1/2' }],
    ['dots', { reference: '../1' }],
    ['a device', { reference: 'CON/1' }],
    ['300 bytes', { reference: 'A'.repeat(300) }],
    ['a control character', { reference: 'AB/1\u0007' }],
    ['NUL', { reference: 'AB/\u0000' }],
    ['a lone surrogate', { reference: 'AB/\ud800' }],
    ['look-alikes', { reference: 'АВ/1' }],
    ['lower case', { reference: 'ab/1' }],
    ['no text', { reference: 7 }],
    ['an empty description', { description: '' }],
    ['a blank description', { description: ' \n ' }],
    ['10 KiB of description', { description: 'x'.repeat(10_240) }],
    ['2,001 characters of description', { description: 'x'.repeat(2001) }],
    ['a control character in the description', { description: 'a\u001b[2Jb' }],
    ['another sensitivity', { sensitivity: 'secret' }],
    ['no sensitivity', { sensitivity: undefined }],
    ['an id that is none', { recordingId: '1' }],
    ['a redaction, of which there are none yet', { recordingId: undefined, redactionId: newId() }],
    ['nothing to put in', { recordingId: undefined }],
    ['two things to put in', { clipId: newId() }],
    ['what nobody asked for', { safeName: 'x' }],
  ])('is refused: an exhibit with %s', async ([, part]) => {
    const id = await aCase()
    const recordingId = await catalogued(system.engines)
    const { status, body } = await asha('POST', `/cases/${id}/exhibits`, { recordingId, ...good, ...part })
    expect({ status, body }).toMatchObject({ status: 400, body: { code: 'bad-request', detail: expect.any(String) } })
    expect((await asha('GET', `/cases/${id}/exhibits`)).body).toMatchObject({ items: [] })
  })

  test('but 2,000 characters of description are kept as they are, in any script', async () => {
    const id = await aCase()
    const recordingId = await catalogued(system.engines)
    const description = `${'é'.repeat(1000)}${'<img src=x>'.repeat(90)}`.slice(0, 2000)
    const made = await asha('POST', `/cases/${id}/exhibits`, { recordingId, ...good, description })
    expect((await asha('GET', `/exhibits/${idOf(made)}`)).body).toMatchObject({ description })
  })

  test.for<[string, object]>([
    ['no title', { title: undefined }],
    ['a blank title', { title: '  ' }],
    ['a title of two lines', { title: 'a\nb' }],
    ['a long title', { title: 'x'.repeat(201) }],
    ['an empty reference', { reference: '' }],
    ['a blank reference', { reference: ' ' }],
    ['a long reference', { reference: 'x'.repeat(101) }],
    ['a control character', { reference: 'a\tb' }],
    ['writing that turns around', { reference: 'a\u202eb' }],
    ['a status', { status: 'closed' }],
  ])('is refused: a case with %s', async ([, part]) => {
    const { status, body } = await asha('POST', '/cases', { reference: aReference(), title: 'Robbery', ...part })
    expect({ status, body }).toMatchObject({ status: 400, body: { code: 'bad-request' } })
  })

  test.for<[string, object]>([
    ['another status', { status: 'archived' }],
    ['no reason', { status: 'closed' }],
    ['a long reason', { status: 'closed', reason: 'x'.repeat(501) }],
    ['a day that is none', { status: 'closed', reason: 'x', on: '2026-02-30' }],
    ['a time for a day', { status: 'closed', reason: 'x', on: '2026-02-20T00:00:00Z' }],
    ['members', { members: [] }],
  ])('is refused: a change of a case with %s', async ([, change]) => {
    const id = await aCase()
    expect(await asha('PATCH', `/cases/${id}`, change)).toMatchObject({ status: 400, body: { code: 'bad-request' } })
  })

  test.for<[string, object]>([
    ['another kind', { kind: 'deported' }],
    ['a day in the future', { on: '2999-01-01' }],
    ['a day that does not exist', { on: '2026-02-30' }],
    ['the year 0', { on: '0000-01-01' }],
    ['a year of five digits', { on: '+012026-01-01' }],
    ['a number', { on: 20_260_101 }],
    ['a long note', { note: 'x'.repeat(501) }],
  ])('is refused: an event with %s', async ([, part]) => {
    const id = await aCase()
    const answer = await asha('POST', `/cases/${id}/events`, { kind: 'charged', on: '2026-06-01', ...part })
    expect(answer).toMatchObject({ status: 400, body: { code: 'bad-request' } })
  })

  test.for([
    ['/cases?status=archived'],
    ['/cases?limit=0'],
    ['/cases?limit=201'],
    ['/cases?cursor=!'],
    ['/cases?title=x'],
    ['/recordings?caseId=1'],
    ['/recordings?caseId='],
  ])('is refused: %s', async ([path = '']) => {
    expect(await asha('GET', path)).toMatchObject({ status: 400, body: { code: 'bad-request' } })
  })
})

test('roles that have no cases are told so by their role, and not by the case', async () => {
  for (const role of ['officer', 'retention', 'auditor', 'admin'] as const) {
    expect((await by(`the-${role}`, role, 'GET', '/cases')).status, role).toBe(403)
    const opening = await by(`the-${role}`, role, 'POST', '/cases', { reference: aReference(), title: 'Mine' })
    expect(opening.status, role).toBe(403)
  }
  expect((await dora('POST', '/cases', { reference: aReference(), title: 'Mine' })).status).toBe(403)
})
