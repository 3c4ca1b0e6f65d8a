import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { altered, boxAt, boxesAt, nmeaSubtitles, openStudio, type Studio } from '../footage.ts'

let studio: Studio
beforeAll(async () => {
  studio = await openStudio()
})
afterAll(async () => await studio[Symbol.asyncDispose]())

const whole = { truncated: { is: false }, unplayable: false, silentStart: false, notes: [] }
const video = { kind: 'video', width: 320, height: 240, frameRate: 25 }
const sound = { kind: 'audio', codec: 'aac', channels: 1, sampleRate: 48_000 }

test.for(['index-first', 'index-last', 'fragmented'] as const)(
  'an MP4 with its layout %s is whole, and its tracks are described',
  async (layout) => {
    const found = await studio.examine(await studio.make(`${layout}.mp4`, { layout }))
    expect(found).toMatchObject({ ...whole, container: 'mp4', mediaType: 'video/mp4', startTime: 0 })
    expect(found.duration).toBeCloseTo(3, 1)
    expect(found.tracks).toMatchObject([{ kind: 'video', codec: 'h264', width: 320, packets: 75 }, sound])
  },
)

test.for([
  ['mpeg4.mp4', 'mpeg4', 'mp4'],
  ['hevc.mp4', 'hevc', 'mp4'],
  ['mjpeg.avi', 'mjpeg', 'avi'],
  ['h264.mkv', 'h264', 'matroska'],
  ['h264.mov', 'h264', 'mov'],
] as const)('%s is %s in a container of its own', async ([name, codec, container]) => {
  const found = await studio.examine(await studio.make(name, { video: codec }))
  expect(found).toMatchObject({ ...whole, container })
  expect(found.tracks).toMatchObject([{ ...video, codec }, { kind: 'audio' }])
  expect(found.duration).toBeCloseTo(3, 0)
})

test.for([
  ['h264.ts', 'h264', 'mpeg-ts'],
  ['mpeg4.mpg', 'mpeg4', 'mpeg-ps'],
] as const)('%s is described too, and it is said that its end cannot be checked', async ([name, codec, container]) => {
  const found = await studio.examine(await studio.make(name, { video: codec }))
  expect(found).toMatchObject({ container, truncated: { is: false }, unplayable: false })
  expect(found.tracks).toMatchObject([{ ...video, codec }, { kind: 'audio' }])
  expect(found.notes.join()).toContain('does not say where it ends')
})

test('a file without sound is no defect', async () => {
  const found = await studio.examine(await studio.make('mute.mp4', { sound: null, seconds: 6 }))
  expect(found).toMatchObject({ ...whole, tracks: [video] })
})

test('a file of sound alone is playable', async () => {
  const found = await studio.examine(await studio.make('audio.mp4', { video: null }))
  expect(found).toMatchObject({ ...whole, tracks: [sound] })
})

test('a start time that is not zero is recorded', async () => {
  const found = await studio.examine(await studio.make('late.mp4', { startTime: 2, sound: null }))
  expect(found).toMatchObject({ ...whole, startTime: 2 })
})

test.for([
  ['digital silence before it', { silentUntil: 30 }, true],
  ['no samples before it', { absentUntil: 30 }, true],
  ['silence too short to matter', { silentUntil: 3 }, false],
] as const)('a recording whose sound starts with %s', async ([what, sound, silentStart]) => {
  const file = await studio.make(`${what.replaceAll(' ', '-')}.mp4`, { seconds: 40, sound })
  expect(await studio.examine(file)).toMatchObject({ ...whole, silentStart })
})

test('a recording that is silent throughout does not start silent: nothing follows', async () => {
  const found = await studio.examine(await studio.make('silent.mp4', { seconds: 10, sound: { silentUntil: 60 } }))
  expect(found).toMatchObject({ silentStart: false, notes: ['no sound at all'] })
})

test.for([
  ['place.mov', '©xyz'],
  ['place.mp4', 'loci'],
  ['place.3gp', 'loci'],
  ['place.mkv', 'tag'],
] as const)('%s carries its position as %s', async ([name, source]) => {
  const { position } = await studio.examine(await studio.make(name, { location: '+51.5007-000.1246/' }))
  expect(position?.source).toBe(source)
  expect(position?.latitude).toBeCloseTo(51.5007, 4)
  expect(position?.longitude).toBeCloseTo(-0.1246, 4)
})

test.for(['nmea.mp4', 'nmea.mkv'])('%s carries its position as NMEA lines in a text track', async (name) => {
  const subtitles = nmeaSubtitles(
    '$GPRMC,123518,V,,,,,,,230394,,*33',
    '$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A',
  )
  const found = await studio.examine(await studio.make(name, { subtitles }))
  expect(found.position).toEqual({ latitude: 48.1173, longitude: 11.5166667, source: 'nmea' })
  expect(found.tracks[2]?.kind).toBe('subtitle')
})

test('a file whose camera lost power before it wrote the index is truncated and unplayable', async () => {
  const bytes = await altered(await studio.make('index-last.mp4', { layout: 'index-last' }), (bytes) =>
    bytes.subarray(0, boxAt(bytes, 'moov').start - 100),
  )
  const found = await studio.examine(await studio.write('no-index.mp4', bytes))
  expect(found).toMatchObject({ container: 'mp4', truncated: { is: true, why: 'no-index' }, unplayable: true })
})

test('a file that lost its end after the index is truncated, and its beginning plays', async () => {
  const bytes = await altered(await studio.make('index-first.mp4', { layout: 'index-first' }), (bytes) =>
    bytes.subarray(0, bytes.length * 0.8),
  )
  const found = await studio.examine(await studio.write('cut.mp4', bytes))
  expect(found).toMatchObject({ truncated: { is: true, why: 'index-beyond-end' }, unplayable: false })
  expect(found.tracks).toMatchObject([video, sound])
})

test('a fragmented file cut in its last fragment is truncated, and what came before plays', async () => {
  const bytes = await altered(await studio.make('fragmented.mp4', { layout: 'fragmented' }), (bytes) => {
    const last = boxesAt(bytes, 'mdat').at(-1)
    return bytes.subarray(0, (last?.end ?? 0) - 50)
  })
  const found = await studio.examine(await studio.write('cut-fragment.mp4', bytes))
  expect(found).toMatchObject({ truncated: { is: true, why: 'incomplete-fragment' }, unplayable: false })
})

test('a file with fewer packets than its index says is truncated', async () => {
  const bytes = await altered(await studio.make('index-last.mp4', { layout: 'index-last' }), (bytes) => {
    // One chunk of the video fewer, while the table of sizes still counts its samples.
    const { start } = boxAt(bytes, 'moov/trak/mdia/minf/stbl/stco')
    bytes.writeUInt32BE(bytes.readUInt32BE(start + 12) - 1, start + 12)
    return undefined
  })
  const found = await studio.examine(await studio.write('fewer.mp4', bytes))
  expect(found).toMatchObject({ truncated: { is: true, why: 'fewer-packets' }, unplayable: false })
  expect(found.tracks[0]?.packets).toBeLessThan(75)
})

test('an AVI cut short is truncated', async () => {
  const bytes = await altered(await studio.make('mjpeg.avi', { video: 'mjpeg' }), (bytes) =>
    bytes.subarray(0, bytes.length * 0.7),
  )
  const found = await studio.examine(await studio.write('cut.avi', bytes))
  expect(found).toMatchObject({ truncated: { is: true, why: 'shorter-than-declared' }, unplayable: false })
})

test('a trimmed file, whose edit list leaves packets out, is whole', async () => {
  const source = await studio.make('index-last.mp4', { layout: 'index-last' })
  await using folder = await studio.scratch('trim')
  const original = folder.path('original')
  await writeFile(original, await readFile(source))
  const target = folder.path('trimmed.mp4')
  const inputs = [{ path: original, demuxer: 'mov', options: ['-ss', '1.1'] }]
  const outputs = [{ path: target, options: ['-c', 'copy'] }]
  const signal = AbortSignal.timeout(20_000)
  await studio.ffmpeg.run({ folder: folder.folder, inputs, outputs }, { signal, seconds: 20 })
  expect(await studio.examine(target)).toMatchObject({ truncated: { is: false }, unplayable: false })
})

test('an examination that is called off ends at once, with the reason it was given', async () => {
  const file = await studio.make('index-first.mp4', { layout: 'index-first' })
  const reason = new Error('the worker is stopping')
  await expect(studio.examine(file, AbortSignal.abort(reason))).rejects.toBe(reason)
})
