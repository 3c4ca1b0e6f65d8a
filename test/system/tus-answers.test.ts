import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId, type UploadId } from '../../src/base/ids.ts'
import type { Answer, TestApi } from '../api.ts'
import { startTestApi } from '../api.ts'

const hour = 3_600_000
let aheadMs = 0
const clock = {
  now: () => new Date(Date.now() + aheadMs),
  instant: () => Temporal.Instant.fromEpochMilliseconds(Date.now() + aheadMs),
}
let api: TestApi
let dock: Awaited<ReturnType<TestApi['enrol']>>
beforeAll(async () => {
  api = await startTestApi({ clock, env: { RATE_DOCK: '20' } })
  dock = await api.enrol()
})
afterAll(async () => await api[Symbol.asyncDispose]())

const tus = { 'tus-resumable': '1.0.0' }
const chunk = { ...tus, 'content-type': 'application/offset+octet-stream' }
const b64 = (text: string) => Buffer.from(text).toString('base64')
const metadata = `filename ${b64('a.mp4')},camera ${b64('CAM-1')},recordedAt ${b64('2026-11-20T08:00:00Z')}`
const creating = (length: number) => ({ 'upload-length': String(length), 'upload-metadata': metadata })

const begin = async (length: number): Promise<string> => {
  const answer = await api.ask('POST', '/api/v1/uploads', {
    token: dock.token,
    headers: { ...tus, ...creating(length) },
  })
  expect(answer.status, answer.text).toBe(201)
  return new URL(answer.headers.get('location') ?? '').pathname
}

const send = async (path: string, offset: number, body: string): Promise<Answer> =>
  await api.ask('PATCH', path, {
    token: dock.token,
    body,
    headers: { ...chunk, 'upload-offset': String(offset) },
  })

const countUploads = async (): Promise<number> =>
  Number(
    (
      await api.engines.db
        .selectFrom('uploads')
        .select((eb) => eb.fn.countAll().as('n'))
        .executeTakeFirstOrThrow()
    ).n,
  )

test('every answer says which version of tus it speaks, refusals before the protocol is looked at included', async () => {
  const path = await begin(10)
  const { token } = await api.enrol()
  const stranger = await api.ask('PATCH', path, { headers: { ...chunk, 'upload-offset': '0' } })
  const person = await api.ask('HEAD', path, { token: await api.issuer.tokenFor('officer'), headers: tus })
  const nothing = await api.ask('HEAD', `/api/v1/uploads/${newId<UploadId>()}`, { token: dock.token, headers: tus })
  const noId = await api.ask('HEAD', '/api/v1/uploads/none', { token: dock.token, headers: tus })
  const flood = await Promise.all(
    Array.from({ length: 40 }, async () => await api.ask('HEAD', path, { token, headers: tus })),
  )
  const refused = flood.filter(({ status }) => status === 429)
  expect(refused.length).toBeGreaterThan(0)
  expect([stranger.status, person.status, nothing.status, noId.status]).toEqual([401, 403, 404, 404])
  for (const { headers, status } of [stranger, person, nothing, noId, ...refused])
    expect(headers.get('tus-resumable'), String(status)).toBe('1.0.0')
})

test('a PATCH says when the upload expires from now on, and the last one that it no longer does', async () => {
  const path = await begin(10)
  aheadMs = 2 * 60_000
  try {
    const first = await send(path, 0, '01234')
    expect(first.status).toBe(204)
    const expires = Date.parse(first.headers.get('upload-expires') ?? '')
    const { UPLOAD_EXPIRES_HOURS } = api.engines.config
    expect(Math.abs(expires - (clock.now().getTime() + UPLOAD_EXPIRES_HOURS * hour))).toBeLessThan(60_000)
    const last = await send(path, 5, '56789')
    expect(last.headers.get('upload-offset')).toBe('10')
    expect(last.headers.get('upload-expires')).toBeNull()
  } finally {
    aheadMs = 0
  }
})

test.each([0, 10])(
  'a creation of %d bytes that carries more than it declares is refused and leaves no upload open',
  async (length) => {
    const before = await countUploads()
    const answer = await api.ask('POST', '/api/v1/uploads', {
      token: dock.token,
      body: randomBytes(20).toString('hex'),
      headers: { ...chunk, ...creating(length) },
    })
    expect(answer.status).toBe(413)
    expect(await countUploads()).toBe(before)
  },
)

test('an empty chunk at the right offset is taken, before and after the last byte', async () => {
  const path = await begin(3)
  expect((await send(path, 0, '')).status).toBe(204)
  expect((await send(path, 0, 'abc')).status).toBe(204)
  expect((await send(path, 3, '')).status).toBe(204)
  expect((await send(path, 2, '')).status).toBe(409)
})

test.each([
  ['-271821-04-20T00:00:00.000Z', 'a'.repeat(64)],
  ['2026-11-20T08:00:00.000Z', '\0'],
])('a cursor that no page gave (%j, %j) is refused in words', async (...keys) => {
  const cursor = Buffer.from(JSON.stringify(keys)).toString('base64url')
  const { token } = await api.enrol()
  const answer = await api.ask('GET', `/api/v1/cameras/CAM-1/shortfall?cursor=${cursor}`, { token })
  expect(answer.status).toBe(400)
})
