import { Writable } from 'node:stream'
import { pino } from 'pino'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId, type RecordingId } from '../../src/base/ids.ts'
import type { Clock } from '../../src/engines/clock.ts'
import { roles } from '../../src/people/role.ts'
import { ViewingOpened, ViewingState, ViewingView } from '../../src/viewings/schemas.ts'
import { startTestApi, type TestApi } from '../api.ts'
import { catalogued, entriesAbout } from '../catalogued.ts'
import { viewable } from '../viewable.ts'

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
  api = await startTestApi({ clock, log, env: { VIEWINGS_OPEN: '500' } })
  id = await catalogued(api.engines, { duration: 24, flags: ['silent_start'] })
  await viewable(api.engines, id)
})
afterAll(async () => await api[Symbol.asyncDispose]())

const reason = { reason: 'case 12/3456' }
const opened = async (recording = id) => {
  const { body, text } = await api.as('investigator', 'POST', `/api/v1/recordings/${recording}/viewings`, reason)
  if (!Value.Check(ViewingOpened, body)) throw new Error(`no viewing was opened: ${text}`)
  return { ...body, base: body.playerUrl.slice(0, -'player'.length) }
}
const tokenIn = (base: string): string => base.split('/').at(-2) ?? ''
const problemIn = async (response: Response) => ({ status: response.status, code: Object(await response.json()).code })
const addressesIn = (playlist: string): string[] => playlist.split('\n').filter((line) => /^[^#]/.test(line))

describe('opening a viewing', () => {
  test('gives absolute addresses that nobody on the way is to keep, and where to read of it later', async () => {
    const path = `/api/v1/recordings/${id}/viewings`
    const { status, headers, body } = await api.as('supervisor', 'POST', path, reason)
    expect(status).toBe(201)
    expect(Value.Check(ViewingOpened, body)).toBe(true)
    expect(headers.get('location')).toBe(`${api.api.url}/api/v1/viewings/${Object(body).id}`)
    expect(headers.get('cache-control')).toBe('private, no-store')
  })

  test('is for those who may see footage', async () => {
    const officers = await api.as('officer', 'POST', `/api/v1/recordings/${id}/viewings`, reason)
    expect(officers.status).toBe(404)
    const answers = await Promise.all(
      roles.map(async (role) => {
        const { status } = await api.as(role, 'POST', `/api/v1/recordings/${id}/viewings`, reason)
        return [role, status] as const
      }),
    )
    const seers = answers.filter(([, status]) => status === 201).map(([role]) => role)
    expect(seers).toEqual(['investigator', 'disclosure', 'supervisor'])
    expect((await api.ask('POST', `/api/v1/recordings/${id}/viewings`, { json: reason })).status).toBe(401)
  })

  test.for([
    [undefined],
    [{}],
    [{ reason: '' }],
    [{ reason: '  ' }],
    [{ reason: 'x'.repeat(10 * 1024) }],
    [{ reason: 7 }],
    [{ reason: 'a\u0000b' }],
    [{ reason: 'case', also: 'this' }],
  ])('refuses the body %j', async ([body]) => {
    const { status } = await api.as('investigator', 'POST', `/api/v1/recordings/${id}/viewings`, body)
    expect(status).toBe(400)
  })

  test('too early is told when to come again', async () => {
    const early = await catalogued(api.engines)
    const { status, headers, body } = await api.as(
      'investigator',
      'POST',
      `/api/v1/recordings/${early}/viewings`,
      reason,
    )
    expect({ status, code: Object(body).code }).toEqual({ status: 409, code: 'not-playable-yet' })
    expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(2)
    expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(5)
  })
})

test('a plain player plays it by relative addresses alone, and what it saw is on record when it closes', async () => {
  const recording = await catalogued(api.engines, { duration: 24 })
  await viewable(api.engines, recording)
  const viewing = await opened(recording)
  const follow = async (from: string, address: string): Promise<Response> => await fetch(new URL(address, from))

  const master = await fetch(viewing.playlistUrl)
  expect(master.headers.get('content-type')).toBe('application/vnd.apple.mpegurl')
  const [full = '', small = ''] = addressesIn(await master.text())
  expect([full, small]).toEqual(['hls/index.m3u8', 'proxy/index.m3u8'])
  const mediaUrl = new URL(full, viewing.playlistUrl).href
  const media = await (await fetch(mediaUrl)).text()
  expect((await follow(mediaUrl, 'init.mp4')).headers.get('content-type')).toBe('video/mp4')
  for (const [n, address] of addressesIn(media).slice(0, 2).entries()) {
    const segment = await follow(mediaUrl, address)
    expect(segment.headers.get('content-length')).toBe(String(101 + n))
    expect(Buffer.from(await segment.arrayBuffer())).toEqual(Buffer.alloc(101 + n, n + 1))
  }
  const poster = await fetch(viewing.posterUrl)
  expect([poster.headers.get('content-type'), await poster.text()]).toEqual(['image/jpeg', 'a picture'])
  const index = await fetch(viewing.storyboardUrl)
  expect(index.headers.get('content-type')).toBe('text/vtt; charset=utf-8')
  const [, sheet = ''] = /\n(storyboard\/\S+)#xywh=/.exec(await index.text()) ?? []
  expect((await follow(viewing.storyboardUrl, sheet)).headers.get('content-type')).toBe('image/jpeg')

  const state: unknown = await (await fetch(`${viewing.base}state`)).json()
  expect(Value.Check(ViewingState, state)).toBe(true)
  expect(state).toMatchObject({ id: viewing.id, reason: reason.reason, watched: [[0, 12]] })

  expect((await fetch(`${viewing.base}close`, { method: 'POST' })).status).toBe(204)
  expect((await fetch(`${viewing.base}close`, { method: 'POST' })).status).toBe(204)
  expect(await problemIn(await fetch(`${viewing.base}state`))).toEqual({ status: 410, code: 'viewing-ended' })
  const { status, body } = await api.as('supervisor', 'GET', `/api/v1/viewings/${viewing.id}`)
  expect(status).toBe(200)
  expect(Value.Check(ViewingView, body)).toBe(true)
  expect(body).toMatchObject({ id: viewing.id, recording, watched: [[0, 12]], endedAt: expect.any(String) })
  const actions = (await entriesAbout(api.engines, recording)).map(({ action }) => action)
  expect(actions).toEqual(['recording.viewing', 'recording.viewing-ended', 'viewing.read'])
})

describe('under a token', () => {
  const everything = [
    'player',
    'state',
    'playlist.m3u8',
    'hls/index.m3u8',
    'hls/init.mp4',
    'hls/00001.m4s',
    'proxy/index.m3u8',
    'proxy/00002.m4s',
    'poster.jpg',
    'storyboard.vtt',
    'storyboard/sheet-000.jpg',
  ]

  test('nothing is to be kept on the way, and no address leaves with a link', async () => {
    const { base } = await opened()
    for (const path of everything) {
      const response = await fetch(base + path)
      expect(response.status, path).toBe(200)
      expect(Object.fromEntries(response.headers), path).toMatchObject({
        'cache-control': 'private, no-store',
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
      })
    }
  })

  test('the page and its files come with a policy that lets it ask nobody else', async () => {
    const { base } = await opened()
    const page = await fetch(`${base}player`)
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
    const files = [...(await page.text()).matchAll(/(?:src|href)="(player\/[^"]+)"/g)].map(([, file]) => file)
    expect(files.length).toBeGreaterThan(1)
    for (const file of files) expect((await fetch(base + file)).status, file).toBe(200)
    expect((await fetch(`${base}player/none.js`)).status).toBe(404)
  })

  test('HEAD is told of a segment, and that is no sight of it', async () => {
    const { id: viewing, base } = await opened()
    const response = await fetch(`${base}hls/00002.m4s`, { method: 'HEAD' })
    expect([response.status, response.headers.get('content-length')]).toEqual([200, '102'])
    expect((await api.as('investigator', 'GET', `/api/v1/viewings/${viewing}`)).body).toMatchObject({ watched: [] })
  })

  test.for([
    'hls/..%2f..%2fstate',
    'hls/%2e%2e%2finit.mp4',
    'hls/00001.m4s%00',
    'hls/00001.m4s.txt',
    'hls/1.m4s',
    'hls/init.mp4%2f',
    'hls/00099.m4s',
    'other/00001.m4s',
    'storyboard/sheet-999.jpg',
    'storyboard/..%5cposter.jpg',
    'player/..%2findex.html',
    'poster.png',
  ])('there is nothing at %s', async (path) => {
    const { base } = await opened()
    expect(await problemIn(await fetch(base + path))).toEqual({ status: 404, code: 'not-found' })
  })

  test('that nobody was given, or that is an id, there is nothing', async () => {
    const viewing = await opened()
    const altered = `${tokenIn(viewing.base).slice(0, -2)}~~`
    for (const token of ['A'.repeat(43), 'x', altered, viewing.id, newId(), '%00', 'x'.repeat(900)]) {
      for (const path of everything) {
        const response = await fetch(`${api.api.url}/api/v1/viewings/${token}/${path}`)
        const text = await response.text()
        expect([response.status, token.length > 20 && text.includes(token)], path).toEqual([404, false])
      }
    }
  })

  test('a viewing cannot be read, and a token is taken for no id', async () => {
    const { base } = await opened()
    const address = `/api/v1/viewings/${tokenIn(base)}`
    expect((await api.ask('GET', address)).status).toBe(401)
    expect((await api.as('supervisor', 'GET', address)).status).toBe(404)
  })

  test('everything ends at its time, with a page that says so', async () => {
    const { base } = await opened()
    try {
      aheadMs = api.engines.config.VIEWING_MINUTES * 60_000 + 1000
      for (const path of everything) {
        const response = await fetch(base + path)
        expect(response.status, path).toBe(410)
        expect(response.headers.get('cache-control')).toBe('private, no-store')
        expect(response.headers.get('content-type')).toMatch(path === 'player' ? /^text\/html/ : /problem\+json/)
        expect(await response.text()).not.toContain(tokenIn(base))
      }
    } finally {
      aheadMs = 0
    }
  })

  test('everything ends when the person is suspended', async () => {
    const { base } = await opened()
    const { body } = await api.as('investigator', 'GET', '/api/v1/me')
    const suspension = `/api/v1/people/${Object(body).id}/suspension`
    expect((await api.as('admin', 'POST', suspension, { reason: 'inquiry' })).status).toBe(204)
    try {
      for (const path of everything) expect((await fetch(base + path)).status, path).toBe(403)
    } finally {
      expect((await api.as('admin', 'DELETE', suspension)).status).toBe(204)
    }
  })

  test('no line of the log says so', async () => {
    const { base } = await opened()
    for (const path of [...everything, 'nothing/here', 'hls/x']) await (await fetch(base + path)).text()
    await fetch(`${base}close`, { method: 'PATCH' })
    await fetch(`${base}close`, { method: 'POST' })
    await fetch(`${base}state`)
    expect(logged.join('')).toContain('/api/v1/viewings/:token/hls/:name')
    expect(logged.join('')).not.toContain(tokenIn(base))
  })
})
