import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Clock } from '../../src/engines/clock.ts'
import type { Person } from '../../src/people/person.ts'
import { closeViewings, leaveViewing } from '../../src/viewings/closing.ts'
import { openViewing } from '../../src/viewings/opening.ts'
import { stateAt } from '../../src/viewings/reading.ts'
import { liveOn, openServed, type Served, segmentAt, viewingAt } from '../../src/viewings/watching.ts'
import { catalogued, entriesAbout, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf } from '../footsteps.ts'
import { viewable } from '../viewable.ts'

let now = new Date('2026-11-25T12:00:00Z')
const clock: Clock = { now: () => now, instant: () => now.toTemporalInstant() }
const later = (seconds: number) => {
  now = new Date(now.getTime() + seconds * 1000)
}
const inSeconds = (seconds: number) => new Date(now.getTime() + seconds * 1000)
const never = new AbortController().signal

let engines: TestEngines
let investigator: Person
beforeAll(async () => {
  engines = await testEngines({ clock })
  investigator = await someone(engines, ['investigator'])
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const opened = async () => {
  const recording = await catalogued(engines, { duration: 24 })
  await viewable(engines, recording)
  const { id, playerUrl } = await openViewing(engines, investigator, recording, 'case 12/3456')
  const token = playerUrl.split('/').at(-2) ?? ''
  return {
    token,
    /** A segment that was asked for, and of which nothing was sent yet. */
    ask: async (name: string) => await segmentAt(engines, token, 'hls', name),
    send: async (served: Served) => await buffer(await openServed(engines, token, served, never)),
    row: async () =>
      await engines.db
        .selectFrom('viewings')
        .select(['expiresAt', 'watched'])
        .where('id', '=', id)
        .executeTakeFirstOrThrow(),
    endings: async () =>
      (await entriesAbout(engines, recording)).filter(({ action }) => action === 'recording.viewing-ended'),
  }
}

describe('a page that is left', () => {
  test('stays left although a segment is still on its way, which is on record', async () => {
    const { token, ask, send, row, endings } = await opened()
    const segment = await ask('00001.m4s')
    later(60)
    await leaveViewing(engines, token)
    await send(segment)
    expect(await row()).toEqual({ expiresAt: inSeconds(20), watched: [[0, 6]] })
    later(20)
    await closeViewings(engines, never)
    expect(await endings()).toMatchObject([{ detail: { watched: [[0, 6]] } }])
  })

  test('stays left although one of several segments on their way was on record before', async () => {
    const { token, ask, send, row } = await opened()
    const [first, second] = [await ask('00001.m4s'), await ask('00003.m4s')]
    later(60)
    await send(first)
    await leaveViewing(engines, token)
    await send(second)
    expect(await row()).toEqual({
      expiresAt: inSeconds(20),
      watched: [
        [0, 6],
        [12, 18],
      ],
    })
  })

  test('stays left although it said at that moment that somebody is there', async () => {
    const { token, row } = await opened()
    later(60)
    const asking = await viewingAt(engines, token)
    await leaveViewing(engines, token)
    await liveOn(engines, asking)
    expect((await row()).expiresAt).toEqual(inSeconds(20))
  })

  test('stays left although nobody had watched for so long that it was to end sooner still', async () => {
    const { token, ask, send, row } = await opened()
    later(595)
    const [first, second] = [await ask('00001.m4s'), await ask('00002.m4s')]
    await send(first)
    await leaveViewing(engines, token)
    await send(second)
    expect(await row()).toEqual({ expiresAt: inSeconds(20), watched: [[0, 12]] })
  })

  test('lives on when it is loaded again, whatever was on its way before', async () => {
    const { token, ask, send, row } = await opened()
    const segment = await ask('00001.m4s')
    later(60)
    await leaveViewing(engines, token)
    later(1)
    await stateAt(engines, token, true)
    expect((await row()).expiresAt).toEqual(inSeconds(600))
    await send(segment)
    expect(await row()).toEqual({ expiresAt: inSeconds(600), watched: [[0, 6]] })
    await leaveViewing(engines, token)
    later(19)
    await send(await ask('00001.m4s'))
    expect((await row()).expiresAt).toEqual(inSeconds(600))
    later(599)
    expect(await codeOf(stateAt(engines, token))).toBe('accepted')
  })
})
