import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Answer, TestApi } from '../api.ts'
import { eventually, startTestSystem } from '../system.ts'

let system: TestApi
let token: string
beforeAll(async () => {
  system = await startTestSystem()
  token = (await system.enrol()).token
})
afterAll(async () => await system[Symbol.asyncDispose]())

const codeIn = (answer: Answer): string => `${answer.status} ${String((answer.body as { code?: string }).code)}`
const reason = { reason: 'reviewed with the officer' }

/** Sends bytes under a declared digest that is not theirs, and answers the address of the upload once that was found. */
const quarantined = async (): Promise<{ upload: string; recording: string }> => {
  const b64 = (text: string) => Buffer.from(text).toString('base64')
  const declared = createHash('sha256').update(randomBytes(8)).digest('hex')
  const facts = { filename: 'BWC_0001.MP4', camera: 'CAM-Q', recordedAt: '2026-11-20T08:00:00Z', sha256: declared }
  const created = await system.ask('POST', '/api/v1/uploads', {
    token,
    body: `bytes ${declared}`,
    headers: {
      'tus-resumable': '1.0.0',
      'content-type': 'application/offset+octet-stream',
      'upload-length': '70',
      'upload-metadata': Object.entries(facts)
        .map(([key, value]) => `${key} ${b64(value)}`)
        .join(','),
    },
  })
  expect(created.status, created.text).toBe(201)
  const upload = new URL(created.headers.get('location') ?? '').pathname
  await eventually('the quarantine', async () =>
    (await system.ask('GET', `${upload}/receipt`, { token })).status === 422 ? true : undefined,
  )
  const list = await system.as('supervisor', 'GET', '/api/v1/uploads?state=quarantined&limit=200')
  const { items } = list.body as { items: { id: string; recordingId: string }[] }
  const found = items.find(({ id }) => upload.endsWith(id))
  if (found === undefined) throw new Error('the work list does not name the quarantined upload')
  return { upload, recording: `/api/v1/recordings/${found.recordingId}` }
}

test('quarantined footage is seen, and never served', async () => {
  const { recording } = await quarantined()
  expect((await system.as('investigator', 'GET', recording)).body).toMatchObject({
    status: 'quarantined',
    quarantinedBecause: 'digest-mismatch',
  })
  expect(codeIn(await system.as('investigator', 'POST', `${recording}/downloads`, { reason: 'r' }))).toBe(
    '422 quarantined',
  )
})

test('a supervisor accepts it with a reason under the digest that was read, and the dock gets its receipt', async () => {
  const { upload, recording } = await quarantined()
  expect((await system.as('investigator', 'POST', `${recording}/acceptance`, reason)).status).toBe(403)
  expect(codeIn(await system.as('supervisor', 'POST', `${recording}/acceptance`, { reason: '  ' }))).toBe(
    '400 bad-request',
  )
  expect((await system.as('supervisor', 'POST', `${recording}/acceptance`, reason)).status).toBe(202)
  await eventually('the receipt', async () =>
    (await system.ask('GET', `${upload}/receipt`, { token })).status === 200 ? true : undefined,
  )
  const seen = await eventually('the examination', async () => {
    const { body } = await system.as('supervisor', 'GET', recording)
    return (body as { status: string }).status === 'active' ? (body as { flags: string[] }) : undefined
  })
  expect(seen.flags).toContain('digest_disputed')
  expect(codeIn(await system.as('supervisor', 'POST', `${recording}/acceptance`, reason))).toBe('409 conflict')
})

test('a discard takes two supervisors', async () => {
  const { recording } = await quarantined()
  const second = await system.issuer.tokenFor('supervisor', { sub: 'another' })
  expect((await system.as('supervisor', 'POST', `${recording}/discard`, reason)).status).toBe(202)
  expect(codeIn(await system.as('supervisor', 'POST', `${recording}/discard/approval`, reason))).toBe('409 same-person')
  expect((await system.ask('POST', `${recording}/discard/approval`, { token: second, json: reason })).status).toBe(202)
  expect((await system.as('investigator', 'GET', recording)).body).toMatchObject({ quarantinedBecause: 'discarded' })
})

test('an upload that is still open is not for keeping', async () => {
  const b64 = (text: string) => Buffer.from(text).toString('base64')
  const created = await system.ask('POST', '/api/v1/uploads', {
    token,
    headers: {
      'tus-resumable': '1.0.0',
      'upload-length': '5',
      'upload-metadata': `filename ${b64('a')},camera ${b64('C')},recordedAt ${b64('2026-11-20T08:00:00Z')}`,
    },
  })
  const path = new URL(created.headers.get('location') ?? '').pathname
  expect(codeIn(await system.as('supervisor', 'POST', `${path}/keep`, reason))).toBe('409 conflict')
  expect(
    codeIn(await system.as('supervisor', 'POST', '/api/v1/uploads/01a210b5-71fb-7f41-a9bd-e7887a43b24c/keep', reason)),
  ).toBe('404 not-found')
})

test('an admin sees the jobs, page by page, and nobody else does', async () => {
  await quarantined()
  const first = await system.as('admin', 'GET', '/api/v1/jobs?limit=1')
  expect(first.status, first.text).toBe(200)
  const { items, nextCursor } = first.body as { items: object[]; nextCursor: string | null }
  expect(items).toHaveLength(1)
  expect(nextCursor).toEqual(expect.any(String))
  expect((await system.as('admin', 'GET', `/api/v1/jobs?limit=1&cursor=${nextCursor}`)).status).toBe(200)
  expect((await system.as('supervisor', 'GET', '/api/v1/jobs')).status).toBe(403)
  expect(codeIn(await system.as('admin', 'POST', '/api/v1/jobs/01a210b5-71fb-7f41-a9bd-e7887a43b24c/retry'))).toBe(
    '404 not-found',
  )
})
