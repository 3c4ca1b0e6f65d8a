import { randomBytes } from 'node:crypto'
import { compactVerify, importJWK } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId, type RecordingId } from '../../src/base/ids.ts'
import type { Role } from '../../src/people/role.ts'
import type { Answer, TestApi } from '../api.ts'
import { kept } from '../catalogued.ts'
import { runCommand } from '../command-line.ts'
import { derived, locksOver } from '../retained.ts'
import { eventually, startTestSystem } from '../system.ts'

let system: TestApi
let second: string
const day = 86_400_000
beforeAll(async () => {
  system = await startTestSystem({ env: { PURGE_BRAKE: '2' } })
  second = await system.issuer.tokenFor('retention', { sub: 'another of retention' })
})
afterAll(async () => await system[Symbol.asyncDispose]())

const as = async (role: Role, method: string, path: string, json?: unknown) =>
  await system.as(role, method, `/api/v1${path}`, json)
const asSecond = async (method: string, path: string, json?: unknown) =>
  await system.ask(method, `/api/v1${path}`, { token: second, ...(json === undefined ? {} : { json }) })
const idIn = ({ body }: Answer): string => (body instanceof Object && 'id' in body ? String(body.id) : '')
const stateOf = ({ body }: Answer): unknown => (body instanceof Object && 'state' in body ? body.state : undefined)

/** Drafts, simulates, looks and approves, each over HTTP. */
const policyInForce = async (draft: Record<string, unknown>): Promise<string> => {
  const drafted = await as('retention', 'POST', '/retention/policies', draft)
  expect(drafted.status).toBe(201)
  const policy = `/retention/policies/${idIn(drafted)}`
  expect((await as('retention', 'POST', `${policy}/simulation`)).status).toBe(202)
  await eventually('the simulation', async () => {
    const answer = await asSecond('GET', `${policy}/simulation`)
    return stateOf(answer) === 'ready' ? answer : undefined
  })
  const approved = await asSecond('POST', `${policy}/approval`)
  expect([approved.status, stateOf(approved)]).toEqual([200, 'approved'])
  return policy
}

const purge = async (until: string) => {
  const started = await as('retention', 'POST', '/retention/purges')
  expect(started.status).toBe(202)
  const path = `/retention/purges/${idIn(started)}`
  const { body } = await eventually(`a purge that is ${until}`, async () => {
    const answer = await as('supervisor', 'GET', path)
    return stateOf(answer) === until ? answer : undefined
  })
  return { path, body }
}

const footage = async (category: string, days = 40): Promise<RecordingId> =>
  await kept(system.engines, randomBytes(64), { category, recordedAt: new Date(Date.now() - days * day) })

test('a policy takes effect when a second person has seen what it would do, and a purge erases by it, with proof', async () => {
  const drafted = await as('retention', 'POST', '/retention/policies', {
    category: 'traffic',
    trigger: 'recorded',
    period: 'P31D',
    grace: 'PT2S',
  })
  expect(drafted).toMatchObject({ status: 201, body: { version: 1, state: 'draft' } })
  const policy = `/retention/policies/${idIn(drafted)}`
  const [id, young, lucky] = [await footage('traffic'), await footage('traffic', 3), await footage('traffic', 50)]
  await derived(system.engines, id)
  const approval = async () => await asSecond('POST', `${policy}/approval`)
  expect(await approval()).toMatchObject({ status: 409, body: { code: 'simulation-needed' } })
  expect((await as('retention', 'POST', `${policy}/simulation`)).status).toBe(202)
  const seen = await eventually('the simulation', async () => {
    const answer = await as('retention', 'GET', `${policy}/simulation`)
    return stateOf(answer) === 'ready' ? answer : undefined
  })
  expect(seen.body).toMatchObject({
    due: { count: 3, bytes: 192 },
    sooner: { count: 3 },
    later: { count: 0 },
    atOnce: { count: 2, bytes: 128 },
  })
  expect(await approval()).toMatchObject({ status: 409, body: { code: 'simulation-needed' } })
  expect((await asSecond('GET', `${policy}/simulation/items?limit=2`)).body).toMatchObject({
    items: [{ oldDate: null }, { oldDate: null }],
    nextCursor: expect.any(String),
  })
  await asSecond('GET', `${policy}/simulation`)
  const own = await as('retention', 'POST', `${policy}/approval`)
  expect(own).toMatchObject({ status: 409, body: { code: 'same-person' } })
  expect(await approval()).toMatchObject({ status: 200, body: { state: 'approved' } })

  expect((await as('retention', 'GET', '/retention/due')).body).toMatchObject({
    items: [{ recordingId: lucky }, { recordingId: id }],
    nextCursor: null,
  })
  expect((await purge('done')).body).toMatchObject({ hidden: 2, erased: 0, held: 0, failed: 0 })
  expect((await as('investigator', 'GET', `/recordings/${id}`)).body).toMatchObject({ status: 'grace' })
  const viewing = await as('investigator', 'POST', `/recordings/${id}/viewings`, { reason: 'to look' })
  expect(viewing.status).toBe(409)
  const restored = await as('supervisor', 'POST', `/recordings/${lucky}/restoration`, { reason: 'a claim' })
  expect(restored).toMatchObject({ status: 200, body: { status: 'active' } })
  await locksOver(system.engines)
  expect((await purge('done')).body).toMatchObject({ hidden: 0, erased: 1, held: 1, failed: 0 })

  const proof = await as('investigator', 'GET', `/recordings/${id}/erasure`)
  expect([proof.status, proof.headers.get('content-type')]).toEqual([200, 'application/jose'])
  const keys = await system.ask('GET', '/api/v1/ledger/keys')
  const [key] =
    keys.body instanceof Object && 'keys' in keys.body && Array.isArray(keys.body.keys) ? keys.body.keys : []
  const { payload } = await compactVerify(proof.text, await importJWK(key, 'EdDSA'))
  expect(JSON.parse(new TextDecoder().decode(payload))).toMatchObject({ recordingId: id, objects: 4, policyVersion: 1 })
  const told = await as('retention', 'GET', `/recordings/${young}/retention`)
  expect(told.body).toMatchObject({
    date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
    words: expect.stringMatching(/^It may be destroyed from .* policy version 1: 31 days from when it was recorded/),
    beaten: [],
  })
  expect((await as('supervisor', 'POST', `/recordings/${id}/readmission`, { reason: 'a court' })).status).toBe(202)
})

test('a purge that finds too much brakes, and goes on when another person releases it', async () => {
  await policyInForce({ category: 'crowd', trigger: 'recorded', period: 'P1D' })
  const ids = [await footage('crowd'), await footage('crowd'), await footage('crowd')]
  const { path, body } = await purge('braked')
  expect(body).toMatchObject({ hidden: 0, batch: 3, said: expect.stringContaining('3 recordings are due') })
  expect(await as('retention', 'POST', `${path}/release`)).toMatchObject({ status: 409, body: { code: 'same-person' } })
  expect((await asSecond('POST', `${path}/release`, { reason: 'announced' })).status).toBe(202)
  const done = await eventually('the purge', async () => {
    const answer = await as('supervisor', 'GET', path)
    return stateOf(answer) === 'done' ? answer : undefined
  })
  expect(done.body).toMatchObject({ hidden: 3 })
  for (const id of ids)
    expect((await as('investigator', 'GET', `/recordings/${id}`)).body).toMatchObject({ status: 'grace' })
})

test('a purge that braked is on the list of purges, and is given up with a reason', async () => {
  await policyInForce({ category: 'riot', trigger: 'recorded', period: 'P1D' })
  for (let n = 0; n < 3; n++) await footage('riot')
  const { path } = await purge('braked')
  expect((await as('supervisor', 'GET', '/retention/purges?limit=1')).body).toMatchObject({
    items: [{ state: 'braked', batch: 3 }],
    nextCursor: expect.any(String),
  })
  expect((await system.ask('GET', '/readyz')).body).toMatchObject({
    status: 'degraded',
    dependencies: { purges: { ok: false, says: expect.stringMatching(/^alarm: the purge of .* braked/) } },
  })
  expect((await as('retention', 'POST', `${path}/abandonment`)).status).toBe(400)
  expect((await as('retention', 'POST', `${path}/abandonment`, { reason: 'a mistake' })).status).toBe(204)
  expect((await as('retention', 'GET', path)).body).toMatchObject({ state: 'abandoned', hidden: 0 })
  await policyInForce({ category: 'riot', trigger: 'recorded', period: 'P6Y' })
})

test('a hold is placed, shown and released over HTTP, with a reason or without', async () => {
  const id = await footage('none')
  const order = { kind: 'complaint', reason: 'Complaint 26/0193' }
  const placed = await as('disclosure', 'POST', `/recordings/${id}/holds`, order)
  expect(placed).toMatchObject({ status: 201, body: { kind: 'complaint', reviewOn: null } })
  expect((await as('investigator', 'GET', `/recordings/${id}/holds`)).body).toMatchObject({
    items: [{ id: idIn(placed), reason: 'Complaint 26/0193' }],
  })
  expect((await as('investigator', 'DELETE', `/holds/${idIn(placed)}`)).status).toBe(403)
  expect((await as('supervisor', 'DELETE', `/holds/${idIn(placed)}`, { reason: 'It was settled' })).status).toBe(204)
  const again = await as('disclosure', 'POST', `/recordings/${id}/holds`, order)
  expect((await as('disclosure', 'DELETE', `/holds/${idIn(again)}`)).status).toBe(204)
  expect((await as('officer', 'GET', `/recordings/${id}/holds`)).status).toBe(404)
})

test('a request to delete is made, approved and taken back over HTTP, taken back with a reason', async () => {
  const id = await footage('none')
  const requests = `/recordings/${id}/deletion-requests`
  expect((await as('retention', 'POST', requests, { reason: 'recorded in a changing room' })).status).toBe(202)
  expect((await asSecond('POST', `${requests}/approval`)).status).toBe(202)
  expect((await as('supervisor', 'DELETE', requests)).status).toBe(400)
  expect((await as('supervisor', 'DELETE', requests, { reason: 'it is evidence' })).status).toBe(204)
  expect((await as('supervisor', 'DELETE', requests, { reason: 'again' })).status).toBe(409)
  expect((await as('retention', 'GET', `/recordings/${id}/retention`)).body).toMatchObject({ date: null, beaten: [] })
})

test('the command simulates a draft that it makes, or one that is there, and says what would change', async () => {
  await footage('commanded')
  const environment = { EXHIBIT_TOKEN: await system.issuer.tokenFor('retention'), EXHIBIT_URL: system.api.url }
  const command = async (...args: string[]) => await runCommand(['retention', 'simulate', ...args], environment)
  const made = await command('--category', 'commanded', '--period', 'P31D', '--json')
  expect(made).toMatchObject({ code: 0, err: '' })
  const { policy, ...found } = JSON.parse(made.out)
  expect(found).toMatchObject({
    state: 'ready',
    due: { count: 1, bytes: 64 },
    atOnce: { count: 1 },
    later: { count: 0 },
  })
  const again = await command(policy)
  expect(again).toMatchObject({ code: 0, err: '' })
  expect(again.out).toMatch(/1 recording, 64 B +would be due the moment it takes effect/)
  const [nothing, zero] = await Promise.all([command('--category', 'x'), command('--uncategorised', '--period', 'P0D')])
  expect(nothing).toMatchObject({ code: 1, err: expect.stringMatching(/^Name a draft, or/) })
  expect(zero).toMatchObject({ code: 1, err: expect.stringMatching(/The period is zero/) })
})

test.for([
  ['POST', '/retention/policies', { trigger: 'recorded', period: 'P1D' }],
  ['POST', '/retention/policies', { category: '', trigger: 'recorded', period: 'P1D' }],
  ['POST', '/retention/policies', { category: 'x'.repeat(201), trigger: 'recorded', period: 'P1D' }],
  ['POST', '/retention/policies', { category: 'x', trigger: 'full moon', period: 'P1D' }],
  ['POST', '/retention/policies', { category: 'x', trigger: 'recorded', period: 'P0D' }],
  ['POST', '/retention/policies', { category: 'x', trigger: 'recorded', period: 'P1000Y' }],
  ['POST', '/retention/policies', { category: 'x', trigger: 'recorded', period: 'P1D', grace: '-P1D' }],
  ['POST', '/retention/policies', { category: 'x', trigger: 'recorded', period: 31 }],
  ['POST', '/retention/policies', { category: 'x', trigger: 'recorded', period: 'P1D', sealed: ['everything'] }],
  ['GET', '/retention/due?on=2026-02-30', undefined],
  ['GET', '/retention/due?on=tomorrow', undefined],
  ['GET', '/retention/due?on=0001-01-01', undefined],
  ['GET', '/retention/due?on=2400-01-01', undefined],
  ['GET', '/retention/due?limit=0', undefined],
  ['GET', '/retention/policies?cursor=nonsense', undefined],
] as const)('%s %s with nonsense is refused: %j', async ([method, path, json]) => {
  expect(await as('retention', method, path, json)).toMatchObject({ status: 400, body: { code: 'bad-request' } })
})

test.for([
  { kind: 'restored', reason: 'mine' },
  { kind: 'legal' },
  { kind: 'legal', reason: '' },
  { kind: 'legal', reason: 'x'.repeat(501) },
  { kind: 'legal', reason: 'a claim', reviewOn: '2020-01-01' },
  { kind: 'legal', reason: 'a claim', reviewOn: 'soon' },
])('a hold such as %j is refused', async (order) => {
  const id = await footage('none')
  expect(await as('investigator', 'POST', `/recordings/${id}/holds`, order)).toMatchObject({ status: 400 })
})

test.for([
  ['retention', '/recordings/:id/deletion-requests/approval'],
  ['retention', '/retention/policies/:id/approval'],
  ['retention', '/retention/purges/:id/release'],
  ['admin', '/people/:id/suspension'],
  ['admin', '/docks/:id/suspension'],
] as const)('a reason that is given says something, where none is needed too: %s %s', async ([role, route]) => {
  const path = route.replace(':id', newId())
  expect(await as(role, 'POST', path, { reason: ' ' })).toMatchObject({ status: 400, body: { code: 'bad-request' } })
  expect(await as(role, 'POST', path)).toMatchObject({ status: 404 })
})
