import { createHash, randomBytes } from 'node:crypto'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeCursor } from '../../src/base/cursor.ts'
import { newId } from '../../src/base/ids.ts'
import { RecordingsPage, RecordingView } from '../../src/recordings/schemas.ts'
import type { TestApi } from '../api.ts'
import { assign, catalogued, entriesAbout } from '../catalogued.ts'
import { eventually, startTestSystem } from '../system.ts'

let system: TestApi
beforeAll(async () => {
  system = await startTestSystem()
})
afterAll(async () => await system[Symbol.asyncDispose]())

const list = async (query: string, role: Parameters<TestApi['as']>[0] = 'investigator') => {
  const answer = await system.as(role, 'GET', `/api/v1/recordings${query}`)
  if (!Value.Check(RecordingsPage, answer.body)) throw new Error(`not a page of recordings: ${answer.text}`)
  return answer.body
}
const b64 = (text: string) => Buffer.from(text).toString('base64')

/** Sends a file as a dock does, in one request. */
const upload = async (camera: string, bytes: Buffer, metadata: Record<string, string> = {}): Promise<void> => {
  const dock = await system.enrol()
  const digest = createHash('sha256').update(bytes)
  const facts = { filename: 'BWC_0001.MP4', camera, recordedAt: '2026-11-25T22:15:00Z', ...metadata }
  const response = await fetch(`${system.api.url}/api/v1/uploads`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${dock.token}`,
      'tus-resumable': '1.0.0',
      'content-type': 'application/offset+octet-stream',
      'upload-length': String(bytes.length),
      'upload-checksum': `sha256 ${digest.digest('base64')}`,
      'upload-metadata': Object.entries(facts)
        .map(([key, value]) => `${key} ${b64(value)}`)
        .join(','),
    },
    body: new Uint8Array(bytes),
  })
  expect(response.status).toBe(201)
}

test('footage that a dock sent is found, read and fetched again, equal to the byte', async () => {
  const bytes = randomBytes(1_300_000)
  await upload('BWC-END', bytes, { filename: '../../Übergabe.mp4', category: 'arrest', number: '417' })
  const found = await eventually('the recording is active', async () => {
    const { items } = await list('?camera=BWC-END&status=active')
    return items[0]
  })
  expect(found).toMatchObject({
    camera: 'BWC-END',
    filename: '../../Übergabe.mp4',
    category: 'arrest',
    number: 417,
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    officer: null,
    renditions: [],
  })
  const read = await system.as('investigator', 'GET', `/api/v1/recordings/${found.id}`)
  expect(read.status).toBe(200)
  expect(Value.Check(RecordingView, read.body)).toBe(true)
  expect(read.body).toEqual(found)
  const reason = 'case 12/3456'
  const { body } = await system.as('investigator', 'POST', `/api/v1/recordings/${found.id}/downloads`, { reason })
  expect(body).toMatchObject({ sha256: found.sha256, size: bytes.length })
  const { url } = Object({ url: '', ...Object(body) })
  expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true)
  const acts = (await entriesAbout(system.engines, found.id)).map(({ action }) => action)
  expect(acts).toEqual(expect.arrayContaining(['recording.verified', 'recording.read', 'recording.download']))
})

test('footage whose digest was declared wrong is listed as quarantined, and cannot be downloaded', async () => {
  await upload('BWC-BAD', randomBytes(1000), { sha256: '0'.repeat(64) })
  const found = await eventually('the recording is quarantined', async () => {
    const { items } = await list('?camera=BWC-BAD')
    return items[0]
  })
  expect(found).toMatchObject({ status: 'quarantined', quarantinedBecause: 'digest-mismatch' })
  const reason = { reason: 'case 12/3456' }
  const refused = await system.as('investigator', 'POST', `/api/v1/recordings/${found.id}/downloads`, reason)
  expect(refused.status).toBe(422)
  expect(refused.body).toMatchObject({ code: 'quarantined' })
})

describe('the list', () => {
  test('pages with opaque cursors until there are no more', async () => {
    const camera = 'BWC-PAGES'
    const ids = new Set(
      await Promise.all(Array.from({ length: 5 }, async () => catalogued(system.engines, { camera }))),
    )
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page = await list(`?camera=${camera}&limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)
      seen.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    }
    expect(seen).toHaveLength(5)
    expect(new Set<string>(seen)).toEqual(ids)
  })

  test.for([
    ['?colour=red'],
    ['?limit=0'],
    ['?limit=201'],
    ['?limit=ten'],
    ['?limit=1.5'],
    ['?limit='],
    ['?status=playable'],
    ['?status=verified&status=active'],
    ['?camera='],
    ['?camera=a%00b'],
    ['?category=%0A'],
    ['?from=yesterday'],
    ['?from=2026-11-25'],
    ['?to=2026-02-30T00:00:00Z'],
    ['?cursor=!'],
    [`?cursor=${encodeCursor(['x', newId()])}`],
    [`?cursor=${'A'.repeat(4001)}`],
    [`?camera=${'a'.repeat(65)}`],
  ])('refuses %s', async ([query = '']) => {
    const { status, body, headers } = await system.as('investigator', 'GET', `/api/v1/recordings${query}`)
    expect({ status, type: headers.get('content-type') }).toEqual({
      status: 400,
      type: expect.stringContaining('application/problem+json'),
    })
    expect(body).toMatchObject({ code: 'bad-request', status: 400 })
  })

  test('finds names that look like something else', async () => {
    const odd = `R&D 100% "ä" ';--/..`
    const id = await catalogued(system.engines, { category: odd })
    const { items } = await list(`?category=${encodeURIComponent(odd)}`)
    expect(items.map((item) => item.id)).toEqual([id])
  })

  test.for(['admin', 'auditor'] as const)('is not for the role %s', async (role) => {
    const { status, body } = await system.as(role, 'GET', '/api/v1/recordings')
    expect(status).toBe(403)
    expect(body).toMatchObject({ code: 'not-allowed' })
  })

  test('is not for docks, and not for strangers', async () => {
    const { token } = await system.enrol()
    expect((await system.ask('GET', '/api/v1/recordings', { token })).status).toBe(403)
    expect((await system.ask('GET', '/api/v1/recordings')).status).toBe(401)
  })

  test('shows an officer their own footage alone', async () => {
    const { engines, issuer } = system
    const mine = await catalogued(engines, { camera: 'BWC-MINE' })
    const theirs = await catalogued(engines, { camera: 'BWC-THEIRS' })
    await assign(engines, 'BWC-MINE', 'PC42', '2026-11-25T00:00:00Z', null)
    const token = await issuer.tokenFor('officer', { collar_number: 'PC42' })
    const { body } = await system.ask('GET', '/api/v1/recordings', { token })
    expect(body).toMatchObject({ items: [{ id: mine, officer: 'PC42' }], nextCursor: null })
    expect((await system.ask('GET', `/api/v1/recordings/${mine}`, { token })).status).toBe(200)
    expect((await system.ask('GET', `/api/v1/recordings/${theirs}`, { token })).status).toBe(404)
  })
})

test.for([['not-an-id'], ['00000000-0000-0000-0000-000000000000'], ['..%2F..'], [newId()]])(
  'there is no recording %s',
  async ([id = '']) => {
    const { status, body } = await system.as('investigator', 'GET', `/api/v1/recordings/${id}`)
    expect(status).toBe(404)
    expect(body).toMatchObject({ code: 'not-found' })
  },
)
