import { describe, expect, test } from 'vitest'
import { framesOfRange, type Look, NoEntrance } from '../../src/clips/frames.ts'

const rate = 5
const streams = { codec: 'h264', timeBase: { num: 1, den: 1000 } }
const zero = 1400

/** Milliseconds on the file's clock of frames from one second of the recording to another. */
const frames = (from: number, to: number): number[] =>
  Array.from({ length: (to - from) * rate }, (_, n) => zero + (from * 1000 + (n * 1000) / rate))

/**
 * A container that is entered by time stamp alone: what is decoded begins with the first key frame from there on. `marked`:
 * which of them are said to be such.
 */
const entered = (all: number[], keys: number[], marked = keys) => {
  const from: (number | null)[] = []
  const look: Look = async (interval) => {
    from.push(interval.from)
    const at = all.findLastIndex((pts) => pts <= (interval.from ?? 0) * 1000)
    const key = all.findIndex((pts, n) => n >= at && keys.includes(pts))
    const found = key === -1 ? [] : all.slice(key).filter((pts) => pts < interval.to * 1000)
    return found.map((pts) => ({ pts, duration: 200, key: marked.includes(pts) }))
  }
  return { look, from }
}
const keyEvery = (all: number[], seconds: number) => all.filter((_, n) => n % (seconds * rate) === 0)

test.for([
  ['the middle of one group', 15, 22],
  ['the first group', 5, 8],
  ['the beginning', 0, 3],
  ['the last frames', 299, 300],
  ['more than one piece', 33, 290],
] as const)('of a container that is entered in mid-group, all are found: %s', async ([, start, end]) => {
  const all = frames(0, 300)
  const { look } = entered(all, keyEvery(all, 10))
  const { wanted, after, seek } = await framesOfRange(look, zero, streams, { start, end })
  expect(wanted).toEqual(frames(start, end))
  expect(after).toBe(zero + end * 1000)
  expect(seek === null || seek * 1000 <= zero + (Math.floor(start / 10) * 10 - 2) * 1000).toBe(true)
})

test('frames after a long gap are found, and past the end the search comes to its own', async () => {
  const all = [...frames(0, 40), ...frames(700, 720)]
  const { look, from } = entered(all, [...keyEvery(frames(0, 40), 10), ...keyEvery(frames(700, 720), 10)])
  const allowed: number[] = []
  const timed: Look = async (interval, seconds) => {
    allowed.push(seconds)
    return await look(interval, seconds)
  }
  for (const end of [86_400, 10_000_000]) {
    const { wanted } = await framesOfRange(timed, zero, streams, { start: 20, end })
    expect(wanted).toEqual([...frames(20, 40), ...frames(700, 720)])
  }
  expect(from.length).toBeLessThan(50)
  expect(Math.max(...allowed)).toBe(86_400)
})

test('times that are guessed right after the entrance of a piece are none of the piece before it', async () => {
  const all = frames(0, 300)
  const { look } = entered(all, keyEvery(all, 1))
  const guessing: Look = async (interval, seconds) =>
    (await look(interval, seconds)).map((frame, n) => (n < rate ? { ...frame, pts: frame.pts + 100 } : frame))
  const { wanted } = await framesOfRange(guessing, zero, streams, { start: 33, end: 290 })
  expect(wanted).toEqual(frames(33, 290))
})

test('without a key frame before them none are taken for all there is', async () => {
  const all = frames(0, 3000)
  const { look, from } = entered(all, [zero, zero + 2_500_000])
  const range = { start: 2000, end: 2600 }
  await expect(framesOfRange(look, zero, streams, range)).rejects.toBeInstanceOf(NoEntrance)
  expect(from.length).toBeLessThan(12)
  // Near the beginning they are listed from there.
  expect((await framesOfRange(look, zero, streams, { start: 600, end: 610 })).wanted).toEqual(frames(600, 610))
})

describe('where no key frame is marked as such', () => {
  test('the frames are those that two entrances list alike, far into a recording too', async () => {
    const all = frames(0, 3000)
    const { look, from } = entered(all, keyEvery(all, 3), [zero])
    const { wanted, after, seek } = await framesOfRange(look, zero, streams, { start: 2000, end: 2600 })
    expect([wanted, after]).toEqual([frames(2000, 2600), zero + 2_600_000])
    expect(seek).toBeLessThanOrEqual(1.4 + 1995)
    // No piece is entered from further back than the one before it: a long range would find no end.
    expect(from.at(-1)).toBeCloseTo(1.4 + 2480 - 8)
  })

  test('one entrance that was come upon twice is no two of them', async () => {
    const all = frames(0, 300)
    const plain = entered(all, keyEvery(all, 10), [zero])
    const stray = { pts: zero + 114_800, duration: 200, key: false }
    // A frame that is shown before its key frame is, and others between them are not.
    const look: Look = async (interval, seconds) => {
      const found = await plain.look(interval, seconds)
      return found[0]?.pts === zero + 120_000 ? [stray, ...found] : found
    }
    const { wanted } = await framesOfRange(look, zero, streams, { start: 115, end: 122 })
    expect(wanted).toEqual(frames(115, 122))
  })

  test.for(['hevc', 'mpeg4'])('nothing is entered among the ruins that a decoder of %s shows', async (codec) => {
    const all = frames(0, 3000)
    const { look } = entered(all, all, [zero, zero + 1_980_000])
    const range = { start: 2000, end: 2010 }
    const { wanted, seek } = await framesOfRange(look, zero, { ...streams, codec }, range)
    expect(wanted).toEqual(frames(2000, 2010))
    expect(seek).toBeLessThanOrEqual(1.4 + 1980)
    const unmarked = entered(all, all, [zero])
    const search = framesOfRange(unmarked.look, zero, { ...streams, codec }, range)
    await expect(search).rejects.toBeInstanceOf(NoEntrance)
  })
})
