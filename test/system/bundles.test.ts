import { randomBytes } from 'node:crypto'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../../src/base/ids.ts'
import { BundlesPage, BundleView } from '../../src/bundles/schemas.ts'
import type { Role } from '../../src/people/role.ts'
import type { Answer, TestApi } from '../api.ts'
import { words } from '../bundled.ts'
import { aReference } from '../case-files.ts'
import { kept } from '../catalogued.ts'
import { eventually, startTestSystem } from '../system.ts'

let system: TestApi
let caseId: string
let exhibit: string

const by = async (sub: string, role: Role, method: string, path: string, json?: unknown): Promise<Answer> => {
  const token = await system.issuer.tokenFor(role, { sub, name: sub })
  return await system.ask(method, `/api/v1${path}`, { token, ...(json === undefined ? {} : { json }) })
}
const asha = async (method: string, path: string, json?: unknown) =>
  await by('asha', 'investigator', method, path, json)
const dora = async (method: string, path: string, json?: unknown) => await by('dora', 'disclosure', method, path, json)
const idOf = ({ body }: Answer): string => String(Object(body).id)

beforeAll(async () => {
  system = await startTestSystem()
  caseId = idOf(await asha('POST', '/cases', { reference: aReference(), title: 'Robbery' }))
  await asha('PUT', `/cases/${caseId}/members/${idOf(await dora('GET', '/me'))}`, { role: 'disclosure' })
  const recordingId = await kept(system.engines, randomBytes(30_000))
  const said = { reference: 'AB/1', sensitivity: 'none', description: 'The stop' }
  exhibit = idOf(await asha('POST', `/cases/${caseId}/exhibits`, { recordingId, ...said }))
})
afterAll(async () => await system[Symbol.asyncDispose]())

const request = (over: object = {}) => ({ exhibitIds: [exhibit], ...words, ...over })

test('a disclosure officer asks for a bundle and follows it until it is there', async () => {
  const asked = await dora('POST', `/cases/${caseId}/bundles`, request({ recipient: ' CPS London North ' }))
  const id = idOf(asked)
  expect(asked).toMatchObject({ status: 202, body: { id } })
  expect(asked.headers.get('location')).toBe(`${system.api.url}/api/v1/bundles/${id}`)
  const ready = await eventually('the bundle', async () => {
    const { status, body } = await dora('GET', `/bundles/${id}`)
    expect(status).toBe(200)
    if (!Value.Check(BundleView, body)) throw new Error('this is no bundle')
    return body.state === 'ready' || body.state === 'failed' ? body : undefined
  })
  expect(ready).toMatchObject({ caseId, state: 'ready', progress: 1, failure: null, recipient: 'CPS London North' })
  expect(ready).toMatchObject({ exhibits: [{ id: exhibit, reference: 'AB/1', item: 1 }], size: expect.any(Number) })
  const list = await asha('GET', `/cases/${caseId}/bundles`)
  expect(Value.Check(BundlesPage, list.body)).toBe(true)
  expect(list.body).toMatchObject({ items: [{ id, sha256: ready.sha256 }], nextCursor: null })
})

test('only disclosure asks, and a case is answered to a stranger exactly as none is', async () => {
  for (const role of ['officer', 'investigator', 'supervisor', 'retention', 'auditor', 'admin'] as const)
    expect((await by(`the-${role}`, role, 'POST', `/cases/${caseId}/bundles`, request())).status, role).toBe(403)
  const said = ({ status, text }: Answer) => ({ status, text: text.replaceAll(/"requestId":"[^"]*"/g, '') })
  const made = idOf(await dora('POST', `/cases/${caseId}/bundles`, request()))
  for (const [method, path, json] of [
    ['POST', `/cases/${caseId}/bundles`, request()],
    ['GET', `/cases/${caseId}/bundles`],
    ['GET', `/bundles/${made}`],
  ] as const) {
    const nowhere = path.replace(caseId, newId()).replace(made, newId())
    const [hidden, absent] = [
      await by('eve', 'disclosure', method, path, json),
      await by('eve', 'disclosure', method, nowhere, json),
    ]
    expect(hidden.status).toBe(404)
    expect(said(hidden)).toEqual(said(absent))
  }
})

describe('what is not well formed', () => {
  test.for<[string, object]>([
    ['no exhibits', { exhibitIds: [] }],
    ['an exhibit twice', { exhibitIds: 'twice' }],
    ['501 exhibits', { exhibitIds: Array.from({ length: 501 }, () => newId()) }],
    ['an exhibit that is none', { exhibitIds: ['AB/1'] }],
    ['no recipient', { recipient: undefined }],
    ['an empty recipient', { recipient: '' }],
    ['a blank recipient', { recipient: '  ' }],
    ['a recipient of two lines', { recipient: 'CPS\nLondon' }],
    ['a recipient of 501 characters', { recipient: 'x'.repeat(501) }],
    ['a blank purpose', { purpose: ' ' }],
    ['a control character in the purpose', { purpose: 'a\u001b[2Jb' }],
    ['a recipient whose writing turns around', { recipient: 'CPS\u202enodnoL' }],
    ['half a character in the purpose', { purpose: 'a\ud800b' }],
    ['a purpose of 501 characters', { purpose: 'x'.repeat(501) }],
    ['no word on originals', { includeOriginals: undefined }],
    ['what nobody asked for', { sensitive: true }],
  ])('is refused: a bundle with %s', async ([, over]) => {
    const twice = 'exhibitIds' in over && over.exhibitIds === 'twice' ? { exhibitIds: [exhibit, exhibit] } : over
    const answer = await dora('POST', `/cases/${caseId}/bundles`, request(twice))
    expect(answer).toMatchObject({ status: 400, body: { code: 'bad-request' } })
  })

  test('but 500 characters of any script are kept as they are', async () => {
    const purpose = `Ж${'é'.repeat(497)}<b>`.slice(0, 500)
    const id = idOf(await dora('POST', `/cases/${caseId}/bundles`, request({ purpose })))
    expect((await dora('GET', `/bundles/${id}`)).body).toMatchObject({ purpose })
  })

  test.for([['?limit=0'], ['?limit=201'], ['?cursor=!'], ['?state=ready']])(
    'is refused: a list with %s',
    async ([query = '']) => {
      expect(await dora('GET', `/cases/${caseId}/bundles${query}`)).toMatchObject({ status: 400 })
    },
  )
})
