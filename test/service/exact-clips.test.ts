import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engines } from '../../src/engines/engines.ts'
import type { ClipMethod } from '../../src/engines/tables.ts'
import type { Person } from '../../src/people/person.ts'
import { someone } from '../catalogued.ts'
import { clipFile, cutNow, numbersIn, recorded, timesIn } from '../clipped.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { someOf } from '../long.ts'
import { numberedFrames } from '../numbered-frames.ts'
import { ffmpeg, ffprobe } from '../shown.ts'

let engines: TestEngines
let person: Person
let folder: string
beforeAll(async () => {
  engines = await testEngines({ env: { CLIPS_OWED: '1000' } })
  person = await someone(engines, ['investigator'])
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-exact-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await engines[Symbol.asyncDispose]()
})
const at = (name: string) => path.join(folder, name)

const seconds = 5
const picture = (rate = '25', more = '', long = seconds) => [
  '-f',
  'lavfi',
  '-i',
  `testsrc2=s=320x180:r=${rate}:d=${long},${numberedFrames}${more}`,
]
const sound = ['-f', 'lavfi', '-i', `sine=d=${seconds}`]
const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '25', '-sc_threshold', '0']
const bFrames = ['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '3', '-g', '25']
const aac = ['-c:a', 'aac']

/** What a range is asked for, by the times of the source's frames: `nth` gives one. */
type Ask = { what: string; range: (nth: (frame: number) => number, frames: number) => [number, number] }
const asks: Ask[] = [
  { what: 'the times of frames', range: (nth) => [nth(31), nth(97)] },
  { what: 'moments between frames', range: (nth) => [nth(30) + 0.011, nth(99) + 0.007] },
  { what: 'one frame alone', range: (nth) => [nth(60), nth(61)] },
  { what: 'the whole of it', range: (nth, frames) => [0, nth(frames - 1) + 0.02] },
  { what: 'the first frame', range: (nth) => [0, nth(1)] },
  { what: 'the last frame', range: (nth, frames) => [nth(frames - 1), nth(frames - 1) + 0.02] },
  { what: 'a part of one group of pictures', range: (nth) => [nth(53), nth(68)] },
  { what: 'a whole group of pictures', range: (nth) => [nth(50), nth(75)] },
]
const few = asks.slice(0, 2)
const edges = [...few, ...asks.slice(4, 6)]

type Source = {
  what: string
  name: string
  words: string[]
  /** Makes another file of the first. */
  again?: string[]
  /** Rewrites the file. */
  rewritten?: (bytes: Buffer) => Buffer
  asks: Ask[]
  /** For a range of several groups of pictures. */
  method: ClipMethod
}
const copied = 'copied-middle'
/** Entered by time stamp, which is hardly ever where a key frame is: one in ten seconds. */
const longGroups = (what: string, name: string, words: string[]): Source => ({
  what: `${what}, a key frame every ten seconds`,
  name,
  words: [...picture('25', '', 40), '-f', 'lavfi', '-i', 'sine=d=40', ...words, '-g', '250'],
  asks: [
    { what: 'from the middle of one group on', range: () => [15, 22] },
    { what: 'within the first group', range: () => [5, 8] },
  ],
  method: 'encoded',
})
/** A frame a second, so late that its beginning is further away than an entrance is looked for. */
const unmarked = (what: string, name: string, words: string[]): Source => ({
  what: `${what}, late in a long recording`,
  name,
  words: [...picture('1', ',scale=160:90:flags=neighbor', 1120), '-c:v', 'libx264', '-preset', 'ultrafast', ...words],
  asks: [{ what: 'its last minute', range: () => [1050, 1110] }],
  method: 'encoded',
})
/** Takes the time stamps of a programme stream's video out of all packets but those in which a group of pictures begins. */
const stampedByGroup = (bytes: Buffer): Buffer => {
  const packet = Buffer.from([0, 0, 1, 0xe0])
  const sequence = Buffer.from([0, 0, 1, 0xb3])
  for (let start = bytes.indexOf(packet); start !== -1; start = bytes.indexOf(packet, start + 6)) {
    const [flags, length] = [start + 7, bytes[start + 8] ?? 0]
    const payload = bytes.subarray(start + 9 + length, start + 6 + bytes.readUInt16BE(start + 4))
    if (payload.includes(sequence)) continue
    bytes.fill(0xff, start + 9, start + 9 + length)
    bytes[flags] = (bytes[flags] ?? 0) & 0x3f
  }
  return bytes
}
/** Containers and what is rarer last. */
const sources: Source[] = [
  longGroups('H.264 in a transport stream', 'long.ts', [...h264, ...aac]),
  longGroups('MPEG-2 in a programme stream', 'long.mpg', [
    ...['-c:v', 'mpeg2video', '-bf', '2', '-q:v', '4', '-sc_threshold', '1000000000', '-c:a', 'mp2'],
  ]),
  {
    what: 'MPEG-2 with a time stamp for each group alone, in more than one piece',
    name: 'stamped.vob',
    words: [...picture('5', ',scale=160:96:flags=neighbor', 130), '-c:v', 'mpeg2video', '-q:v', '4', '-bf', '2'].concat(
      ['-g', '6', '-sc_threshold', '1000000000'],
    ),
    rewritten: stampedByGroup,
    asks: [{ what: 'over two pieces', range: () => [5, 128] }],
    method: 'encoded',
  },
  unmarked('H.264 that is entered where nothing says so', 'unmarked.ts', [
    ...['-bf', '2', '-x264-params', 'open-gop=1:keyint=10:min-keyint=10:scenecut=0'],
    ...['-bsf:v', 'filter_units=remove_types=6'],
  ]),
  unmarked('H.264 that is refreshed bit by bit', 'refreshed.ts', [
    '-x264-params',
    'intra-refresh=1:keyint=10:bframes=0',
  ]),
  {
    what: 'H.264 without B-frames',
    name: 'plain.mp4',
    words: [...picture(), ...sound, ...h264, ...aac],
    asks: edges,
    method: copied,
  },
  {
    what: 'H.264 with B-frames at 30 a second, its index first',
    name: 'bframes.mp4',
    words: [...picture('30'), ...sound, ...bFrames, ...aac, '-movflags', '+faststart'],
    asks: [...few, ...asks.slice(6)],
    method: copied,
  },
  {
    what: 'H.264 at 29.97 a second without sound',
    name: 'ntsc.mp4',
    words: [...picture('30000/1001'), ...bFrames],
    asks: [...edges, ...asks.slice(6, 7)],
    method: copied,
  },
  {
    what: 'H.264 in QuickTime with a variable frame rate',
    name: 'vfr.mov',
    words: [
      ...picture('30', ",select='not(mod(n,3))+gt(t,1.5)*not(mod(n,2))+gt(t,3.2)'"),
      ...sound,
      '-fps_mode',
      'vfr',
    ].concat(bFrames, aac),
    asks: [...few, { what: 'part of it', range: (nth) => [nth(11), nth(63)] }],
    method: copied,
  },
  {
    what: 'H.264 with open groups of pictures',
    name: 'open.mp4',
    words: [...picture(), ...sound, ...bFrames, '-x264-params', 'open-gop=1', ...aac],
    asks: asks.slice(0, 4),
    method: 'encoded',
  },
  {
    what: 'HEVC',
    name: 'hevc.mp4',
    words: [
      ...picture('30'),
      ...sound,
      '-c:v',
      'libx265',
      '-preset',
      'ultrafast',
      '-x265-params',
      'log-level=none:keyint=40',
    ].concat(aac),
    asks: edges,
    method: 'encoded',
  },
  {
    what: 'MPEG-4 part 2 with B-frames',
    name: 'mpeg4.mp4',
    words: [...picture(), ...sound, '-c:v', 'mpeg4', '-q:v', '3', '-bf', '2', '-g', '25', ...aac],
    asks: few,
    method: 'encoded',
  },
  {
    what: 'H.264 whose edit list hides its beginning',
    name: 'edited.mp4',
    words: [...picture(), ...sound, ...bFrames, ...aac],
    again: ['-ss', '0.5', '-i', 'edited.mp4', '-c', 'copy'],
    asks: [{ what: 'part of it', range: (nth) => [nth(20), nth(80)] }],
    method: 'encoded',
  },
  {
    what: 'MPEG-4 part 2 in AVI',
    name: 'mpeg4.avi',
    words: [...picture(), ...sound, '-c:v', 'mpeg4', '-q:v', '3', '-g', '25', '-c:a', 'mp3'],
    asks: edges,
    method: 'encoded',
  },
  longGroups('MPEG-4 part 2 in a transport stream', 'mpeg4.ts', [
    ...['-c:v', 'mpeg4', '-q:v', '3', '-bf', '2', '-sc_threshold', '1000000000', ...aac],
  ]),
  {
    what: 'MJPEG in AVI at 29.97 a second without sound',
    name: 'mjpeg.avi',
    words: [...picture('30000/1001'), '-c:v', 'mjpeg', '-q:v', '4'],
    asks: few,
    method: 'encoded',
  },
  {
    what: 'H.264 that begins late',
    name: 'late.mp4',
    words: [...picture(), ...sound, ...bFrames, ...aac, '-output_ts_offset', '3'],
    asks: few,
    method: copied,
  },
  {
    what: 'H.264 in fragments',
    name: 'fragments.mp4',
    words: [...picture(), ...sound, ...bFrames, ...aac, '-movflags', 'frag_keyframe+empty_moov'],
    asks: few,
    method: 'encoded',
  },
  {
    what: 'H.264 in Matroska',
    name: 'usual.mkv',
    words: [...picture(), ...sound, ...bFrames, ...aac],
    asks: few,
    method: 'encoded',
  },
  {
    what: 'H.264 in a transport stream',
    name: 'usual.ts',
    words: [...picture(), ...sound, ...bFrames, ...aac],
    asks: few,
    method: 'encoded',
  },
  {
    what: 'H.264 with uncompressed sound',
    name: 'pcm.mov',
    words: [...picture(), ...sound, ...bFrames, '-c:a', 'pcm_s16le'],
    asks: few,
    method: copied,
  },
  {
    what: 'interlaced H.264',
    name: 'fields.mp4',
    words: [...picture(), ...sound, ...bFrames, '-flags', '+ilme+ildct', ...aac],
    asks: few,
    method: 'encoded',
  },
]

const made = async (reached: Engines, { name, words, again, rewritten }: Source) => {
  const file = at(name)
  await ffmpeg(...words, file)
  if (rewritten !== undefined) await writeFile(file, rewritten(await readFile(file)))
  if (again !== undefined) await ffmpeg(...again.map((word) => (word === name ? file : word)), at(`again-${name}`))
  const source = again === undefined ? file : at(`again-${name}`)
  const [times, numbers] = [await timesIn(source), await numbersIn(source)]
  expect(times.length).toBe(numbers.length)
  const zero = times[0] ?? 0
  return {
    recording: await recorded(reached, source),
    frames: times.map((time, n) => ({ t: time - zero, number: numbers[n] })),
  }
}

describe('a clip holds the frames of its range, each at its time, and no other', () => {
  test.for(someOf(13, sources))('of $what', async (source) => {
    const { recording, frames } = await made(engines, source)
    const nth = (frame: number) => Number((frames[frame]?.t ?? Number.NaN).toFixed(6))
    const check = async ({ what, range }: Ask): Promise<void> => {
      const [start, end] = range(nth, frames.length)
      const wanted = frames.filter(({ t }) => t >= start - 1e-6 && t < end - 1e-6)
      const clip = await cutNow(engines, person, recording, [start, end])
      expect(clip.failure, what).toBeNull()
      const file = await clipFile(engines, clip, at(`${clip.id}.mp4`))
      expect(await numbersIn(file), what).toEqual(wanted.map(({ number }) => number))
      const times = await timesIn(file)
      expect(times[0]).toBe(0)
      for (const [n, time] of times.entries())
        expect(Math.abs(time - ((wanted[n]?.t ?? 0) - (wanted[0]?.t ?? 0)))).toBeLessThan(2e-6)
      expect(await numbersIn(file, '-ignore_editlist', '1'), what).toHaveLength(wanted.length)
      expect(clip).toMatchObject({ state: 'ready', progress: 1, frames: wanted.length })
      expect(clip.provenance?.checks.filter((said) => said.includes('damaged'))).toEqual([])
      if (wanted.length > 50 && wanted.length < frames.length)
        expect([what, clip.method]).toEqual([what, source.method])
      const { streams } = await ffprobe(file, '-show_entries', 'stream=codec_name,pix_fmt')
      const heard = source.words.includes('-c:a') && wanted.length > 1
      if (heard) expect(streams).toEqual([{ codec_name: 'h264', pix_fmt: 'yuv420p' }, { codec_name: 'aac' }])
      else expect(streams).toContainEqual({ codec_name: 'h264', pix_fmt: 'yuv420p' })
    }
    for (let n = 0; n < source.asks.length; n += 2) await Promise.all(source.asks.slice(n, n + 2).map(check))
  })
})
