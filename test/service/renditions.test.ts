import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hex, sha256 } from '../../src/base/digest.ts'
import { makeFfmpeg } from '../../src/engines/ffmpeg.ts'
import { makeStore } from '../../src/engines/store.ts'
import { makeOwed, remakeRenditions, takeAndShow } from '../../src/renditions/actions.ts'
import { renditionPrefix } from '../../src/renditions/rendition.ts'
import type { Uploader } from '../../src/uploads/actions.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { faultyStore } from '../faulty-store.ts'
import { aDock, runOf, sendFile } from '../footsteps.ts'
import { longTest, someOf } from '../long.ts'
import { bytesOf, ffmpeg, ffprobe, flashAndBeep, joined, pictures, type Shown, show, shownOf } from '../shown.ts'

let engines: TestEngines
let dock: Uploader
let folder: string

beforeAll(async () => {
  engines = await testEngines()
  dock = await aDock(engines)
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-shown-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await engines[Symbol.asyncDispose]()
})

const at = (name: string) => path.join(folder, name)
const seconds = 14
const flashAt = 8

/** Black and silent but for a flash and a beep at the same moment. */
const picture = (more = '') =>
  `color=black:s=320x240:r=25:d=${seconds},drawbox=color=white:t=fill:enable='between(t,${flashAt},${flashAt}.4)'${more}`
const sound = (rate = 48_000) =>
  `aevalsrc='if(between(t,${flashAt},${flashAt}.4),0.8*sin(2*PI*1000*t),0)':s=${rate}:d=${seconds}`
const both = (more = '', rate = 48_000) => ['-f', 'lavfi', '-i', picture(more), '-f', 'lavfi', '-i', sound(rate)]
const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '50']
const aac = ['-c:a', 'aac', '-ac', '1']

const durationOf = async (file: string): Promise<number> => {
  const { format } = await ffprobe(file, '-show_entries', 'format=duration')
  return typeof format === 'object' && format !== null && 'duration' in format ? Number(format.duration) : Number.NaN
}

const kindsIn = (shown: Map<string, Shown>) => [...shown].map(([kind, { row }]) => `${kind} ${row.state}`).sort()

type Source = { what: string; name: string; words: string[]; method: 'remux' | 'transcode' }
const sources: Source[] = [
  { what: 'H.264 with AAC', name: 'usual.mp4', words: [...both(), ...h264, ...aac], method: 'remux' },
  {
    what: 'H.264 with B-frames at 29.97 frames a second',
    name: 'bframes.mp4',
    words: [...both(',fps=30000/1001'), '-c:v', 'libx264', '-bf', '3', '-g', '50', ...aac],
    method: 'remux',
  },
  {
    what: 'HEVC',
    name: 'hevc.mp4',
    words: [...both(), '-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=none', ...aac],
    method: 'transcode',
  },
  {
    what: 'MJPEG with PCM at 29.97 frames a second',
    name: 'mjpeg.avi',
    words: [...both(',fps=30000/1001'), '-c:v', 'mjpeg', '-c:a', 'pcm_s16le'],
    method: 'transcode',
  },
  {
    what: 'H.264 with AAC in a transport stream',
    name: 'usual.ts',
    words: [...both(), ...h264, '-bf', '2', ...aac],
    method: 'remux',
  },
  {
    what: 'a variable frame rate',
    name: 'vfr.mp4',
    words: [...both(",select='not(mod(n,3))+gt(t,5)'"), '-fps_mode', 'vfr', ...h264, ...aac],
    method: 'remux',
  },
  {
    what: 'H.264 with G.711 sound',
    name: 'alaw.mov',
    words: [...both('', 8000), ...h264, '-c:a', 'pcm_alaw'],
    method: 'remux',
  },
  { what: 'H.264 with AAC in QuickTime', name: 'quick.mov', words: [...both(), ...h264, ...aac], method: 'remux' },
  { what: 'H.264 with AAC in Matroska', name: 'usual.mkv', words: [...both(), ...h264, ...aac], method: 'remux' },
  { what: 'H.264 with PCM sound', name: 'pcm.mov', words: [...both(), ...h264, '-c:a', 'pcm_s16le'], method: 'remux' },
  {
    what: 'a start time that is not zero',
    name: 'late.mp4',
    words: [...both(), ...h264, ...aac, '-output_ts_offset', '3'],
    method: 'remux',
  },
  { what: 'MPEG-4 part 2', name: 'mpeg4.avi', words: [...both(), '-c:v', 'mpeg4', '-c:a', 'mp3'], method: 'transcode' },
  {
    what: 'frames of odd size',
    name: 'odd.mp4',
    words: [...both(',scale=321:241'), '-c:v', 'libx264', '-pix_fmt', 'yuv444p', ...aac],
    method: 'transcode',
  },
]

describe('what is made to be watched of', () => {
  test.for(someOf(6, sources))(
    '$what plays in browsers, as long as the original, sound and picture in step',
    async ({ name, words, method }) => {
      await ffmpeg(...words, at(name))
      const original = await durationOf(at(name))
      const recording = await show(engines, dock, at(name))
      const shown = await shownOf(engines, recording)
      expect([...shown].map(([kind, { row }]) => [kind, row.state])).toEqual(
        expect.arrayContaining([
          ['hls', 'ready'],
          ['poster', 'ready'],
          ['storyboard', 'ready'],
        ]),
      )
      const hls = shown.get('hls')
      expect(hls?.row.facts.method).toBe(method)
      const file = await joined(engines, hls, at(`${name}.joined.mp4`))
      const { streams } = await ffprobe(file, '-show_entries', 'stream=codec_name,pix_fmt')
      expect(streams).toEqual([{ codec_name: 'h264', pix_fmt: 'yuv420p' }, { codec_name: 'aac' }])
      if (!name.startsWith('vfr')) expect(await pictures(file)).toBe(await pictures(at(name)))
      const { flash, beep } = await flashAndBeep(file)
      expect(Math.abs(flash - beep)).toBeLessThan(0.04)
      const listed = hls?.objects.reduce((sum, { duration }) => sum + duration, 0) ?? 0
      const whole = name === 'late.mp4' ? original - 3 : original
      expect(Math.abs(listed - Math.min(whole, seconds))).toBeLessThanOrEqual(0.041)
    },
  )
})

const shownFrom = async (name: string) => {
  const recording = await show(engines, dock, at(name))
  const shown = await shownOf(engines, recording)
  const hls = shown.get('hls')
  expect(hls?.row.state).toBe('ready')
  return { shown, hls, file: await joined(engines, hls, at(`${name}.joined.mp4`)) }
}
const listedSeconds = (hls: Shown | undefined) => hls?.objects.reduce((sum, { duration }) => sum + duration, 0) ?? 0

test('footage without sound is shown without', async () => {
  await ffmpeg('-f', 'lavfi', '-i', picture(), ...h264, at('mute.mp4'))
  const { file } = await shownFrom('mute.mp4')
  expect((await ffprobe(file, '-show_entries', 'stream=codec_type')).streams).toEqual([{ codec_type: 'video' }])
})

test('a camera held upright is shown upright', async () => {
  await ffmpeg(...both(), ...h264, ...aac, at('lying.mp4'))
  await ffmpeg('-i', at('lying.mp4'), '-c', 'copy', '-metadata:s:v', 'rotate=90', at('upright.mp4'))
  const { hls, file } = await shownFrom('upright.mp4')
  expect(hls?.row.facts.method).toBe('transcode')
  const { streams } = await ffprobe(file, '-select_streams', 'v', '-show_entries', 'stream=width,height')
  expect(streams).toEqual([expect.objectContaining({ width: 240, height: 320 })])
})

test('what an edit list leaves out is not shown, and sound and picture stay in step', async () => {
  await ffmpeg(...both(), ...h264, ...aac, at('long.mp4'))
  await ffmpeg('-ss', '3.3', '-i', at('long.mp4'), '-c', 'copy', at('edited.mp4'))
  const { hls, file } = await shownFrom('edited.mp4')
  const { flash, beep } = await flashAndBeep(file)
  expect(Math.abs(flash - beep)).toBeLessThan(0.04)
  expect(Math.abs(listedSeconds(hls) - (seconds - 3.3))).toBeLessThan(0.05)
})

test('a file cut off at its end is shown as far as it goes', async () => {
  await ffmpeg(...both(), ...h264, ...aac, '-movflags', '+faststart', at('whole.mp4'))
  const whole = await readFile(at('whole.mp4'))
  await writeFile(at('cut.mp4'), whole.subarray(0, Math.floor(whole.length * 0.7)))
  const { file } = await shownFrom('cut.mp4')
  const shown = await durationOf(file)
  expect(shown).toBeGreaterThan(5)
  expect(shown).toBeLessThan(seconds)
})

test('footage of one frame, and footage with ten tracks of sound, are shown', async () => {
  await ffmpeg('-f', 'lavfi', '-i', 'color=white:s=320x240:r=25', '-frames:v', '1', ...h264, at('frame.mp4'))
  expect(kindsIn((await shownFrom('frame.mp4')).shown)).toEqual(['hls ready', 'poster ready', 'storyboard ready'])
  const ten = Array.from({ length: 10 }, () => ['-map', '1:a']).flat()
  await ffmpeg(...both(), '-map', '0:v', ...ten, ...h264, ...aac, at('ten.mp4'))
  const { file } = await shownFrom('ten.mp4')
  expect((await ffprobe(file, '-show_entries', 'stream=codec_type')).streams).toHaveLength(2)
})

test.for([
  ['full.avi', '-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p'],
  ['full.mp4', '-c:v', 'libx264', '-pix_fmt', 'yuvj420p'],
  ['narrow.avi', '-c:v', 'mpeg4'],
])(
  'white stays white and colours as strong as they were, in whichever range the camera wrote them: %s',
  async (words) => {
    const [name = '', ...how] = words
    const bars = ['white', 'red', 'lime', 'blue'].map((colour) => [
      '-f',
      'lavfi',
      '-i',
      `color=${colour}:s=160x240:r=25:d=2`,
    ])
    await ffmpeg(...bars.flat(), '-filter_complex', 'hstack=inputs=4,format=rgb24', ...how, at(name))
    const { file } = await shownFrom(name)
    await ffmpeg('-i', file, '-frames:v', '1', '-vf', 'format=rgb24', '-f', 'rawvideo', at(`${name}.raw`))
    const frame = await readFile(at(`${name}.raw`))
    const meant = [
      [255, 255, 255],
      [255, 0, 0],
      [0, 255, 0],
      [0, 0, 255],
    ]
    for (const [bar, colour] of meant.entries()) {
      const middle = 3 * (120 * 640 + 160 * bar + 80)
      for (const [part, value] of colour.entries())
        expect(Math.abs((frame[middle + part] ?? Number.NaN) - value)).toBeLessThan(12)
    }
  },
)

test('while footage is taken into custody and made playable, it is fetched from the store once', async () => {
  await ffmpeg(...both(',noise=alls=60:allf=t'), ...h264, ...aac, at('once.mp4'))
  const { recording } = await sendFile(engines, dock, await readFile(at('once.mp4')), { camera: 'CAM-ONCE' })
  await using counted = await faultyStore(engines.config.S3_ENDPOINT)
  const store = makeStore({ ...engines.config, S3_ENDPOINT: counted.endpoint })
  let fetched = 0
  counted.on('read', ({ request, pass }) => {
    if (request.url?.split('?')[0]?.endsWith(`/recordings/${recording}`)) fetched += 1
    pass()
  })
  await takeAndShow({ ...engines, store }, recording, runOf())
  store.close()
  expect(fetched).toBe(1)
  expect((await shownOf(engines, recording)).get('hls')?.row.state).toBe('ready')
})

test('of footage larger than a small screen there is a small form too', async () => {
  await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=1280x720:r=25:d=7', ...h264, at('large.mp4'))
  const { shown } = await shownFrom('large.mp4')
  expect(kindsIn(shown)).toEqual(['hls ready', 'poster ready', 'proxy ready', 'storyboard ready'])
  const file = await joined(engines, shown.get('proxy'), at('proxy.mp4'))
  const { streams } = await ffprobe(file, '-show_entries', 'stream=width,height')
  expect(streams).toEqual([expect.objectContaining({ width: 854, height: 480 })])
})

test('the pictures of a storyboard are the pictures at their times', async () => {
  // Grey that grows lighter by 10 each 2 seconds.
  await ffmpeg(
    '-f',
    'lavfi',
    '-i',
    "color=black:s=320x180:r=25:d=20,format=gray,geq=lum='10+20*floor(T/2)'",
    ...h264,
    at('steps.mp4'),
  )
  const { shown } = await shownFrom('steps.mp4')
  const board = shown.get('storyboard')
  expect(board?.row.facts).toEqual({ interval: 2, columns: 10, rows: 10, pictures: 10, width: 160, height: 90 })
  if (board === undefined) throw new Error('no storyboard')
  await writeFile(at('sheet.jpg'), await bytesOf(engines, board, 'sheet-000.jpg'))
  await ffmpeg(
    '-i',
    at('sheet.jpg'),
    '-vf',
    'crop=1600:90:0:0,scale=10:1:flags=area,format=gray',
    '-f',
    'rawvideo',
    at('sheet.raw'),
  )
  const greys = [...(await readFile(at('sheet.raw')))]
  for (const [index, grey] of greys.entries()) expect(Math.abs(grey - (10 + 20 * index))).toBeLessThan(14)
})

test('every rendition says of what, by which tool and words it was made, and what came out', async () => {
  await ffmpeg(...both(), ...h264, ...aac, at('record.mp4'))
  const recording = await show(engines, dock, at('record.mp4'))
  const original = await engines.db
    .selectFrom('recordings')
    .select('sha256')
    .where('id', '=', recording)
    .executeTakeFirstOrThrow()
  const all = await shownOf(engines, recording)
  expect(kindsIn(all)).toEqual(['hls ready', 'poster ready', 'storyboard ready'])
  for (const shown of all.values()) {
    const { row, objects } = shown
    expect(row).toMatchObject({
      state: 'ready',
      progress: 1,
      sourceSha256: original.sha256,
      tool: expect.stringMatching(/^ffmpeg \d/),
    })
    expect(row.arguments[0]).toEqual(expect.arrayContaining(['-i', 'file:original']))
    for (const { name, sha256: digest, size } of objects) {
      const bytes = await bytesOf(engines, shown, name)
      expect([hex(sha256(bytes)), bytes.length]).toEqual([digest, size])
    }
    expect(row.sha256).toBe(hex(sha256(Buffer.from(objects.map((object) => object.sha256).join(''), 'hex'))))
  }
})

test('sound alone can be listened to', async () => {
  await ffmpeg('-f', 'lavfi', '-i', sound(), ...aac, at('sound.m4a'))
  const recording = await show(engines, dock, at('sound.m4a'))
  expect(kindsIn(await shownOf(engines, recording))).toEqual(['hls ready'])
})

test('what no demuxer reads has no rendition, and is no failed job', async () => {
  await writeFile(at('noise.mp4'), Buffer.from('this is no film'.repeat(1000)))
  const recording = await show(engines, dock, at('noise.mp4'))
  expect(kindsIn(await shownOf(engines, recording))).toEqual([])
})

describe('footage that is not as it should be', () => {
  /** Writes another duration, in units of the movie's own scale, into the index of an MP4. */
  const lying = async (name: string, duration: number): Promise<void> => {
    await ffmpeg(...both(), ...h264, ...aac, at('honest.mp4'))
    const bytes = await readFile(at('honest.mp4'))
    for (const [box, offset] of [
      ['mvhd', 16],
      ['tkhd', 20],
      ['mdhd', 16],
    ] as const)
      for (let found = bytes.indexOf(box); found >= 0; found = bytes.indexOf(box, found + 4))
        bytes.writeUInt32BE(duration, found + 4 + offset)
    await writeFile(at(name), bytes)
  }

  test.for(
    someOf(1, [
      ['a day', 86_400_000],
      ['nothing', 0],
      ['less than nothing', 0xfff0_0000],
    ] as const),
  )('an index that says it lasts %s does not change how long it is shown', async ([, duration]) => {
    await lying('liar.mp4', duration)
    const { hls, file } = await shownFrom('liar.mp4')
    expect(Math.abs(listedSeconds(hls) - seconds)).toBeLessThan(0.1)
    const { flash, beep } = await flashAndBeep(file)
    expect(Math.abs(flash - beep)).toBeLessThan(0.04)
  })

  test('a picture that changes its size midway is shown in both sizes', async () => {
    const half = (size: string, name: string) =>
      ffmpeg('-f', 'lavfi', '-i', `testsrc2=s=${size}:r=25:d=4`, ...h264, '-f', 'h264', at(name))
    await half('320x240', 'one.h264')
    await half('640x360', 'two.h264')
    await writeFile(at('both.h264'), Buffer.concat([await readFile(at('one.h264')), await readFile(at('two.h264'))]))
    await ffmpeg('-r', '25', '-i', at('both.h264'), '-c', 'copy', at('changes.mp4'))
    const { shown, file } = await shownFrom('changes.mp4')
    expect(kindsIn(shown)).toEqual(['hls ready', 'poster ready', 'storyboard ready'])
    expect(await pictures(file)).toBe(2 * 4 * 25)
  })

  longTest('twelve hours of it are shown, and its storyboard stays small', async () => {
    await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=160x120:r=1:d=60', ...h264, '-g', '60', at('minute.mp4'))
    await ffmpeg('-stream_loop', '719', '-i', at('minute.mp4'), '-c', 'copy', at('hours.mp4'))
    const { shown, hls } = await shownFrom('hours.mp4')
    expect(Math.abs(listedSeconds(hls) - 12 * 3600)).toBeLessThan(1)
    expect(shown.get('storyboard')?.objects.length).toBeLessThanOrEqual(5)
  })

  test('ffmpeg stopped by its limits is a failed rendition with a reason, and the original can still be fetched', async () => {
    await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=s=1280x720:r=25:d=6', '-c:v', 'mjpeg', '-q:v', '2', at('heavy.avi'))
    const { recording } = await sendFile(engines, dock, await readFile(at('heavy.avi')))
    const scratch = engines.scratch
    const narrow = await makeFfmpeg({ log: engines.log, scratch, limits: { outputBytes: 20_000 } })
    await takeAndShow({ ...engines, ffmpeg: narrow }, recording, runOf())
    await makeOwed({ ...engines, ffmpeg: narrow }, recording, runOf())
    const hls = (await shownOf(engines, recording)).get('hls')
    expect(hls?.row).toMatchObject({ state: 'failed', failure: expect.stringContaining('can be downloaded') })
    expect(hls?.row.failure).not.toContain(engines.config.SCRATCH_DIR)
    const row = await engines.db
      .selectFrom('recordings')
      .select('status')
      .where('id', '=', recording)
      .executeTakeFirstOrThrow()
    expect(row.status).toBe('active')
  })

  test('renditions are made anew when an admin asks, and the old ones go', async () => {
    await ffmpeg(...both(), ...h264, ...aac, at('again.mp4'))
    const recording = await show(engines, dock, at('again.mp4'))
    const before = await shownOf(engines, recording)
    await remakeRenditions(engines, { kind: 'service', id: 'test' }, recording)
    await makeOwed(engines, recording, runOf())
    const after = await shownOf(engines, recording)
    expect([...after.values()].map(({ row }) => row.state)).toEqual(['ready', 'ready', 'ready'])
    for (const [kind, { row }] of before) {
      expect(after.get(kind)?.row.id).not.toBe(row.id)
      expect(await engines.store.list('derived', renditionPrefix(recording, row.id))).toEqual([])
    }
  })
})
