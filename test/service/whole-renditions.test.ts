import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RecordingId } from '../../src/base/ids.ts'
import { makeFfmpeg } from '../../src/engines/ffmpeg.ts'
import type { Person } from '../../src/people/person.ts'
import { makeOwed, takeAndShow } from '../../src/renditions/actions.ts'
import type { Uploader } from '../../src/uploads/actions.ts'
import { openViewing } from '../../src/viewings/opening.ts'
import { masterAt, stateAt } from '../../src/viewings/reading.ts'
import { openServed, segmentAt } from '../../src/viewings/watching.ts'
import { someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { aDock, problemOf, runOf, sendFile } from '../footsteps.ts'
import { bytesOf, ffmpeg, ffprobe, flashAndBeep, joined, pictures, type Shown, show, shownOf } from '../shown.ts'

let engines: TestEngines
let dock: Uploader
let investigator: Person
let folder: string

beforeAll(async () => {
  engines = await testEngines()
  dock = await aDock(engines)
  investigator = await someone(engines, ['investigator'])
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-whole-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await engines[Symbol.asyncDispose]()
})

const at = (name: string) => path.join(folder, name)
const picture = (seconds: number) => ['-f', 'lavfi', '-i', `testsrc2=s=320x240:r=25:d=${seconds}`]
const sound = (seconds: number) => ['-f', 'lavfi', '-i', `sine=d=${seconds}`]
const reordered = ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '3', '-g', '50', '-pix_fmt', 'yuv420p']

const lasts = (shown: Shown | undefined): number => shown?.objects.reduce((sum, { duration }) => sum + duration, 0) ?? 0

/** What is on record once somebody was sent every piece. */
const seenOf = async (recording: RecordingId, { objects }: Shown) => {
  const { playerUrl } = await openViewing(engines, investigator, recording, 'to see it all')
  const token = playerUrl.split('/').at(-2) ?? ''
  for (const { name } of objects) {
    const served = await segmentAt(engines, token, 'hls', name)
    await buffer(await openServed(engines, token, served, new AbortController().signal))
  }
  return (await stateAt(engines, token)).watched
}

const shownWhole = async (name: string) => {
  const recording = await show(engines, dock, at(name))
  const hls = (await shownOf(engines, recording)).get('hls')
  expect(hls?.row).toMatchObject({ state: 'ready', failure: null })
  if (hls === undefined) throw new Error('nothing is shown')
  return { recording, hls, file: await joined(engines, hls, at(`${name}.joined.mp4`)) }
}

test.for([
  ['AVI', 'avi', 'pcm_s16le'],
  ['ASF', 'wmv', 'wmav2'],
] as const)(
  'of %s, which does not say when a reordered picture is shown, every second seen is on record',
  async ([, ending, codec]) => {
    const name = `reordered.${ending}`
    const container = ending === 'wmv' ? ['-f', 'asf'] : []
    await ffmpeg(...picture(14), ...sound(14), ...reordered, '-c:a', codec, ...container, at(name))
    const { recording, hls, file } = await shownWhole(name)
    expect(hls.row.facts.method).toBe('transcode')
    expect(await pictures(file)).toBe(14 * 25)
    expect(Math.abs(lasts(hls) - 14)).toBeLessThan(0.1)
    const [[from, to] = [], ...others] = await seenOf(recording, hls)
    expect(others).toEqual([])
    expect(from).toBe(0)
    expect(Math.abs((to ?? 0) - 14)).toBeLessThan(0.1)
  },
)

test.for([
  ['kept', 'mp4', [...reordered, '-c:a', 'aac']],
  ['encoded anew', 'mov', ['-c:v', 'mjpeg', '-c:a', 'pcm_s16le']],
] as const)('sound that goes on after the last picture, %s, is heard on record', async ([, ending, words]) => {
  const name = `heard.${ending}`
  await ffmpeg(...picture(8), ...sound(20), ...words, at(name))
  const { recording, hls } = await shownWhole(name)
  expect(Math.abs(lasts(hls) - 20)).toBeLessThan(0.1)
  const [[from, to] = []] = await seenOf(recording, hls)
  expect(from).toBe(0)
  expect(Math.abs((to ?? 0) - 20)).toBeLessThan(0.1)
})

test('a cover is no picture: sound that has one is listened to from its beginning to its end', async () => {
  await ffmpeg(...picture(1), '-frames:v', '1', at('cover.png'))
  const words = ['-map', '0:a', '-map', '1:v', '-c:a', 'aac', '-c:v', 'copy', '-disposition:v', 'attached_pic']
  await ffmpeg(...sound(14), '-i', at('cover.png'), ...words, at('covered.m4a'))
  const { recording, hls } = await shownWhole('covered.m4a')
  expect([...(await shownOf(engines, recording)).keys()]).toEqual(['hls'])
  expect(hls.row.facts.method).toBe('remux')
  const [[from, to] = []] = await seenOf(recording, hls)
  expect(from).toBe(0)
  expect(Math.abs((to ?? 0) - 14)).toBeLessThan(0.1)
})

test('footage whose own packets do not come out is awaited until it is encoded anew, and said to be', async () => {
  await ffmpeg(...picture(8), ...reordered, at('narrow.mp4'))
  const { recording } = await sendFile(engines, dock, await readFile(at('narrow.mp4')), { camera: 'CAM-NARROW' })
  const narrow = await makeFfmpeg({ log: engines.log, scratch: engines.scratch, limits: { outputBytes: 20_000 } })
  await takeAndShow({ ...engines, ffmpeg: narrow }, recording, runOf())
  const opening = () => problemOf(openViewing(engines, investigator, recording, 'too early'))
  expect(await opening()).toMatchObject({ code: 'not-playable-yet', retryAfter: expect.any(Number) })
  await makeOwed(engines, recording, runOf())
  const hls = (await shownOf(engines, recording)).get('hls')
  expect(hls?.row).toMatchObject({ state: 'ready', failure: null, facts: { method: 'transcode' } })
})

test.for<[string, string[], string[]]>([
  ['large', [...reordered], ['1280x720', '854x480']],
  ['narrow', [...reordered, '-vf', 'scale=960:720,setsar=4/3'], ['960x720', '854x480']],
  ['encoded', ['-c:v', 'mjpeg', '-vf', 'scale=640:480,setsar=4/3'], ['852x480']],
])(
  'the playlist of playlists says how large each form of a picture is, not the original: %s',
  async ([name, words, sizes]) => {
    await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=1280x720:r=25:d=2', ...words, at(`${name}.mov`))
    const recording = await show(engines, dock, at(`${name}.mov`))
    const { playerUrl } = await openViewing(engines, investigator, recording, 'to see how large it is')
    const master = await masterAt(engines, playerUrl.split('/').at(-2) ?? '')
    expect([...master.matchAll(/RESOLUTION=(\d+x\d+)/g)].map(([, size]) => size)).toEqual(sizes)
  },
)

test('what cannot be decoded to its end is shown as far as it can be, and says so', async () => {
  const words = ['-c:v', 'png', '-movflags', '+faststart']
  await ffmpeg(...picture(8), ...words, at('sound-end.mov'))
  const bytes = await readFile(at('sound-end.mov'))
  // Its last pictures are all there by the index, and cannot be read.
  await writeFile(at('spoilt-end.mov'), bytes.fill(0, Math.floor(bytes.length * 0.6)))
  const { recording, hls } = await shownWhole('spoilt-end.mov')
  expect(hls.row.facts.shownTo).toBeGreaterThan(4)
  expect(hls.row.facts.shownTo).toBeLessThan(6)
  const { playerUrl } = await openViewing(engines, investigator, recording, 'to see how far it goes')
  const { playable } = await stateAt(engines, playerUrl.split('/').at(-2) ?? '')
  expect(playable.hls?.shownTo).toBe(hls.row.facts.shownTo)
})

/** Seconds of the recording's time, as the packets have it. */
const spanOf = async (file: string, track: 'v' | 'a') => {
  const { packets } = await ffprobe(file, '-select_streams', track, '-show_entries', 'packet=pts_time,duration_time')
  const spans = (Array.isArray(packets) ? packets : []).map(({ pts_time, duration_time }) => ({
    from: Number(pts_time),
    to: Number(pts_time) + Number(duration_time ?? 0),
  }))
  return { from: Math.min(...spans.map(({ from }) => from)), to: Math.max(...spans.map(({ to }) => to)) }
}

const large = ['-f', 'lavfi', '-i', 'testsrc2=s=960x540:r=25:d=9']
const late = ['-itsoffset', '5', ...sound(4)]
test.for<[string, string, string[], number]>([
  ['ends early and is kept otherwise', 'early.mp4', [...large, ...sound(3), ...reordered, '-c:a', 'aac'], 2],
  ['ends early, in Matroska', 'early.mkv', [...picture(9), ...sound(3), ...reordered, '-c:a', 'aac'], 1],
  ['ends early and is encoded anew', 'early.avi', [...picture(9), ...sound(3), '-c:v', 'mjpeg', '-c:a', 'mp3'], 1],
  ['begins late', 'late.mp4', [...picture(9), ...late, ...reordered, '-c:a', 'aac'], 1],
])(
  'where sound %s, it is silent for the rest of the picture, which no player goes on without',
  async ([, name, words, count]) => {
    await ffmpeg(...words, at(name))
    const { recording } = await shownWhole(name)
    const moving = [...(await shownOf(engines, recording))].filter(([kind]) => kind === 'hls' || kind === 'proxy')
    expect(moving).toHaveLength(count)
    for (const [kind, shown] of moving) {
      const file = await joined(engines, shown, at(`${kind}-${name}.mp4`))
      const [seen, heard] = [await spanOf(file, 'v'), await spanOf(file, 'a')]
      expect(Math.abs(seen.to - 9)).toBeLessThan(0.05)
      expect(heard.to).toBeGreaterThan(seen.to - 0.05)
      expect(heard.to).toBeLessThan(seen.to + 0.1)
      expect(heard.from).toBeLessThan(0.05)
      expect(Math.abs(lasts(shown) - 9)).toBeLessThan(0.1)
    }
  },
)

const slow = ['-f', 'lavfi', '-i', 'testsrc2=s=860x500:r=5:d=30']
const slowly = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '10', '-pix_fmt', 'yuv420p', '-c:a', 'aac']
test.for<[string, string, string[]]>([
  ['ends long before the picture', 'long-early.mp4', [...slow, ...sound(4), ...slowly]],
  ['begins long after it', 'long-late.mp4', [...slow, '-itsoffset', '14', ...sound(16), ...slowly]],
  ['has a hole', 'hole.mp4', [...slow, ...sound(30), ...slowly, '-af', "aselect='not(between(t,4,17))'"]],
  ['has a hole, in Matroska', 'hole.mkv', [...slow, ...sound(30), ...slowly, '-af', "aselect='not(between(t,4,17))'"]],
  ['has not one packet', 'mute.mkv', [...slow, ...sound(30), ...slowly, '-af', 'aselect=0']],
])('where sound %s, every piece has as much of it as of the picture', async ([, name, words]) => {
  await ffmpeg(...words, at(name))
  const { recording, hls } = await shownWhole(name)
  expect(hls.row.facts.method).toBe('remux')
  const { hls: whole, proxy } = Object.fromEntries(await shownOf(engines, recording))
  for (const shown of [whole, proxy]) {
    expect(shown?.row.state).toBe('ready')
    const [init, ...pieces] = shown?.objects ?? []
    for (const piece of pieces) {
      const file = await joined(
        engines,
        shown && { ...shown, objects: [init, piece].flatMap((one) => one ?? []) },
        at('p'),
      )
      const [seen, heard] = [await spanOf(file, 'v'), await spanOf(file, 'a')]
      expect(Math.abs(heard.from - seen.from), `${piece.name} begins`).toBeLessThan(0.5)
      expect(Math.abs(heard.to - seen.to), `${piece.name} ends`).toBeLessThan(0.5)
      expect(Math.abs(seen.to - seen.from - piece.duration)).toBeLessThan(0.5)
    }
    expect(Math.abs(lasts(shown) - 30)).toBeLessThan(0.5)
  }
})

test.for([
  ['has a hole', 'step-hole.mp4', 20, ['-af', "aselect='not(between(t,3,16))'"]],
  ['has a hole, in a transport stream', 'step-hole.ts', 20, ['-af', "aselect='not(between(t,3,16))'"]],
  ['ends early', 'step-early.mov', 2, ['-af', 'atrim=end=5']],
  ['begins late', 'step-late.mkv', 20, ['-af', 'atrim=start=14']],
] as const)('where sound %s, it stays in step with the picture', async ([, name, second, words]) => {
  const when = `between(t,${second},${second}.4)`
  const flash = `color=black:s=320x240:r=25:d=26,drawbox=color=white:t=fill:enable='${when}'`
  const beep = `aevalsrc='if(${when},0.8*sin(2*PI*1000*t),0)':s=48000:d=26`
  await ffmpeg('-f', 'lavfi', '-i', flash, '-f', 'lavfi', '-i', beep, ...reordered, '-c:a', 'aac', ...words, at(name))
  const { hls, file } = await shownWhole(name)
  expect(hls.row.facts).toMatchObject({ method: 'remux', soundApart: true })
  const found = await flashAndBeep(file)
  expect(Math.abs(found.flash - found.beep)).toBeLessThan(0.04)
  expect(Math.abs(found.flash - second)).toBeLessThan(0.05)
})

/** Of the tracks that a form begins, how many are to begin by an edit that is empty: not every player heeds one. */
const emptyEdits = async (shown: Shown): Promise<number> => {
  const init = await bytesOf(engines, shown, 'init.mp4')
  let count = 0
  for (let at = init.indexOf('elst'); at !== -1; at = init.indexOf('elst', at + 4)) {
    const mediaTime = init[at + 4] === 1 ? Number(init.readBigInt64BE(at + 20)) : init.readInt32BE(at + 16)
    if (mediaTime === -1) count += 1
  }
  return count
}

test.for([
  ['MP4', 'behind.mp4', reordered],
  ['a transport stream', 'behind.ts', reordered],
  ['MJPEG', 'behind.mov', ['-c:v', 'mjpeg']],
] as const)('where the picture begins after the sound, in %s, it is black until then', async ([, name, words]) => {
  const flash = "color=gray:s=320x240:r=25:d=10,drawbox=color=white:t=fill:enable='between(t,6,6.4)'"
  await ffmpeg('-f', 'lavfi', '-i', flash, ...words, at(`picture-${name}`))
  const beep = "aevalsrc='if(between(t,7.6,8),0.8*sin(2*PI*1000*t),0)':s=48000:d=11.6"
  const inputs = ['-itsoffset', '1.6', '-i', at(`picture-${name}`), '-f', 'lavfi', '-i', beep]
  await ffmpeg(...inputs, '-c:v', 'copy', '-c:a', 'aac', at(name))
  const { hls, file } = await shownWhole(name)
  expect(hls.row.facts.method).toBe('transcode')
  expect(await emptyEdits(hls)).toBe(0)
  const found = await flashAndBeep(file)
  expect(Math.abs(found.flash - found.beep)).toBeLessThan(0.04)
  expect(Math.abs(found.flash - 7.6)).toBeLessThan(0.05)
  expect((await spanOf(file, 'v')).from).toBe(0)
})

test('a transport stream whose clock jumps ahead is shown', async () => {
  for (const [part, from] of [
    ['one', 0],
    ['two', 60],
  ] as const)
    await ffmpeg(
      ...picture(8),
      ...sound(8),
      ...reordered,
      '-c:a',
      'aac',
      '-output_ts_offset',
      `${from}`,
      at(`${part}.ts`),
    )
  await writeFile(at('jump.ts'), Buffer.concat([await readFile(at('one.ts')), await readFile(at('two.ts'))]))
  const { hls } = await shownWhole('jump.ts')
  expect(Math.abs(lasts(hls) - 16)).toBeLessThan(1)
})
