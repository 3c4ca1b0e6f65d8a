import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hex, sha256 } from '../../src/base/digest.ts'
import { newId, type RecordingId } from '../../src/base/ids.ts'
import { tokenDigest } from '../../src/base/link-token.ts'
import { fileAt, forgetDownloads, requestDownload } from '../../src/downloads/actions.ts'
import type { Served } from '../../src/downloads/download.ts'
import { openFile } from '../../src/downloads/stream.ts'
import type { Clock } from '../../src/engines/clock.ts'
import type { Engines } from '../../src/engines/engines.ts'
import type { Person } from '../../src/people/person.ts'
import { originalKey } from '../../src/uploads/upload.ts'
import { catalogued, entriesAbout, kept, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf, problemOf } from '../footsteps.ts'
import { type StoreProxy, storeProxy } from '../store-proxy.ts'

const mib = 1024 * 1024
let now = new Date('2026-11-25T12:00:00Z')
const clock: Clock = { now: () => now, instant: () => now.toTemporalInstant() }
let engines: TestEngines
let investigator: Person

beforeAll(async () => {
  engines = await testEngines({
    clock,
    env: { DOWNLOAD_MINUTES: '15', REASON_CODES: '{"supervisor": ["complaint", "case"]}' },
  })
  investigator = await someone(engines, ['investigator'])
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const tokenIn = (url: string): string => url.slice(url.lastIndexOf('/') + 1)

const ask = async (id: RecordingId, person = investigator, reason = 'case 12/3456') =>
  await requestDownload(engines, person, { type: 'recording', id }, reason)

describe('asking for a download', () => {
  test('gives an address, and the entry with the reason commits with it', async () => {
    const id = await catalogued(engines, { size: 4711 })
    const given = await ask(id, investigator, '  case 12/3456 ')
    const [entry, ...more] = await entriesAbout(engines, id)
    const row = await engines.db
      .selectFrom('downloads')
      .selectAll()
      .where('recording', '=', id)
      .executeTakeFirstOrThrow()
    expect(given).toEqual({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:8080\/api\/v1\/downloads\/[A-Za-z0-9_-]{43}$/),
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      size: 4711,
      expiresAt: '2026-11-25T12:15:00.000Z',
    })
    expect(more).toEqual([])
    expect(entry).toEqual({
      operation: 'consultation',
      action: 'recording.download',
      outcome: 'allowed',
      actor: { kind: 'person', id: investigator.id, role: 'investigator' },
      purpose: 'case 12/3456',
      detail: { download: row.id, sha256: given.sha256, size: 4711, expiresAt: given.expiresAt },
    })
    expect(row).toMatchObject({ person: investigator.id, token: tokenDigest(tokenIn(given.url)) })
  })

  test('keeps nothing from which the address could be told', async () => {
    const id = await catalogued(engines)
    const token = tokenIn((await ask(id)).url)
    const row = await engines.db
      .selectFrom('downloads')
      .selectAll()
      .where('recording', '=', id)
      .executeTakeFirstOrThrow()
    expect(JSON.stringify(row)).not.toContain(token)
    expect(row.token).not.toEqual(Buffer.from(token, 'base64url'))
    expect(JSON.stringify(await entriesAbout(engines, id))).not.toContain(token)
  })

  test('gives nothing when its entry cannot be written', async () => {
    const id = await catalogued(engines)
    const instant = () => {
      throw new Error('no time')
    }
    const stopped = { ...engines, clock: { ...clock, instant } }
    await expect(requestDownload(stopped, investigator, { type: 'recording', id }, 'why not')).rejects.toThrow(
      'no time',
    )
    expect(await engines.db.selectFrom('downloads').selectAll().where('recording', '=', id).execute()).toEqual([])
  })

  test('needs a reason, and a code where the role has a list', async () => {
    const id = await catalogued(engines)
    const supervisor = await someone(engines, ['supervisor'])
    expect(await codeOf(ask(id, investigator, ' \t '))).toBe('bad-request')
    expect(await codeOf(ask(id, supervisor, 'curious'))).toBe('bad-request')
    expect(await codeOf(ask(id, supervisor, 'complaint: 26/0193'))).toBe('accepted')
    expect((await entriesAbout(engines, id)).map((entry) => entry.outcome)).toEqual(['allowed'])
  })

  test.for([
    ['received', 'not-ready', 0],
    ['verified', 'accepted', 0],
    ['active', 'accepted', 0],
    ['quarantined', 'quarantined', 1],
    ['due', 'accepted', 0],
    ['grace', 'conflict', 1],
    ['erased', 'erased', 1],
  ] as const)('of a recording that is %s is answered with %s', async ([status, code, refusals]) => {
    const id = await catalogued(engines, { status })
    const problem = await problemOf(ask(id))
    expect(problem?.code ?? 'accepted').toBe(code)
    if (status === 'received') expect(problem?.retryAfter).toBe(5)
    const denied = (await entriesAbout(engines, id)).filter(({ outcome }) => outcome === 'denied')
    expect(denied).toHaveLength(refusals)
    for (const entry of denied) expect(entry).toMatchObject({ action: 'recording.download', purpose: 'case 12/3456' })
  })

  test('is refused, and recorded, where the person may not know of the recording', async () => {
    const id = await catalogued(engines)
    const officer = await someone(engines, ['officer'], 'PC1')
    expect(await codeOf(ask(id, officer))).toBe('not-found')
    expect(await codeOf(ask(newId<RecordingId>(), officer))).toBe('not-found')
    expect(await entriesAbout(engines, id)).toMatchObject([{ action: 'recording.download', outcome: 'denied' }])
  })

  test('finds nothing under the id of a second object of the same file', async () => {
    const first = await catalogued(engines)
    const second = await catalogued(engines, { status: 'received', duplicateOf: first })
    expect(await codeOf(ask(second))).toBe('not-found')
  })
})

describe('an address', () => {
  const addressOf = async (person = investigator, more: Parameters<typeof catalogued>[1] = {}) => {
    const id = await catalogued(engines, { objectVersion: 'v-1', ...more })
    return { id, token: tokenIn((await ask(id, person)).url) }
  }

  test('leads to the verified version of the original, as often as one likes', async () => {
    const { id, token } = await addressOf(investigator, { filename: '../../x', mediaType: 'video/mp4' })
    const expected = { of: { type: 'recording', id }, version: 'v-1', filename: '../../x', mediaType: 'video/mp4' }
    expect(await fileAt(engines, token)).toMatchObject(expected)
    expect(await fileAt(engines, token)).toMatchObject(expected)
  })

  test('of footage that no demuxer knows serves plain bytes', async () => {
    const { token } = await addressOf()
    expect(await fileAt(engines, token)).toMatchObject({ mediaType: 'application/octet-stream' })
  })

  test.for([[''], ['x'], ['A'.repeat(43)], ['../recordings'], ['a\u202Eb']])(
    'that nobody was given leads nowhere: %j',
    async ([token = '']) => expect(await codeOf(fileAt(engines, token))).toBe('not-found'),
  )

  test('ends at its time', async () => {
    const { id, token } = await addressOf()
    const began = now
    now = new Date(began.getTime() + 15 * 60_000 - 1)
    expect(await codeOf(fileAt(engines, token))).toBe('accepted')
    now = new Date(began.getTime() + 15 * 60_000)
    expect(await codeOf(fileAt(engines, token))).toBe('link-expired')
    now = began
    expect((await entriesAbout(engines, id)).map(({ outcome }) => outcome)).toEqual(['allowed'])
  })

  test('is forgotten a week after its time, and its entry stays', async () => {
    const { id, token } = await addressOf()
    const began = now
    now = new Date(began.getTime() + 7 * 86_400_000)
    await forgetDownloads(engines)
    expect(await codeOf(fileAt(engines, token))).toBe('link-expired')
    now = new Date(began.getTime() + 8 * 86_400_000)
    expect(await forgetDownloads(engines)).toBeGreaterThan(0)
    expect(await codeOf(fileAt(engines, token))).toBe('not-found')
    now = began
    expect(await entriesAbout(engines, id)).toHaveLength(1)
  })

  test('ends when the account that asked for it is suspended, which is recorded', async () => {
    const person = await someone(engines, ['investigator'])
    const { id, token } = await addressOf(person)
    await engines.db.updateTable('people').set({ suspendedAt: now }).where('id', '=', person.id).execute()
    expect(await codeOf(fileAt(engines, token))).toBe('suspended')
    expect((await entriesAbout(engines, id)).at(-1)).toMatchObject({
      action: 'download.fetch',
      outcome: 'denied',
      actor: { kind: 'person', id: person.id },
      detail: { because: 'suspended' },
    })
    await engines.db.updateTable('people').set({ suspendedAt: null }).where('id', '=', person.id).execute()
    expect(await codeOf(fileAt(engines, token))).toBe('accepted')
  })

  test.for(['quarantined', 'grace', 'erased'] as const)('ends when the recording is %s', async (status) => {
    const { id, token } = await addressOf()
    // There is no other way to an erasure.
    for (const next of status === 'erased' ? (['grace', status] as const) : [status])
      await engines.db.updateTable('recordings').set({ status: next }).where('id', '=', id).execute()
    expect(await codeOf(fileAt(engines, token))).toBe(status === 'grace' ? 'conflict' : status)
  })
})

describe('what is served', () => {
  const never = new AbortController().signal

  const original = async (id: RecordingId, { db }: Engines = engines): Promise<Served> => {
    const {
      size,
      sha256: digest,
      objectVersion,
      filename,
    } = await db.selectFrom('recordings').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    if (digest === null || objectVersion === null) throw new Error('not in custody')
    const at = { bucket: 'originals', key: originalKey(id), version: objectVersion } as const
    return { of: { type: 'recording', id }, ...at, size, sha256: digest, filename, mediaType: 'video/mp4' }
  }

  const open = async (what: Served, range?: [number, number], reached: Engines = engines): Promise<Readable> =>
    await openFile(reached, what, { first: range?.[0] ?? 0, last: range?.[1] ?? what.size - 1 }, never)

  test('equals the original to the byte, whole or in part', async () => {
    const bytes = randomBytes(3 * mib + 7)
    const what = await original(await kept(engines, bytes))
    expect((await buffer(await open(what))).equals(bytes)).toBe(true)
    expect((await buffer(await open(what, [0, 0]))).equals(bytes.subarray(0, 1))).toBe(true)
    expect((await buffer(await open(what, [100_000, 2_500_000]))).equals(bytes.subarray(100_000, 2_500_001))).toBe(true)
    expect((await buffer(await open(what, [what.size - 1, what.size - 1]))).equals(bytes.subarray(-1))).toBe(true)
  })

  test('of an empty file is nothing', async () => {
    const what = await original(await kept(engines, Buffer.alloc(0)))
    expect(await buffer(await open(what))).toHaveLength(0)
  })

  test('is the version that was verified, whatever was put over it or deletes it by name', async () => {
    const bytes = randomBytes(1000)
    const id = await kept(engines, bytes)
    const what = await original(id)
    const forged = randomBytes(1000)
    await engines.store.put('originals', originalKey(id), forged, sha256(forged))
    expect((await buffer(await open(what))).equals(bytes)).toBe(true)
    await engines.store.delete('originals', originalKey(id))
    expect((await buffer(await open(what))).equals(bytes)).toBe(true)
  })

  test('is never another version in place of one that is gone', async () => {
    const id = await kept(engines, randomBytes(1000))
    const what = await original(id)
    await engines.store.put('originals', originalKey(id), Buffer.alloc(1000), sha256(Buffer.alloc(1000)))
    await engines.store.delete('originals', originalKey(id), what.version)
    await expect(open(what)).rejects.toThrow('lacks the file')
  })

  const behindProxy = async (proxy: StoreProxy) =>
    await testEngines({ env: { S3_ENDPOINT: proxy.endpoint, S3_TIMEOUT_SECONDS: '1' } })

  test('is whole although the store breaks off again and again', async () => {
    await using proxy = await storeProxy(engines.config.S3_ENDPOINT)
    await using own = await behindProxy(proxy)
    const bytes = randomBytes(3 * mib)
    const id = await kept(own, bytes)
    proxy.cutAfter(700_000)
    const what = await original(id, own)
    expect((await buffer(await open(what, undefined, own))).equals(bytes)).toBe(true)
    expect(proxy.ended()).toBeGreaterThanOrEqual(4)
  })

  test('is whole although the client read nothing for longer than the store waits', async () => {
    await using proxy = await storeProxy(engines.config.S3_ENDPOINT)
    await using own = await behindProxy(proxy)
    const bytes = randomBytes(24 * mib)
    const id = await kept(own, bytes)
    const what = await original(id, own)
    const before = proxy.ended()
    const body = await open(what, undefined, own)
    await expect.poll(() => proxy.ended(), { timeout: 15_000 }).toBeGreaterThan(before)
    expect(hex(sha256(await buffer(body)))).toBe(what.sha256)
  })

  test('breaks, and does not end early, when the store is gone for good', async () => {
    await using proxy = await storeProxy(engines.config.S3_ENDPOINT)
    await using own = await behindProxy(proxy)
    const id = await kept(own, randomBytes(24 * mib))
    const body = await open(await original(id, own), undefined, own)
    proxy.stop()
    expect(await codeOf(buffer(body))).toBe('store-unavailable')
  })

  test('is refused at once, with a time to try again, when the store is down', async () => {
    await using proxy = await storeProxy(engines.config.S3_ENDPOINT)
    await using own = await behindProxy(proxy)
    const id = await kept(own, randomBytes(1000))
    proxy.stop()
    const problem = await problemOf(open(await original(id, own), undefined, own))
    expect(problem?.code).toBe('store-unavailable')
    expect(problem?.retryAfter).toBeGreaterThan(0)
  })

  test.for(['before it began', 'in the middle', 'by the signal'])(
    'is no longer read from the store when the client goes: %s',
    async (when) => {
      await using proxy = await storeProxy(engines.config.S3_ENDPOINT)
      await using own = await testEngines({ env: { S3_ENDPOINT: proxy.endpoint } })
      const what = await original(await kept(own, randomBytes(24 * mib)), own)
      const gone = new AbortController()
      const before = proxy.ended()
      const body = await openFile(own, what, { first: 0, last: what.size - 1 }, gone.signal)
      if (when !== 'before it began') await once(body, 'readable')
      if (when === 'by the signal') gone.abort()
      else body.destroy()
      await expect.poll(() => proxy.ended(), { timeout: 5000 }).toBeGreaterThan(before)
    },
  )
})
