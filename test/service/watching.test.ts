import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RecordingId, ViewingId } from '../../src/base/ids.ts'
import type { Clock } from '../../src/engines/clock.ts'
import type { Engines } from '../../src/engines/engines.ts'
import { setSuspension } from '../../src/people/actions.ts'
import type { Person } from '../../src/people/person.ts'
import { closeViewing, closeViewings, leaveViewing } from '../../src/viewings/closing.ts'
import { openViewing } from '../../src/viewings/opening.ts'
import { masterAt, mediaAt, stateAt, storyboardAt } from '../../src/viewings/reading.ts'
import { openServed, pictureAt, segmentAt, viewingAt } from '../../src/viewings/watching.ts'
import { catalogued, entriesAbout, someone } from '../catalogued.ts'
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
beforeAll(async () => {
  engines = await testEngines({ clock, env: { VIEWINGS_OPEN: '500' } })
  investigator = await someone(engines, ['investigator'])
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
const endings = async (recording: RecordingId) =>
  (await entriesAbout(engines, recording)).filter(({ action }) => action === 'recording.viewing-ended')

describe('a token', () => {
  test.for([[''], ['x'], ['A'.repeat(43)], ['../recordings'], ['a\u202Eb']])(
    'that nobody was given leads nowhere: %j',
    async ([token = '']) => {
      expect(await codeOf(viewingAt(engines, token))).toBe('not-found')
      expect(await codeOf(segmentAt(engines, token, 'hls', '00001.m4s'))).toBe('not-found')
      expect(await codeOf(closeViewing(engines, token))).toBe('not-found')
    },
  )

  test('that was altered leads nowhere, and an id is no token', async () => {
    const { id, token } = await opened()
    const altered = `${token.startsWith('A') ? 'B' : 'A'}${token.slice(1)}`
    expect(await codeOf(viewingAt(engines, altered))).toBe('not-found')
    expect(await codeOf(viewingAt(engines, id))).toBe('not-found')
  })

  test('opens its own recording and no other', async () => {
    const [{ token }, other] = [await opened(), await catalogued(engines)]
    await rendered(engines, other, 'hls', [...movingObjects(4), { name: '00099.m4s', bytes: Buffer.from('other') }])
    expect(await codeOf(watch(token, '00099.m4s'))).toBe('not-found')
  })

  test('ends when nothing was watched for its time, and lives on while segments are asked for', async () => {
    const { id, token } = await opened()
    later(500)
    await see(token, 'init.mp4')
    await see(token, '00001.m4s')
    expect((await rowOf(id)).expiresAt).toEqual(new Date(now.getTime() + 600_000))
    later(599)
    expect(await codeOf(stateAt(engines, token))).toBe('accepted')
    later(1)
    expect(await problemOf(stateAt(engines, token))).toMatchObject({ code: 'viewing-ended' })
    const works = [
      segmentAt(engines, token, 'hls', '00001.m4s'),
      pictureAt(engines, token, 'poster', 'poster.jpg'),
      masterAt(engines, token),
      mediaAt(engines, token, 'proxy'),
      storyboardAt(engines, token),
    ]
    expect(await Promise.all(works.map(codeOf))).toEqual(works.map(() => 'viewing-ended'))
  })

  test('lives on as well while somebody moves about in what has come already, and not because a page asks how it is', async () => {
    const { id, token } = await opened()
    later(500)
    await stateAt(engines, token)
    expect((await rowOf(id)).expiresAt).toEqual(new Date(now.getTime() + 100_000))
    const before = (await rowOf(id)).watched
    await stateAt(engines, token, true)
    expect(await rowOf(id)).toMatchObject({ expiresAt: new Date(now.getTime() + 600_000), watched: before })
    later(599)
    expect(await codeOf(watch(token, '00001.m4s'))).toBe('accepted')
    later(601)
    expect(await codeOf(stateAt(engines, token, true))).toBe('viewing-ended')
  })

  test('does not come back with its person, whose suspension was lifted before anybody asked', async () => {
    const person = await someone(engines, ['investigator'])
    const supervisor = await someone(engines, ['admin'])
    const { recording, token } = await opened(person)
    later(1)
    const suspend = async (suspended: boolean) =>
      await setSuspension(engines, supervisor, person.id, suspended, 'A mistake')
    await suspend(true)
    await suspend(false)
    later(1)
    expect(await problemOf(watch(token, '00001.m4s'))).toMatchObject({
      code: 'viewing-ended',
      message: expect.stringContaining('suspended meanwhile'),
    })
    expect(await closeViewings(engines, never)).toBeGreaterThan(0)
    expect(await endings(recording)).toHaveLength(1)
    expect(await codeOf(watch((await opened(person)).token, '00001.m4s'))).toBe('accepted')
  })

  test('ends when its person is suspended, which is recorded at the first segment, and says so afterwards', async () => {
    const person = await someone(engines, ['investigator'])
    const { recording, token } = await opened(person)
    await engines.db.updateTable('people').set({ suspendedAt: now }).where('id', '=', person.id).execute()
    expect(await codeOf(watch(token, '00001.m4s'))).toBe('suspended')
    expect((await entriesAbout(engines, recording)).at(-1)).toMatchObject({
      action: 'viewing.watch',
      outcome: 'denied',
      actor: { kind: 'person', id: person.id },
      detail: { because: 'suspended' },
    })
    expect(await closeViewings(engines, never)).toBeGreaterThan(0)
    const before = (await entriesAbout(engines, recording)).length
    expect(await codeOf(watch(token, '00001.m4s'))).toBe('suspended')
    expect(await entriesAbout(engines, recording)).toHaveLength(before)
    await engines.db.updateTable('people').set({ suspendedAt: null }).where('id', '=', person.id).execute()
    expect(await codeOf(watch(token, '00001.m4s'))).toBe('viewing-ended')
  })

  test.for([
    ['quarantined', 'quarantined'],
    ['grace', 'conflict'],
    ['erased', 'erased'],
  ] as const)('ends when its recording is %s', async ([status, code]) => {
    const { recording, token } = await opened()
    // There is no other way to an erasure.
    for (const next of status === 'erased' ? (['grace', status] as const) : [status])
      await engines.db.updateTable('recordings').set({ status: next }).where('id', '=', recording).execute()
    expect(await codeOf(watch(token, '00001.m4s'))).toBe(code)
    await closeViewings(engines, never)
    expect(await endings(recording)).toHaveLength(1)
  })
})

describe('what is served', () => {
  test('is the rendition to the byte', async () => {
    const { token } = await opened()
    for (const { name, bytes } of movingObjects(4)) {
      expect((await buffer(await watch(token, name))).equals(bytes)).toBe(true)
      expect((await buffer(await watch(token, name, 'proxy'))).equals(bytes)).toBe(true)
    }
    const served = await pictureAt(engines, token, 'storyboard', 'sheet-000.jpg')
    expect(String(await buffer(await openServed(engines, token, served, never)))).toBe('two pictures')
  })

  test.for([
    '../init.mp4',
    '..%2finit.mp4',
    'init.mp4/',
    '',
    '00009.m4s',
    'poster.jpg',
    '1',
    'INIT.MP4',
    './00001.m4s',
  ])('is never found under %j', async (name) => {
    const { id, token } = await opened()
    expect(await codeOf(watch(token, name))).toBe('not-found')
    expect(await codeOf(pictureAt(engines, token, 'storyboard', name))).toBe('not-found')
    expect((await rowOf(id)).watched).toEqual([])
  })

  test('grows with the rendition, and stays while it is owed once more', async () => {
    const recording = await catalogued(engines)
    const rendition = await rendered(engines, recording, 'hls', movingObjects(2), { state: 'working', progress: 0.5 })
    const token = tokenIn((await open(recording)).playerUrl)
    expect(await mediaAt(engines, token, 'hls')).toContain('#EXT-X-PLAYLIST-TYPE:EVENT')
    expect(await stateAt(engines, token)).toMatchObject({
      playable: { hls: { state: 'working', progress: 0.5, playable: true, complete: false }, proxy: null },
    })
    await see(token, '00002.m4s')
    const change = async (state: 'ready' | 'owed' | 'failed', digest: boolean) =>
      await engines.db
        .updateTable('renditions')
        .set((eb) => ({ state, size: 1, sha256: digest ? eb.ref('sourceSha256') : null }))
        .where('id', '=', rendition)
        .execute()
    await change('ready', true)
    expect(await mediaAt(engines, token, 'hls')).toMatch(/00002\.m4s\n#EXT-X-ENDLIST\n$/)
    await change('owed', true)
    expect(await mediaAt(engines, token, 'hls')).toContain('#EXT-X-ENDLIST')
    expect(await stateAt(engines, token)).toMatchObject({
      playable: { hls: { state: 'owed', playable: true, complete: true } },
    })
    await see(token, '00001.m4s')
    await change('failed', false)
    expect(await codeOf(mediaAt(engines, token, 'hls'))).toBe('not-playable')
    expect(await codeOf(watch(token, '00001.m4s'))).toBe('not-playable')
  })

  test('names in its playlist what is most worth watching, and the rate of its heaviest segment', async () => {
    const { token } = await opened()
    const rate = Math.ceil((104 * 8) / 6)
    expect(await masterAt(engines, token)).toBe(
      [
        '#EXTM3U',
        '#EXT-X-VERSION:7',
        `#EXT-X-STREAM-INF:BANDWIDTH=${rate},RESOLUTION=1280x720`,
        'hls/index.m3u8',
        `#EXT-X-STREAM-INF:BANDWIDTH=${rate - 1},RESOLUTION=854x480`,
        'proxy/index.m3u8',
        '',
      ].join('\n'),
    )
    expect(await storyboardAt(engines, token)).toContain(
      '00:00:12.000 --> 00:00:24.000\nstoryboard/sheet-000.jpg#xywh=160,0,160,90',
    )
  })

  test('has no poster and no storyboard before they are made, and says when to come again', async () => {
    const recording = await catalogued(engines)
    await rendered(engines, recording, 'hls', movingObjects(1))
    const token = tokenIn((await open(recording)).playerUrl)
    expect(await codeOf(storyboardAt(engines, token))).toBe('not-found')
    await rendered(engines, recording, 'storyboard', [], { state: 'owed' })
    expect((await stateAt(engines, token)).storyboard).toBe(false)
    await rendered(engines, recording, 'poster', [], { state: 'failed', failure: 'No picture.' })
    expect(await problemOf(storyboardAt(engines, token))).toMatchObject({ code: 'not-ready', retryAfter: 5 })
    expect(await codeOf(pictureAt(engines, token, 'storyboard', 'sheet-000.jpg'))).toBe('not-ready')
    expect(await codeOf(pictureAt(engines, token, 'poster', 'poster.jpg'))).toBe('not-found')
    expect((await stateAt(engines, (await opened()).token)).storyboard).toBe(true)
  })
})

describe('what was watched', () => {
  test('is on record before the bytes leave, merged where it touches; the beginning and pictures are no sight of a moment', async () => {
    const { id, token } = await opened()
    await see(token, 'init.mp4')
    await pictureAt(engines, token, 'poster', 'poster.jpg')
    expect((await rowOf(id)).watched).toEqual([])
    const body = await watch(token, '00003.m4s')
    expect((await rowOf(id)).watched).toEqual([[12, 18]])
    expect(body.destroyed).toBe(false)
    await buffer(body)
    await see(token, '00001.m4s')
    expect((await rowOf(id)).watched).toEqual([
      [0, 6],
      [12, 18],
    ])
    await see(token, '00002.m4s', '00004.m4s')
    expect((await rowOf(id)).watched).toEqual([[0, 24]])
  })

  test('is whole although many segments are asked for at one moment', async () => {
    const { id, token } = await opened()
    const names = ['00001.m4s', '00002.m4s', '00003.m4s', '00004.m4s']
    const bodies = await Promise.all(
      names.flatMap((name) => [watch(token, name), watch(token, name, 'proxy'), watch(token, name)]),
    )
    await Promise.all(bodies.map(async (body) => await buffer(body)))
    expect((await rowOf(id)).watched).toEqual([[0, 24]])
  })

  test('is not written again within half a minute when it is there already', async () => {
    const { id, token } = await opened()
    await see(token, '00001.m4s')
    const first = await rowOf(id)
    later(29)
    await see(token, '00001.m4s')
    expect(await rowOf(id)).toEqual(first)
    later(1)
    await see(token, '00001.m4s')
    expect((await rowOf(id)).expiresAt).toEqual(new Date(now.getTime() + 600_000))
  })

  test('is not claimed when there is nothing to send, and nothing is sent when it cannot be written', async () => {
    const { id, token } = await opened()
    const served = await segmentAt(engines, token, 'hls', '00002.m4s')
    await engines.store.delete('derived', served.key)
    expect(await codeOf(openServed(engines, token, served, never))).toBe('not-found')
    expect((await rowOf(id)).watched).toEqual([])
    const next = await segmentAt(engines, token, 'hls', '00003.m4s')
    await closeViewing(engines, token)
    expect(await codeOf(openServed(engines, token, next, never))).toBe('viewing-ended')
    expect((await rowOf(id)).watched).toEqual([])
  })
})

describe('closing a viewing', () => {
  test('writes one entry that names the first and gives the ranges, however often it is asked for', async () => {
    const { id, recording, token } = await opened()
    await see(token, '00001.m4s', '00003.m4s')
    await Promise.all([closeViewing(engines, token), closeViewing(engines, token), closeViewings(engines, never)])
    await closeViewing(engines, token)
    const { endedAt, entry } = await rowOf(id)
    expect(endedAt).toEqual(now)
    expect(await endings(recording)).toEqual([
      {
        operation: 'consultation',
        action: 'recording.viewing-ended',
        outcome: 'allowed',
        actor: { kind: 'person', id: investigator.id },
        detail: {
          viewing: id,
          opened: entry,
          watched: [
            [0, 6],
            [12, 18],
          ],
        },
      },
    ])
    expect(await codeOf(watch(token, '00001.m4s'))).toBe('viewing-ended')
  })

  test('is done by the sweep when nobody watches on, exactly once also when two sweeps race', async () => {
    const [idle, watching] = [await opened(), await opened()]
    await see(idle.token, '00002.m4s')
    later(599)
    await see(watching.token, '00001.m4s')
    later(1)
    await Promise.all([closeViewings(engines, never), closeViewings(engines, never)])
    expect(await closeViewings(engines, never)).toBe(0)
    expect(await endings(idle.recording)).toMatchObject([
      { actor: { kind: 'service', id: 'close-viewings' }, detail: { viewing: idle.id, watched: [[6, 12]] } },
    ])
    expect(await endings(watching.recording)).toEqual([])
  })

  test('is done a moment after its page was left, unless the page is loaded again', async () => {
    const [left, back] = [await opened(), await opened()]
    await see(left.token, '00002.m4s')
    for (const { token } of [left, back]) await leaveViewing(engines, token)
    later(19)
    await stateAt(engines, back.token, true)
    expect((await rowOf(back.id)).expiresAt).toEqual(new Date(now.getTime() + 600_000))
    await closeViewings(engines, never)
    expect(await endings(left.recording)).toEqual([])
    later(1)
    expect(await problemOf(stateAt(engines, left.token, true))).toMatchObject({
      code: 'viewing-ended',
      message: expect.stringContaining('left'),
    })
    await closeViewings(engines, never)
    expect(await endings(left.recording)).toMatchObject([{ detail: { viewing: left.id, watched: [[6, 12]] } }])
    expect(await codeOf(watch(back.token, '00001.m4s'))).toBe('accepted')
    expect(await endings(back.recording)).toEqual([])
  })

  test('is done no later because its page is left, and leaving one that is over changes nothing', async () => {
    const { id, token } = await opened()
    later(590)
    const { expiresAt } = await rowOf(id)
    await leaveViewing(engines, token)
    expect((await rowOf(id)).expiresAt).toEqual(expiresAt)
    await closeViewing(engines, token)
    const ended = await rowOf(id)
    await leaveViewing(engines, token)
    expect(await rowOf(id)).toEqual(ended)
    expect(await codeOf(leaveViewing(engines, 'A'.repeat(43)))).toBe('not-found')
  })

  test('is not done when its entry cannot be written, and the next sweep does it', async () => {
    const { id, recording } = await opened()
    later(600)
    const instant = () => {
      throw new Error('no time')
    }
    await expect(closeViewings({ ...engines, clock: { ...clock, instant } }, never)).rejects.toThrow('no time')
    expect((await rowOf(id)).endedAt).toBeNull()
    await closeViewings(engines, never)
    expect(await endings(recording)).toHaveLength(1)
  })

  test('is for good: the database lets nobody change what the entry says', async () => {
    const { id, token } = await opened()
    await closeViewing(engines, token)
    const change = engines.db.updateTable('viewings').set({ watched: '[[0,6]]' }).where('id', '=', id).execute()
    await expect(change).rejects.toThrow('a viewing that has ended does not change')
  })
})
