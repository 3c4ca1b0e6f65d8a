import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId, type RecordingId, type ViewingId } from '../../src/base/ids.ts'
import { tokenDigest } from '../../src/base/link-token.ts'
import type { Clock } from '../../src/engines/clock.ts'
import type { Engines } from '../../src/engines/engines.ts'
import type { Person } from '../../src/people/person.ts'
import { closeViewing } from '../../src/viewings/closing.ts'
import { openViewing } from '../../src/viewings/opening.ts'
import { readViewing, stateAt } from '../../src/viewings/reading.ts'
import { giveThumbnails } from '../../src/viewings/thumbnails.ts'
import { openServed, segmentAt } from '../../src/viewings/watching.ts'
import { assign, catalogued, entriesAbout, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf, problemOf } from '../footsteps.ts'
import { movingObjects, rendered, viewable } from '../viewable.ts'

const began = new Date('2026-11-25T12:00:00Z')
let now = began
const clock: Clock = { now: () => now, instant: () => now.toTemporalInstant() }
const later = (seconds: number) => {
  now = new Date(now.getTime() + seconds * 1000)
}
const never = new AbortController().signal

let engines: TestEngines
let investigator: Person
let supervisor: Person
beforeAll(async () => {
  const env = { REASON_RULE: '{"disclosure": "optional"}', REASON_CODES: '{"supervisor": ["complaint"]}' }
  engines = await testEngines({ clock, env: { ...env, VIEWINGS_OPEN: '60' } })
  investigator = await someone(engines, ['investigator'])
  supervisor = await someone(engines, ['supervisor'])
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const open = async (id: RecordingId, person = investigator, reason: string | undefined = 'case 12/3456') =>
  await openViewing(engines, person, id, reason)
const tokenIn = (url: string): string => url.split('/').at(-2) ?? ''
const opened = async (person = investigator, more: Parameters<typeof catalogued>[1] = {}) => {
  const recording = await catalogued(engines, { duration: 24, ...more })
  await viewable(engines, recording)
  const viewing = await open(recording, person)
  return { recording, id: viewing.id, token: tokenIn(viewing.playerUrl) }
}
const rowOf = async (id: ViewingId) =>
  await engines.db.selectFrom('viewings').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const watch = async (token: string, name: string, kind: 'hls' | 'proxy' = 'hls', reached: Engines = engines) =>
  await openServed(reached, token, await segmentAt(reached, token, kind, name), never)
const see = async (token: string, ...names: string[]): Promise<void> => {
  for (const name of names) await buffer(await watch(token, name))
}

describe('thumbnails', () => {
  test('are given of what the person may see and has a picture, and which ones is on record', async () => {
    const [seen, withheld, unmade] = [
      await catalogued(engines),
      await catalogued(engines, { status: 'quarantined' }),
      await catalogued(engines),
    ]
    for (const recording of [seen, withheld]) await viewable(engines, recording)
    const asked = [seen, withheld, unmade, newId<RecordingId>()]
    const { items } = await giveThumbnails(engines, investigator, asked)
    const picture = `data:image/jpeg;base64,${Buffer.from('a small picture').toString('base64')}`
    expect(items).toEqual([{ recording: seen, picture }])
    const entries = await entriesAbout(engines, 'catalogue')
    expect(entries).toEqual([expect.objectContaining({ operation: 'consultation', detail: { asked, shown: [seen] } })])
    const stranger = await someone(engines, ['officer'], 'PC9')
    expect(await giveThumbnails(engines, stranger, [seen])).toEqual({ items: [] })
  })
})

describe('opening a viewing', () => {
  test('gives addresses, and the entry with the reason commits with it, before anything is served', async () => {
    const recording = await catalogued(engines)
    await viewable(engines, recording)
    const viewing = await open(recording, investigator, ' case 12/3456 ')
    const token = tokenIn(viewing.playerUrl)
    const base = `http://127.0.0.1:8080/api/v1/viewings/${token}`
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(viewing).toEqual({
      id: viewing.id,
      playerUrl: `${base}/player`,
      playlistUrl: `${base}/playlist.m3u8`,
      posterUrl: `${base}/poster.jpg`,
      storyboardUrl: `${base}/storyboard.vtt`,
      expiresAt: new Date(now.getTime() + 600_000).toISOString(),
    })
    expect(await entriesAbout(engines, recording)).toEqual([
      {
        operation: 'consultation',
        action: 'recording.viewing',
        outcome: 'allowed',
        actor: { kind: 'person', id: investigator.id, role: 'investigator' },
        purpose: 'case 12/3456',
        detail: { viewing: viewing.id },
      },
    ])
    expect(await rowOf(viewing.id)).toMatchObject({ token: tokenDigest(token), person: investigator.id, watched: [] })
  })

  test('keeps nothing from which the address could be told', async () => {
    const { id, recording, token } = await opened()
    expect(JSON.stringify(await rowOf(id))).not.toContain(token)
    expect(JSON.stringify(await entriesAbout(engines, recording))).not.toContain(token)
  })

  test('opens nothing when its entry cannot be written', async () => {
    const recording = await catalogued(engines)
    await viewable(engines, recording)
    const instant = () => {
      throw new Error('no time')
    }
    const stopped = { ...engines, clock: { ...clock, instant } }
    await expect(openViewing(stopped, investigator, recording, 'why not')).rejects.toThrow('no time')
    const rows = await engines.db.selectFrom('viewings').selectAll().where('recording', '=', recording).execute()
    expect(rows).toEqual([])
  })

  test('needs a reason where the configuration says so, and one of the list where there is one', async () => {
    const recording = await catalogued(engines)
    await viewable(engines, recording)
    const disclosure = await someone(engines, ['disclosure'])
    const ask = async (person: Person, reason?: string) => await codeOf(openViewing(engines, person, recording, reason))
    expect(await ask(investigator)).toBe('bad-request')
    expect(await ask(investigator, ' \t')).toBe('bad-request')
    expect(await ask(investigator, 'x'.repeat(10 * 1024))).toBe('bad-request')
    expect(await ask(supervisor, 'curious')).toBe('bad-request')
    expect(await entriesAbout(engines, recording)).toEqual([])
    expect(await ask(disclosure)).toBe('accepted')
    expect((await entriesAbout(engines, recording))[0]).not.toHaveProperty('purpose')
    expect(await ask(supervisor, 'complaint: <script>alert(1)</script>')).toBe('accepted')
    expect((await entriesAbout(engines, recording))[1]).toMatchObject({
      purpose: 'complaint: <script>alert(1)</script>',
    })
  })

  test.for([
    ['received', 'not-playable-yet', 0],
    ['verified', 'not-playable-yet', 0],
    ['active', 'accepted', 0],
    ['due', 'accepted', 0],
    ['quarantined', 'quarantined', 1],
    ['grace', 'conflict', 1],
    ['erased', 'erased', 1],
  ] as const)('of a recording that is %s is answered with %s', async ([status, code, refusals]) => {
    const recording = await catalogued(engines, { status })
    await viewable(engines, recording)
    const problem = await problemOf(open(recording))
    expect(problem?.code ?? 'accepted').toBe(code)
    if (code === 'not-playable-yet') expect(problem?.retryAfter).toBeLessThanOrEqual(5)
    const denied = (await entriesAbout(engines, recording)).filter(({ outcome }) => outcome === 'denied')
    expect(denied).toHaveLength(refusals)
    for (const entry of denied) expect(entry).toMatchObject({ action: 'recording.viewing', purpose: 'case 12/3456' })
  })

  test('comes too early until there is a beginning and one segment, be it of the proxy alone', async () => {
    const recording = await catalogued(engines)
    expect(await codeOf(open(recording))).toBe('not-playable-yet')
    await rendered(engines, recording, 'hls', movingObjects(0), { state: 'working' })
    expect(await problemOf(open(recording))).toMatchObject({ code: 'not-playable-yet', retryAfter: 3 })
    await rendered(engines, recording, 'proxy', movingObjects(1), { state: 'working' })
    expect(await codeOf(open(recording))).toBe('accepted')
  })

  test('of what cannot be played says why, and that the original can still be had', async () => {
    const unplayable = await catalogued(engines, { flags: ['unplayable'] })
    expect(await problemOf(open(unplayable))).toMatchObject({
      code: 'not-playable',
      detail: expect.stringMatching(/The original stays downloadable\.$/),
    })
    const failed = await catalogued(engines)
    await rendered(engines, failed, 'hls', movingObjects(2), { state: 'failed', failure: 'It took too long.' })
    expect((await problemOf(open(failed)))?.detail).toBe('It took too long. The original stays downloadable.')
    await rendered(engines, failed, 'proxy', [], { state: 'owed' })
    expect(await codeOf(open(failed))).toBe('not-playable-yet')
  })

  test('is refused, and recorded, where the person may not know of the recording', async () => {
    const recording = await catalogued(engines, { camera: 'BWC-OWN', recordedAt: new Date('2026-11-25T10:00:00Z') })
    await viewable(engines, recording)
    await assign(engines, 'BWC-OWN', 'PC7', '2026-11-25T08:00:00Z', '2026-11-25T12:00:00Z')
    const [own, other] = [await someone(engines, ['officer'], 'PC7'), await someone(engines, ['officer'], 'PC8')]
    expect(await codeOf(open(recording, other))).toBe('not-found')
    expect(await codeOf(open(newId<RecordingId>(), other))).toBe('not-found')
    expect(await entriesAbout(engines, recording)).toMatchObject([{ action: 'recording.viewing', outcome: 'denied' }])
    const { playerUrl } = await open(recording, own)
    expect(await stateAt(engines, tokenIn(playerUrl))).toMatchObject({ recording: { officer: 'PC7' } })
  })

  test('finds nothing under the id of a second object of the same file', async () => {
    const first = await catalogued(engines)
    expect(await codeOf(open(await catalogued(engines, { status: 'received', duplicateOf: first })))).toBe('not-found')
  })

  test('has a limit for each person, which those that ended do not count towards, however many ask at once', async () => {
    const recording = await catalogued(engines)
    await viewable(engines, recording)
    const eager = await someone(engines, ['investigator'])
    const limited = { ...engines, config: { ...engines.config, VIEWINGS_OPEN: 3 } }
    const ask = async () => await openViewing(limited, eager, recording, 'case')
    const asked = await Promise.allSettled(Array.from({ length: 6 }, ask))
    const given = asked.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    expect(given).toHaveLength(3)
    expect(await problemOf(ask())).toMatchObject({ code: 'too-many-viewings', detail: expect.stringContaining('3') })
    const another = await someone(engines, ['investigator'])
    expect(await codeOf(openViewing(limited, another, recording, 'case'))).toBe('accepted')
    await closeViewing(engines, tokenIn(given[0]?.playerUrl ?? ''))
    expect(await codeOf(ask())).toBe('accepted')
    later(600)
    expect(await codeOf(ask())).toBe('accepted')
  })

  test('is refused to someone who was suspended after the request began', async () => {
    const person = await someone(engines, ['investigator'])
    const recording = await catalogued(engines)
    await viewable(engines, recording)
    await engines.db.updateTable('people').set({ suspendedAt: now }).where('id', '=', person.id).execute()
    expect(await codeOf(open(recording, person))).toBe('suspended')
  })
})

describe('reading a viewing', () => {
  test('is for the one who watched and for supervisors, and is an entry', async () => {
    const { id, recording, token } = await opened()
    await see(token, '00001.m4s')
    const seen = {
      id,
      recording,
      person: { id: investigator.id, name: 'investigator' },
      reason: 'case 12/3456',
      openedAt: now.toISOString(),
      endedAt: null,
      expiresAt: new Date(now.getTime() + 600_000).toISOString(),
      watched: [[0, 6]],
    }
    expect(await readViewing(engines, investigator, id)).toEqual(seen)
    await closeViewing(engines, token)
    expect(await readViewing(engines, supervisor, id)).toEqual({ ...seen, endedAt: now.toISOString() })
    const other = await someone(engines, ['investigator'])
    expect(await codeOf(readViewing(engines, other, id))).toBe('not-found')
    expect(await codeOf(readViewing(engines, other, newId<ViewingId>()))).toBe('not-found')
    const read = (await entriesAbout(engines, recording)).filter(({ action }) => action === 'viewing.read')
    expect(read).toMatchObject([{ outcome: 'allowed' }, { outcome: 'allowed' }, { outcome: 'denied' }])
  })
})
