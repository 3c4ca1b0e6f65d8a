import { connect } from 'node:net'
import { Writable } from 'node:stream'
import fastify from 'fastify'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeApp } from '../../src/api/app.ts'
import { keepRouteTable } from '../../src/api/route-table.ts'
import { newId } from '../../src/base/ids.ts'
import { startTestApi, type TestApi } from '../api.ts'

let test: TestApi
const lines: string[] = []

beforeAll(async () => {
  const log = pino(
    { level: 'debug' },
    new Writable({
      write: (line, _encoding, done) => {
        lines.push(String(line))
        done()
      },
    }),
  )
  test = await startTestApi({ log })
})
afterAll(async () => await test[Symbol.asyncDispose]())

const camera = { serial: 'BWC-1', model: 'Sentinel' }
const post = async (body: string, headers: Record<string, string> = {}) =>
  await test.ask('POST', '/api/v1/cameras', { token: await test.issuer.tokenFor('admin'), body, headers })

/** Sends raw bytes and gives what comes back until the server is silent for a moment or closes. */
const raw = async (text: string, until: RegExp): Promise<string> => {
  const { hostname, port } = new URL(test.api.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => undefined)
  let answer = ''
  socket.write(text)
  for await (const chunk of socket) {
    answer += String(chunk)
    if (until.test(answer)) break
  }
  socket.destroy()
  return answer
}

describe('a refusal', () => {
  it('is a problem document with a stable code, what to do next, and the id of the request', async () => {
    const { status, headers, body } = await test.ask('GET', '/api/v1/me')
    expect(status).toBe(401)
    expect(headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(headers.get('www-authenticate')).toBe('Bearer')
    expect(body).toEqual({
      type: 'urn:exhibit:problem:token-needed',
      title: expect.any(String),
      status: 401,
      detail: expect.any(String),
      code: 'token-needed',
      next: expect.any(String),
      requestId: headers.get('x-request-id'),
    })
  })

  it.each([
    ['an address that names nothing', 'GET', '/api/v1/nothing', 404, 'not-found'],
    ['an id that is none', 'POST', '/api/v1/docks/17/suspension', 404, 'not-found'],
    ['an address with a broken escape', 'GET', '/api/v1/%zz', 400, 'bad-request'],
    ['a NUL in the address', 'PUT', '/api/v1/cameras/a%00b/assignment', 400, 'bad-request'],
    ['a very long address', 'PUT', `/api/v1/cameras/${'x'.repeat(3000)}/assignment`, 404, 'not-found'],
    ['an unknown query key', 'GET', '/api/v1/docks?colour=red', 400, 'bad-request'],
    ['an unknown query key where none is taken', 'GET', '/api/v1/me?x=1', 400, 'bad-request'],
    ['a limit that is no number', 'GET', '/api/v1/docks?limit=many', 400, 'bad-request'],
    ['a limit out of range', 'GET', '/api/v1/docks?limit=201', 400, 'bad-request'],
    ['a repeated query key', 'GET', '/api/v1/docks?limit=1&limit=2', 400, 'bad-request'],
    ['a cursor of its own making', 'GET', '/api/v1/docks?cursor=abc', 400, 'bad-request'],
  ])('answers %s', async (_what, method, path, status, code) => {
    const json = path.includes('assignment') ? { officer: '1', from: '2026-01-01T00:00:00Z' } : undefined
    const answer = await test.as('admin', method, path, json)
    expect(answer).toMatchObject({ status: path.includes('%00') ? expect.any(Number) : status })
    expect(answer.body).toMatchObject({
      code: path.includes('%00') ? expect.stringMatching(/bad-request|not-found/) : code,
    })
  })

  it('names the methods that are offered when the one used is not', async () => {
    const answer = await test.as('admin', 'PATCH', '/api/v1/docks')
    expect(answer).toMatchObject({ status: 405, body: { code: 'method-not-allowed' } })
    expect(answer.headers.get('allow')).toBe('GET, HEAD, POST')
  })

  it('never tells SQL, a path or a stack, and the cause is in the log', async () => {
    const app = await makeApp({
      ...test.engines,
      config: { ...test.engines.config, OIDC_ISSUER: 'http://127.0.0.1:9' },
    })
    const token = await test.issuer.tokenFor('admin', {}, { issuer: 'http://127.0.0.1:9' })
    const answer = await app.inject({ url: '/api/v1/me', headers: { authorization: `Bearer ${token}` } })
    await app.close()
    expect(answer.statusCode).toBeGreaterThanOrEqual(500)
    expect(answer.headers['retry-after']).toBe('5')
    expect(answer.body).not.toMatch(/ECONN|fetch|node:|\.ts|select/)
  })
})

describe('a JSON body', () => {
  it.each([
    ['that is not JSON', '{"serial":', 400, 'bad-request'],
    ['that is not an object', '[]', 400, 'bad-request'],
    ['that is missing', '', 400, 'bad-request'],
    ['that lacks a member', '{"serial":"a"}', 400, 'bad-request'],
    ['with a member of the wrong type', '{"serial":"a","model":7}', 400, 'bad-request'],
    ['with an unknown member', JSON.stringify({ ...camera, colour: 'red' }), 400, 'bad-request'],
    ['with a NUL in it', JSON.stringify({ ...camera, model: 'a\0b' }), 400, 'bad-request'],
    ['with half a surrogate pair in it', '{"serial":"a","model":"\\ud800"}', 400, 'bad-request'],
    ['with __proto__ in it', '{"serial":"a","model":"b","__proto__":{}}', 400, 'bad-request'],
    ['that is too deep', `${'['.repeat(5000)}${']'.repeat(5000)}`, 400, 'bad-request'],
    ['that is too big', JSON.stringify({ ...camera, model: 'x'.repeat(2 ** 21) }), 413, 'too-large'],
  ])('%s is refused', async (_what, body, status, code) => {
    expect(await post(body)).toMatchObject({ status, body: { code } })
  })

  it('of another content type is refused', async () => {
    expect(await post('<camera/>', { 'content-type': 'application/xml' })).toMatchObject({
      status: 415,
      body: { code: 'media-type' },
    })
  })

  it('that is too big and comes without a length is refused', async () => {
    const token = await test.issuer.tokenFor('admin')
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    const head = `POST /api/v1/cameras HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`
    expect(await raw(head + chunk.repeat(20), /"code":"[^"]+"/)).toMatch(/^HTTP\/1\.1 413 .*"code":"too-large"/s)
  })

  it('says what is wrong in one sentence', async () => {
    const { body } = await post(JSON.stringify({ ...camera, colour: 'red' }))
    expect(body).toMatchObject({ detail: 'The body has an unknown member: "colour".' })
  })

  it('where none is expected is refused', async () => {
    const answer = await test.as('admin', 'DELETE', `/api/v1/docks/${newId()}/suspension`, { reason: 'x' })
    expect(answer).toMatchObject({ status: 400, body: { code: 'bad-request' } })
  })

  it('may be left out where all its members may', async () => {
    const { id } = await test.enrol()
    const token = await test.issuer.tokenFor('admin')
    const headers = { 'content-type': 'application/json' }
    expect((await test.ask('POST', `/api/v1/docks/${id}/suspension`, { token, headers })).status).toBe(204)
    expect((await test.ask('POST', `/api/v1/docks/${id}/suspension`, { token, body: '{}' })).status).toBe(204)
  })

  it('that was refused leaves the process serving the next request', async () => {
    expect((await post('{')).status).toBe(400)
    expect((await test.as('admin', 'GET', '/api/v1/me')).status).toBe(200)
  })
})

describe('before a body is read', () => {
  const head = (authorization: string, more = '') =>
    `PATCH /api/v1/uploads/${newId()} HTTP/1.1\r\nhost: x\r\n${authorization}content-type: application/offset+octet-stream\r\ncontent-length: 67108864\r\n${more}\r\n`

  it('a caller without a token is answered', async () => {
    expect(await raw(head(''), /"code":"[^"]+"/)).toMatch(/^HTTP\/1\.1 401 .*"code":"token-needed"/s)
  })

  it('a caller who may not call the route is answered', async () => {
    const token = await test.issuer.tokenFor('investigator')
    expect(await raw(head(`authorization: Bearer ${token}\r\n`), /"code":"[^"]+"/)).toMatch(/"code":"not-allowed"/)
  })

  it('that was announced with Expect, a caller without a token is not asked for it', async () => {
    const answer = await raw(head('', 'expect: 100-continue\r\n'), /"code":"[^"]+"/)
    expect(answer).toMatch(/^HTTP\/1\.1 401 /)
  })

  it('that was announced with Expect, a caller who may send it is asked for it', async () => {
    const token = await test.issuer.tokenFor('admin')
    const body = JSON.stringify({ serial: 'BWC-EXPECT', model: 'Sentinel' })
    const text = `POST /api/v1/cameras HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nexpect: 100-continue\r\n\r\n${body}`
    expect(await raw(text, /"serial"/)).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 /)
  })
})

describe('what is not HTTP', () => {
  it('is answered with a problem document', async () => {
    expect(await raw('BLURB\r\n\r\n', /"code":"[^"]+"/)).toMatch(
      /^HTTP\/1\.1 400 .*application\/problem\+json.*"bad-request"/s,
    )
  })

  it('because its headers are too large, is told so', async () => {
    const text = `GET /api/v1/me HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(70_000)}\r\n\r\n`
    expect(await raw(text, /"code":"[^"]+"/)).toMatch(/^HTTP\/1\.1 431 .*"headers-too-large"/s)
  })
})

describe('the pages about itself', () => {
  it('say that it is alive', async () => {
    expect(await test.ask('GET', '/healthz')).toMatchObject({ status: 200, body: { status: 'alive' } })
  })

  it('name each dependency and how it is', async () => {
    const { status, body } = await test.ask('GET', '/readyz')
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        status: 'ready',
        dependencies: {
          database: { ok: true, says: 'answers' },
          store: { ok: true, says: expect.stringContaining('versions') },
          issuer: { ok: true, says: 'answers' },
          sandbox: { ok: true, says: expect.stringContaining('ffmpeg') },
          ledger: { ok: true, says: 'not begun: the first worker begins it' },
          partitions: { ok: true, says: expect.stringContaining('months ahead') },
          purges: { ok: true, says: 'no purge was started yet' },
          redis: { ok: true, says: 'answers' },
        },
      },
    })
  })

  it('say which dependency is away, and whether work goes on without it', async () => {
    const away = async (): Promise<string> => await Promise.reject(new Error('secret://address'))
    const without = async (name: string) => {
      const app = await makeApp(test.engines, { readiness: { [name]: away } })
      const answer = await app.inject('/readyz')
      await app.close()
      return { status: answer.statusCode, body: answer.json() }
    }
    const gone = { ok: false, says: 'does not answer' }
    expect(await without('redis')).toMatchObject({
      status: 200,
      body: { status: 'degraded', dependencies: { redis: gone } },
    })
    expect(await without('store')).toMatchObject({
      status: 503,
      body: { status: 'unavailable', dependencies: { store: gone } },
    })
  })

  it('describe every route in OpenAPI 3.1, with problems, examples and who may call it', async () => {
    const { status, body } = await test.ask('GET', '/api/openapi.json')
    expect(status).toBe(200)
    expect(body).toMatchObject({
      openapi: '3.1.0',
      components: { schemas: { Problem: { type: 'object' } }, securitySchemes: { person: {}, dock: {} } },
      paths: {
        '/api/v1/docks': {
          post: {
            security: [{ person: ['admin'] }],
            requestBody: { content: { 'application/json': { example: { name: 'Front desk 1' } } } },
            responses: {
              400: { content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } },
            },
          },
        },
        '/api/v1/uploads/{id}': { patch: { security: [{ dock: [] }] } },
      },
    })
  })

  it('can be read without loading anything from elsewhere', async () => {
    const page = await test.ask('GET', '/api/docs/')
    expect(page.status).toBe(200)
    expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'; script-src 'self';/)
    const sources = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source]) => source ?? '')
    expect(sources.length).toBeGreaterThan(3)
    for (const source of sources) {
      expect(source).toMatch(/^\.\//)
      expect((await test.ask('GET', `/api/docs/${source}`)).status).toBe(200)
    }
  })

  it('publish the key that signs receipts, without a token', async () => {
    const { status, body } = await test.ask('GET', '/api/v1/ledger/keys')
    const { kid, publicJwk } = test.engines.receiptKey
    expect(status).toBe(200)
    expect(body).toEqual({
      keys: [{ ...publicJwk, kid, use: 'sig', alg: 'EdDSA', from: expect.any(String) }],
      logs: [],
    })
  })
})

describe('every answer', () => {
  it('carries headers that keep a browser from doing more with it than it should', async () => {
    const { headers } = await test.ask('GET', '/healthz')
    expect(Object.fromEntries(headers)).toMatchObject({
      'cache-control': 'no-store',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    })
  })

  it('leaves one line in the log, with the pattern of the route and ids, and without tokens', async () => {
    const token = await test.issuer.tokenFor('auditor', { name: 'Quincy Unusual' })
    lines.length = 0
    const { headers } = await test.ask('GET', '/api/v1/downloads/SECRET-TOKEN-OF-AN-ADDRESS')
    await test.ask('GET', '/api/v1/me', { token })
    const own = lines.filter((line) => line.includes(headers.get('x-request-id') ?? 'none'))
    expect(own).toHaveLength(1)
    expect(JSON.parse(own[0] ?? '')).toMatchObject({ method: 'GET', route: '/api/v1/downloads/:token', status: 404 })
    expect(lines.join('')).not.toMatch(/SECRET-TOKEN|Quincy/)
    expect(lines.join('')).not.toContain(token)
  })
})

describe('boot', () => {
  it('refuses a route that does not say who may call it', async () => {
    const bare = fastify()
    keepRouteTable(bare)
    bare.get('/open', async () => 'open')
    await expect(bare.ready()).rejects.toThrow('GET /open')
  })
})
