import { randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/base/digest.ts'
import type { RecordingId } from '../../src/base/ids.ts'
import { DownloadView } from '../../src/downloads/schemas.ts'
import type { Clock } from '../../src/engines/clock.ts'
import { roles } from '../../src/people/role.ts'
import { startTestApi, type TestApi } from '../api.ts'
import { catalogued, kept } from '../catalogued.ts'
import { type StoreProxy, storeProxy } from '../store-proxy.ts'

const mib = 1024 * 1024
const bytes = randomBytes(3 * mib + 11)
const original = { digest: sha256(bytes).toString('hex'), repr: `sha-256=:${sha256(bytes).toString('base64')}:` }
let aheadMs = 0
const clock: Clock = {
  now: () => new Date(Date.now() + aheadMs),
  instant: () => Temporal.Now.instant().add({ milliseconds: aheadMs }),
}
const logged: string[] = []
const log = pino(
  { level: 'trace' },
  new Writable({
    write: (line, _encoding, done) => {
      logged.push(String(line))
      done()
    },
  }),
)

let api: TestApi
let id: RecordingId
beforeAll(async () => {
  api = await startTestApi({ clock, log })
  id = await kept(api.engines, bytes, { filename: '../../x"\u202E\r\n.mp4', mediaType: 'video/mp4' })
})
afterAll(async () => await api[Symbol.asyncDispose]())

const addressOf = async (recording = id, from = api): Promise<string> => {
  const asked = { reason: 'case 12/3456' }
  const { body, text } = await from.as('investigator', 'POST', `/api/v1/recordings/${recording}/downloads`, asked)
  if (!Value.Check(DownloadView, body)) throw new Error(`no address was given: ${text}`)
  return body.url
}
const got = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer())
const problemIn = async (response: Response) => ({ status: response.status, code: Object(await response.json()).code })

describe('asking for a download', () => {
  test('gives an absolute address that is not to be kept by anyone on the way', async () => {
    const asked = { reason: 'case 12/3456' }
    const { status, headers, body } = await api.as('supervisor', 'POST', `/api/v1/recordings/${id}/downloads`, asked)
    expect(status).toBe(201)
    expect(Value.Check(DownloadView, body)).toBe(true)
    expect(body).toMatchObject({ sha256: original.digest, size: bytes.length })
    expect(headers.get('location')).toBe(Object(body).url)
    expect(headers.get('cache-control')).toContain('no-store')
  })

  test('is for investigators and supervisors', async () => {
    const asked = { reason: 'case 12/3456' }
    const answers = await Promise.all(
      roles.map(async (role) => {
        const { status } = await api.as(role, 'POST', `/api/v1/recordings/${id}/downloads`, asked)
        return [role, status] as const
      }),
    )
    expect(answers.filter(([, status]) => status === 201).map(([role]) => role)).toEqual(['investigator', 'supervisor'])
    expect(new Set(answers.map(([, status]) => status))).toEqual(new Set([201, 403]))
    expect((await api.ask('POST', `/api/v1/recordings/${id}/downloads`, { json: asked })).status).toBe(401)
  })

  test.for([
    [{}],
    [{ reason: '' }],
    [{ reason: '  ' }],
    [{ reason: 'x'.repeat(501) }],
    [{ reason: 7 }],
    [{ reason: ['case'] }],
    [{ reason: 'a\u0000b' }],
    [{ reason: 'case', also: 'this' }],
  ])('refuses the body %j', async ([body]) => {
    const { status } = await api.as('investigator', 'POST', `/api/v1/recordings/${id}/downloads`, body)
    expect(status).toBe(400)
  })

  test('refuses a reason that is no text', async () => {
    const token = await api.issuer.tokenFor('investigator')
    const body = String.raw`{"reason":"case \ud800"}`
    expect((await api.ask('POST', `/api/v1/recordings/${id}/downloads`, { token, body })).status).toBe(400)
  })

  test('too early is told when to come again', async () => {
    const early = await catalogued(api.engines, { status: 'received' })
    const asked = { reason: 'case 12/3456' }
    const { status, headers } = await api.as('investigator', 'POST', `/api/v1/recordings/${early}/downloads`, asked)
    expect({ status, retryAfter: headers.get('retry-after') }).toEqual({ status: 409, retryAfter: '5' })
  })
})

describe('an address', () => {
  test('serves the original to anyone who has it, again and again', async () => {
    const url = await addressOf()
    for (let time = 0; time < 3; time++) {
      const response = await fetch(url)
      expect(response.status).toBe(200)
      expect((await got(response)).equals(bytes)).toBe(true)
    }
  })

  test('says all there is to know of the file, to HEAD too', async () => {
    const url = await addressOf()
    for (const method of ['HEAD', 'GET']) {
      const response = await fetch(url, { method })
      expect(response.status).toBe(200)
      expect(Object.fromEntries(response.headers)).toMatchObject({
        'accept-ranges': 'bytes',
        'cache-control': 'private, no-store',
        'content-disposition': `attachment; filename="_.._x____.mp4"; filename*=UTF-8''_.._x____.mp4`,
        'content-length': String(bytes.length),
        'content-type': 'video/mp4',
        etag: `"${original.digest}"`,
        'referrer-policy': 'no-referrer',
        'repr-digest': original.repr,
        'x-content-type-options': 'nosniff',
      })
      expect(await got(response)).toHaveLength(method === 'HEAD' ? 0 : bytes.length)
    }
  })

  test.for<[string, number, number]>([
    ['bytes=0-0', 0, 0],
    ['bytes=1000000-2000000', 1_000_000, 2_000_000],
    [`bytes=${bytes.length - 1}-`, bytes.length - 1, bytes.length - 1],
    ['bytes=-100', bytes.length - 100, bytes.length - 1],
    ['bytes=3000000-99999999', 3_000_000, bytes.length - 1],
  ])('serves the range %s', async ([range, first, last]) => {
    const response = await fetch(await addressOf(), { headers: { range } })
    expect(response.status).toBe(206)
    expect(response.headers.get('content-range')).toBe(`bytes ${first}-${last}/${bytes.length}`)
    expect(response.headers.get('repr-digest')).toBe(original.repr)
    expect((await got(response)).equals(bytes.subarray(first, last + 1))).toBe(true)
  })

  test('refuses a range outside the file, and says how large it is', async () => {
    const response = await fetch(await addressOf(), { headers: { range: `bytes=${bytes.length}-` } })
    expect(response.headers.get('content-range')).toBe(`bytes */${bytes.length}`)
    expect(response.headers.has('repr-digest')).toBe(false)
    expect(await problemIn(response)).toEqual({ status: 416, code: 'range-not-satisfiable' })
  })

  test.for<[string, Record<string, string>, number]>([
    ['several ranges at once', { range: 'bytes=0-1,5-6' }, 200],
    ['a range that is none', { range: 'bytes=x' }, 200],
    ['a range of another file', { range: 'bytes=0-1', 'if-range': '"other"' }, 200],
    ['a range of this file', { range: 'bytes=0-1', 'if-range': `"${original.digest}"` }, 206],
  ])('answers %s', async ([, headers, status]) => {
    const response = await fetch(await addressOf(), { headers })
    expect(response.status).toBe(status)
    expect(await got(response)).toHaveLength(status === 200 ? bytes.length : 2)
  })

  test('means no range to HEAD', async () => {
    const response = await fetch(await addressOf(), { method: 'HEAD', headers: { range: 'bytes=0-1' } })
    expect({ status: response.status, length: response.headers.get('content-length') }).toEqual({
      status: 200,
      length: String(bytes.length),
    })
  })

  test('serves an empty file', async () => {
    const response = await fetch(await addressOf(await kept(api.engines, Buffer.alloc(0))))
    expect({ status: response.status, length: response.headers.get('content-length') }).toEqual({
      status: 200,
      length: '0',
    })
    expect(response.headers.get('repr-digest')).toBe('sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:')
  })

  test('nobody was given leads nowhere', async () => {
    for (const token of ['A'.repeat(43), 'x', 'x'.repeat(1000), '..%2Frecordings', '%00']) {
      const response = await fetch(`${api.api.url}/api/v1/downloads/${token}`)
      expect(await problemIn(response)).toEqual({ status: 404, code: 'not-found' })
    }
  })

  test('takes nothing but GET and HEAD', async () => {
    const url = await addressOf()
    for (const method of ['PUT', 'DELETE', 'POST']) {
      expect(await problemIn(await fetch(url, { method }))).toEqual({ status: 405, code: 'method-not-allowed' })
    }
  })

  test('ends at its time', async () => {
    const url = await addressOf()
    try {
      aheadMs = api.engines.config.DOWNLOAD_MINUTES * 60_000 + 1000
      expect(await problemIn(await fetch(url))).toEqual({ status: 410, code: 'link-expired' })
      expect((await fetch(url, { method: 'HEAD' })).status).toBe(410)
    } finally {
      aheadMs = 0
    }
  })

  test('ends when the person who asked for it is suspended, or the recording quarantined', async () => {
    const own = await kept(api.engines, randomBytes(100))
    const url = await addressOf(own)
    const { body } = await api.as('investigator', 'GET', '/api/v1/me')
    const suspension = `/api/v1/people/${Object(body).id}/suspension`
    expect((await api.as('admin', 'POST', suspension, { reason: 'inquiry' })).status).toBe(204)
    expect(await problemIn(await fetch(url))).toEqual({ status: 403, code: 'suspended' })
    expect((await api.as('admin', 'DELETE', suspension)).status).toBe(204)
    expect((await fetch(url)).status).toBe(200)
    await api.engines.db.updateTable('recordings').set({ status: 'quarantined' }).where('id', '=', own).execute()
    expect(await problemIn(await fetch(url))).toEqual({ status: 422, code: 'quarantined' })
  })

  test('is in no line of the log', async () => {
    const url = await addressOf()
    await got(await fetch(url))
    await fetch(url, { method: 'PATCH' })
    expect(logged.join('')).toContain('/api/v1/downloads/:token')
    expect(logged.join('')).not.toContain(url.slice(url.lastIndexOf('/') + 1))
  })
})

describe('when the store fails', () => {
  const behindProxy = async (proxy: StoreProxy) =>
    await startTestApi({ env: { S3_ENDPOINT: proxy.endpoint, S3_TIMEOUT_SECONDS: '1' } })

  test('before the first byte, the answer is 503 with a time to come again, and nothing of the file', async () => {
    await using proxy = await storeProxy(api.engines.config.S3_ENDPOINT)
    await using own = await behindProxy(proxy)
    const url = await addressOf(await kept(own.engines, bytes), own)
    proxy.stop()
    const response = await fetch(url)
    expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
    for (const name of ['repr-digest', 'etag', 'content-disposition', 'accept-ranges']) {
      expect(response.headers.has(name)).toBe(false)
    }
    expect(await problemIn(response)).toEqual({ status: 503, code: 'store-unavailable' })
  })

  test('in the middle and for good, the connection breaks: a part never looks like the whole', async () => {
    await using proxy = await storeProxy(api.engines.config.S3_ENDPOINT)
    await using own = await behindProxy(proxy)
    const url = await addressOf(await kept(own.engines, randomBytes(24 * mib)), own)
    const response = await fetch(url)
    expect(response.status).toBe(200)
    proxy.stop()
    await expect(got(response)).rejects.toThrow('terminated')
  })

  test('in the middle and not for good, the client notices nothing', async () => {
    await using proxy = await storeProxy(api.engines.config.S3_ENDPOINT)
    await using own = await behindProxy(proxy)
    const url = await addressOf(await kept(own.engines, bytes), own)
    proxy.cutAfter(1_000_000)
    expect((await got(await fetch(url))).equals(bytes)).toBe(true)
  })
})

test('a client that goes away ends the read from the store', async () => {
  await using proxy = await storeProxy(api.engines.config.S3_ENDPOINT)
  await using own = await startTestApi({ env: { S3_ENDPOINT: proxy.endpoint } })
  const url = await addressOf(await kept(own.engines, randomBytes(24 * mib)), own)
  const before = proxy.ended()
  const client = new AbortController()
  const response = await fetch(url, { signal: client.signal })
  expect(response.status).toBe(200)
  client.abort()
  await expect.poll(() => proxy.ended(), { timeout: 5000 }).toBeGreaterThan(before)
})
