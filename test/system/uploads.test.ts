import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Answer, TestApi } from '../api.ts'
import { startTestSystem } from '../system.ts'
import { dockToken } from '../tokens.ts'

let system: TestApi
let token: string
let dock: Awaited<ReturnType<TestApi['enrol']>>
beforeAll(async () => {
  system = await startTestSystem({
    env: { UPLOAD_PART_MIB: '5', UPLOAD_OPEN_PER_DOCK: '40', UPLOAD_IDLE_SECONDS: '1' },
  })
  dock = await system.enrol()
  token = dock.token
})
afterAll(async () => await system[Symbol.asyncDispose]())

const b64 = (text: string | Buffer) => Buffer.from(text).toString('base64')
const tus = { 'tus-resumable': '1.0.0' }
const facts = { filename: 'BWC_0001.MP4', camera: 'CAM-1', recordedAt: '2026-11-20T08:00:00Z' }
const metadata = (more: Record<string, string> = {}) =>
  Object.entries({ ...facts, ...more })
    .map(([key, value]) => `${key} ${b64(value)}`)
    .join(',')

const codeIn = (answer: Answer): string => {
  expect(answer.headers.get('content-type')).toContain('application/problem+json')
  const { code, status, title, detail, next } = answer.body as Record<string, unknown>
  expect(status).toBe(answer.status)
  for (const words of [title, detail, next]) expect(words).toEqual(expect.any(String))
  return `${answer.status} ${String(code)}`
}

const create = async (headers: Record<string, string>, as = token): Promise<Answer> =>
  await system.ask('POST', '/api/v1/uploads', {
    token: as,
    headers: { ...tus, 'upload-metadata': metadata(), ...headers },
  })

const begin = async (size: number, more: Record<string, string> = {}, as = token): Promise<string> => {
  const answer = await create({ 'upload-length': String(size), 'upload-metadata': metadata(more) }, as)
  expect(answer.status, answer.text).toBe(201)
  return new URL(answer.headers.get('location') ?? '').pathname
}

const patch = async (
  path: string,
  offset: number | string,
  bytes: Buffer,
  headers: Record<string, string> = {},
  as = token,
): Promise<Answer> => {
  const response = await fetch(`${system.api.url}${path}`, {
    method: 'PATCH',
    headers: {
      authorization: `Bearer ${as}`,
      ...tus,
      'content-type': 'application/offset+octet-stream',
      'upload-offset': String(offset),
      ...headers,
    },
    body: new Uint8Array(bytes),
  })
  const text = await response.text()
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {}
  return { status: response.status, headers: response.headers, text, body }
}

const offsetOf = async (path: string): Promise<number> =>
  Number((await system.ask('HEAD', path, { token, headers: tus })).headers.get('upload-offset'))

const end = async (path: string) => await system.ask('DELETE', path, { token, headers: tus })

test('OPTIONS tells anyone what is offered, and no more', async () => {
  const answer = await system.ask('OPTIONS', '/api/v1/uploads')
  expect(answer.status).toBe(204)
  expect(answer.headers.get('tus-version')).toBe('1.0.0')
  expect(answer.headers.get('tus-extension')).toBe('creation,creation-with-upload,checksum,expiration,termination')
  expect(answer.headers.get('tus-checksum-algorithm')).toBe('sha256,sha1')
  expect(answer.headers.get('tus-max-size')).toBe('68719476736')
})

test('a creation answers the address, the version and when the upload expires', async () => {
  const answer = await create({ 'upload-length': '5' })
  expect(answer.status).toBe(201)
  expect(answer.headers.get('location')).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/api\/v1\/uploads\/[0-9a-f-]{36}$/)
  expect(answer.headers.get('tus-resumable')).toBe('1.0.0')
  expect(Date.parse(answer.headers.get('upload-expires') ?? '')).toBeGreaterThan(Date.now())
  await end(new URL(answer.headers.get('location') ?? '').pathname)
})

test('HEAD tells where an upload stands and is not to be cached', async () => {
  const path = await begin(10, { colour: 'blue' })
  await patch(path, 0, Buffer.from('01234'))
  const answer = await system.ask('HEAD', path, { token, headers: tus })
  expect(answer.status).toBe(200)
  expect(
    Object.fromEntries(
      ['upload-offset', 'upload-length', 'cache-control', 'tus-resumable'].map((name) => [
        name,
        answer.headers.get(name),
      ]),
    ),
  ).toEqual({
    'upload-offset': '5',
    'upload-length': '10',
    'cache-control': 'no-store',
    'tus-resumable': '1.0.0',
  })
  expect(answer.headers.get('upload-metadata')).toContain(`colour ${b64('blue')}`)
  await end(path)
})

test('another version of tus is refused with the one that is offered', async () => {
  for (const headers of [{}, { 'tus-resumable': '0.2.2' }]) {
    const answer = await system.ask('POST', '/api/v1/uploads', {
      token,
      headers: { 'upload-length': '5', 'upload-metadata': metadata(), ...headers },
    })
    expect(codeIn(answer)).toBe('412 protocol-version')
    expect(answer.headers.get('tus-version')).toBe('1.0.0')
  }
})

const badCreations: [string, Record<string, string>, string][] = [
  ['a negative length', { 'upload-length': '-1' }, '400 length-invalid'],
  ['a length with a fraction', { 'upload-length': '1.5' }, '400 length-invalid'],
  ['a length of 2^63', { 'upload-length': '9223372036854775808' }, '400 length-invalid'],
  ['no length', {}, '400 length-invalid'],
  ['a file larger than allowed', { 'upload-length': '68719476737' }, '413 too-large'],
  ['a deferred length', { 'upload-defer-length': '1' }, '400 bad-request'],
  ['a concatenation', { 'upload-length': '5', 'upload-concat': 'partial' }, '400 bad-request'],
  [
    'metadata that is not base64',
    { 'upload-length': '5', 'upload-metadata': `${metadata()},x !!` },
    '400 metadata-invalid',
  ],
  [
    'metadata that repeats a key',
    { 'upload-length': '5', 'upload-metadata': `${metadata()},camera ${b64('CAM-2')}` },
    '400 metadata-invalid',
  ],
  [
    'metadata with control characters',
    { 'upload-length': '5', 'upload-metadata': `${metadata()},x ${b64('a\u0000')}` },
    '400 metadata-invalid',
  ],
  [
    'metadata without a camera',
    { 'upload-length': '5', 'upload-metadata': `filename ${b64('a')},recordedAt ${b64('2026-11-20T08:00:00Z')}` },
    '400 metadata-invalid',
  ],
  [
    'metadata of 9 KiB',
    { 'upload-length': '5', 'upload-metadata': metadata({ x: 'a'.repeat(9 * 1024) }) },
    '400 metadata-invalid',
  ],
  [
    'metadata of 64 KiB',
    { 'upload-length': '5', 'upload-metadata': metadata({ x: 'a'.repeat(48 * 1024) }) },
    '431 headers-too-large',
  ],
]
test.each(badCreations)('a creation with %s is refused', async (_what, headers, code) => {
  expect(codeIn(await create(headers))).toBe(code)
  expect((await system.ask('GET', '/healthz')).status).toBe(200)
})

test.each(['../../x', '/etc/passwd', '\u202Egpj.exe', '<script>alert(1)</script>.mp4', 'n'.repeat(4096), '..\\..\\x'])(
  'a file name is kept as data whatever it looks like: %j',
  async (filename) => {
    const path = await begin(1, { filename })
    const seen = await system.ask('HEAD', path, { token, headers: tus })
    expect(seen.headers.get('upload-metadata')).toContain(b64(filename))
    await end(path)
  },
)

test('a wrong offset is refused with the right one, and nothing moves', async () => {
  const path = await begin(10)
  await patch(path, 0, Buffer.from('01234'))
  const answer = await patch(path, 3, Buffer.from('34567'))
  expect(codeIn(answer)).toBe('409 offset-mismatch')
  expect(answer.body).toMatchObject({ offset: 5 })
  expect(codeIn(await patch(path, '-1', Buffer.from('x')))).toBe('400 length-invalid')
  expect(await offsetOf(path)).toBe(5)
  await end(path)
})

test('bytes under another content type, or beyond the declared length, are refused', async () => {
  const path = await begin(5)
  expect(codeIn(await patch(path, 0, Buffer.from('01234'), { 'content-type': 'application/octet-stream' }))).toBe(
    '415 media-type',
  )
  expect(codeIn(await patch(path, 0, Buffer.from('012345')))).toBe('413 too-large')
  expect(await offsetOf(path)).toBe(0)
  await end(path)
})

test('a wrong digest is 460 and moves nothing; the same bytes under the right one go through', async () => {
  const path = await begin(5)
  const bytes = Buffer.from('01234')
  const right = createHash('sha256').update(bytes).digest('base64')
  const wrong = createHash('sha256').update('other').digest('base64')
  expect(codeIn(await patch(path, 0, bytes, { 'upload-checksum': `sha256 ${wrong}` }))).toBe('460 checksum-mismatch')
  expect(await offsetOf(path)).toBe(0)
  expect(codeIn(await patch(path, 0, bytes, { 'upload-checksum': 'crc32 AAAA' }))).toBe('400 unknown-digest-algorithm')
  expect(codeIn(await patch(path, 0, bytes, { 'upload-checksum': 'sha256 nonsense' }))).toBe('400 bad-request')
  expect((await patch(path, 0, bytes, { 'upload-checksum': `sha256 ${right}` })).status).toBe(204)
})

test('a creation may carry the first bytes; under a wrong digest the upload is there and empty', async () => {
  const bytes = Buffer.from('0123456789')
  const checksum = `sha256 ${createHash('sha256').update('other').digest('base64')}`
  const headers = { 'upload-length': '10', 'content-type': 'application/offset+octet-stream' }
  const good = await system.ask('POST', '/api/v1/uploads', {
    token,
    body: bytes.toString(),
    headers: { ...tus, ...headers, 'upload-metadata': metadata() },
  })
  expect([good.status, good.headers.get('upload-offset')]).toEqual([201, '10'])
  const bad = await system.ask('POST', '/api/v1/uploads', {
    token,
    body: bytes.toString(),
    headers: { ...tus, ...headers, 'upload-metadata': metadata(), 'upload-checksum': checksum },
  })
  expect(codeIn(bad)).toBe('460 checksum-mismatch')
  const path = new URL(bad.headers.get('location') ?? '').pathname
  expect(await offsetOf(path)).toBe(0)
  await end(path)
})

test("another dock's upload is not there for reading, writing or ending", async () => {
  const path = await begin(5)
  const other = (await system.enrol()).token
  expect((await system.ask('HEAD', path, { token: other, headers: tus })).status).toBe(404)
  expect(codeIn(await patch(path, 0, Buffer.from('01234'), {}, other))).toBe('404 not-found')
  expect(codeIn(await system.ask('DELETE', path, { token: other, headers: tus }))).toBe('404 not-found')
  expect(await offsetOf(path)).toBe(0)
  await end(path)
})

test('an upload that its dock ended is gone', async () => {
  const path = await begin(5)
  expect((await end(path)).status).toBe(204)
  expect(codeIn(await patch(path, 0, Buffer.from('01234')))).toBe('410 gone')
})

test('footage that arrived whole cannot be ended by its dock', async () => {
  const path = await begin(5)
  await patch(path, 0, randomBytes(5))
  expect(codeIn(await end(path))).toBe('409 conflict')
})

test('a dock that creates a thousand uploads and leaves them has as many as it may, and others are served', async () => {
  const { token: hoarder } = await system.enrol()
  const answers = await Promise.all(
    Array.from({ length: 1000 }, async () => await create({ 'upload-length': '5' }, hoarder)),
  )
  expect(answers.filter((answer) => answer.status === 201)).toHaveLength(40)
  const refused = answers.filter((answer) => answer.status !== 201)
  expect(new Set(refused.map(codeIn))).toEqual(new Set(['429 too-many-uploads']))
  expect(refused[0]?.headers.get('retry-after')).not.toBeNull()
  const other = (await system.enrol()).token
  await end(await begin(5, {}, other))
})

test('a client that goes silent is ended with what it sent kept, and others are served meanwhile', async () => {
  const path = await begin(100)
  const { port } = new URL(system.api.url)
  const socket = connect(Number(port), '127.0.0.1')
  const heard = new Promise<string>((resolve) => {
    let text = ''
    socket
      .on('data', (chunk) => {
        text += chunk.toString()
      })
      .on('close', () => resolve(text))
      .on('error', () => resolve(text))
  })
  socket.write(
    `PATCH ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ntus-resumable: 1.0.0\r\ncontent-type: application/offset+octet-stream\r\nupload-offset: 0\r\ncontent-length: 100\r\nconnection: close\r\n\r\n0123456789`,
  )
  expect((await system.ask('GET', '/healthz')).status).toBe(200)
  expect(await heard).toContain('408')
  expect(await offsetOf(path)).toBe(10)
  await end(path)
})

test('a connection cut in the middle keeps what came without a digest, and drops what came under one', async () => {
  for (const [checksum, kept] of [
    ['', 10],
    [`upload-checksum: sha256 ${createHash('sha256').update('x').digest('base64')}\r\n`, 0],
  ] as const) {
    const path = await begin(100)
    const socket = connect(Number(new URL(system.api.url).port), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(
      `PATCH ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ntus-resumable: 1.0.0\r\ncontent-type: application/offset+octet-stream\r\nupload-offset: 0\r\n${checksum}content-length: 100\r\n\r\n0123456789`,
    )
    await new Promise((resolve) => setTimeout(resolve, 300))
    socket.resetAndDestroy()
    await expect.poll(async () => await offsetOf(path), { timeout: 5000 }).toBe(kept)
    await end(path)
  }
})

test('replacing the key of a dock ends its uploads under the old key at once', async () => {
  const enrolled = await system.enrol()
  const path = await begin(5, {}, enrolled.token)
  const { makeDockKey } = await import('../tokens.ts')
  const fresh = makeDockKey()
  expect(
    (await system.as('admin', 'PUT', `/api/v1/docks/${enrolled.id}/key`, { publicKey: fresh.publicKey })).status,
  ).toBeLessThan(300)
  expect(codeIn(await patch(path, 0, Buffer.from('01234'), {}, enrolled.token))).toBe('401 token-invalid')
  expect((await patch(path, 0, Buffer.from('01234'), {}, await dockToken(enrolled.id, fresh))).status).toBe(204)
})

test('a PATCH may come as a POST that says so, where a proxy lets no PATCH through', async () => {
  const path = await begin(5)
  const response = await fetch(`${system.api.url}${path}`, {
    method: 'POST',
    body: '01234',
    headers: {
      authorization: `Bearer ${token}`,
      ...tus,
      'x-http-method-override': 'PATCH',
      'content-type': 'application/offset+octet-stream',
      'upload-offset': '0',
    },
  })
  expect(response.status).toBe(204)
})

test('a refused body of gigabytes is not read to its end', async () => {
  const path = await begin(60_000_000_000)
  const { port } = new URL(system.api.url)
  const socket = connect(Number(port), '127.0.0.1')
  let answer = ''
  let sent = 0
  const over = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      answer += chunk.toString()
    })
    socket.on('error', () => undefined).on('close', () => resolve())
  })
  socket.write(
    `PATCH ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ntus-resumable: 1.0.0\r\ncontent-type: application/offset+octet-stream\r\nupload-offset: 7\r\ncontent-length: 59000000000\r\n\r\n`,
  )
  const more = () => {
    while (!socket.destroyed && sent < 59_000_000_000 && socket.write(Buffer.alloc(1024 * 1024))) sent += 1024 * 1024
  }
  socket.on('drain', more)
  more()
  await over
  expect(answer).toContain('offset-mismatch')
  expect(sent).toBeLessThan(30_000_000_000)
  await end(path)
})
