import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { altered, box, boxAt, boxesAt, boxesWithin, nmeaSubtitles, openStudio, type Studio, words } from '../footage.ts'

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
  ['h264.ts', 'h264', 'mpeg-ts'],
  ['mpeg4.mpg', 'mpeg4', 'mpeg-ps'],
] as const)('%s is %s in a container of its own', async ([name, codec, container]) => {
  const found = await studio.examine(await studio.make(name, { video: codec }))
  expect(found).toMatchObject({ ...whole, container })
  expect(found.tracks).toMatchObject([{ ...video, codec }, { kind: 'audio' }])
  expect(found.duration).toBeCloseTo(3, 0)
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

const hidden = 'what-nobody-may-read-here'

/** A listener on loopback that counts who comes. */
const listening = async () => {
  let visits = 0
  const server = createServer((_request, response) => {
    visits += 1
    response.end(hidden)
  })
  server.on('connection', () => {
    visits += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    visits: () => visits,
    [Symbol.asyncDispose]: async () => await new Promise<void>((resolve) => server.close(() => resolve())),
  }
}

const scripts: Record<string, (file: string, address: string) => string> = {
  'an HLS playlist': (file, address) =>
    `#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://${file}\n#EXTINF:1,\n${address}/a.ts\n`,
  'a concat script': (file, address) => `ffconcat version 1.0\nfile '${file}'\nfile '${address}/a.mp4'\n`,
  'a DASH manifest': (file, address) =>
    `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1"><BaseURL>file://${file}</BaseURL></Representation><Representation id="2"><BaseURL>${address}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>`,
  'a session description': (file, address) =>
    `v=0\no=- 0 0 IN IP4 127.0.0.1\ns=${file}\nc=IN IP4 127.0.0.1\na=control:${address}\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n`,
}

test.for(Object.entries(scripts))('%s named .mp4 reads no other file and reaches nobody', async ([name, script]) => {
  await using listener = await listening()
  const secret = await studio.write('secret.ts', hidden)
  const text = script(secret, `http://127.0.0.1:${listener.port}`)
  const found = await studio.examine(await studio.write(`${name.replaceAll(' ', '-')}.mp4`, text))
  expect(found).toMatchObject({ container: null, tracks: [], unplayable: true, truncated: { is: false } })
  expect(JSON.stringify(found)).not.toContain(hidden)
  expect(listener.visits()).toBe(0)
})

test('the cage alone keeps ffmpeg from the network and from other files, were a playlist to reach it', async () => {
  await using listener = await listening()
  const secret = await studio.write('secret.ts', await readFile(await studio.make('h264.ts', { video: 'h264' })))
  await using folder = await studio.scratch('playlist')
  const playlist = folder.path('original')
  const segments = `#EXTINF:1,\nfile://${secret}\n#EXTINF:1,\nhttp://127.0.0.1:${listener.port}/a.ts\n`
  await writeFile(playlist, `#EXTM3U\n#EXT-X-TARGETDURATION:1\n${segments}#EXT-X-ENDLIST\n`)
  const signal = AbortSignal.timeout(20_000)
  await expect(studio.ffmpeg.probe(playlist, 'hls', { signal })).rejects.toThrow('ffprobe failed')
  expect(listener.visits()).toBe(0)
})

/** A Macintosh alias to an absolute path, as QuickTime's references to other files are. */
const alias = (path: string) =>
  Buffer.concat([
    Buffer.alloc(126),
    words(0x00010001),
    Buffer.alloc(16),
    Buffer.from([0, 2, 0, path.length]),
    Buffer.from(path),
    Buffer.alloc(40),
  ])

test.for([
  ['url ', (path: string) => Buffer.from(`file://${path}\0`)],
  ['alis', alias],
] as const)('an MP4 whose data is in another file (%s) opens no other file, and says so', async ([type, named]) => {
  const source = await studio.make('index-last.mp4', { layout: 'index-last' })
  const secret = await studio.write('secret.mp4', await readFile(source))
  const bytes = await altered(source, (bytes) => {
    // The reference of every track to its own file becomes one to another. The index is last, so that only the sizes of
    // the boxes around it change; the data before it goes.
    const moov = boxAt(bytes, 'moov')
    const rebuilt = (from: number, to: number): Buffer =>
      Buffer.concat(
        boxesWithin(bytes, from, to).map(({ type: inner, start, end }) => {
          if (inner === 'dref') return box('dref', words(0, 1), box(type, words(0), named(secret)))
          const opened = ['trak', 'mdia', 'minf', 'dinf'].includes(inner)
          return box(inner, opened ? rebuilt(start + 8, end) : bytes.subarray(start + 8, end))
        }),
      )
    return Buffer.concat(
      [boxAt(bytes, 'ftyp'), boxAt(bytes, 'free')]
        .map(({ start, end }) => bytes.subarray(start, end))
        .concat(box('moov', rebuilt(moov.start + 8, moov.end))),
    )
  })
  const found = await studio.examine(await studio.write('external.mp4', bytes))
  expect(found.notes.join()).toContain('names another file')
  expect(found).toMatchObject({ unplayable: true, truncated: { is: false } })
  expect(found.tracks.every(({ packets = 0 }) => packets === 0 || type === 'url ')).toBe(true)
})

test.for<[string, Buffer | string]>([
  ['a text file named .mp4', 'Dear sir or madam, this is no film.\n'],
  ['a ZIP of zeros', Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(1_000_000)])],
  ['nothing but zeros', Buffer.alloc(1_000_000)],
  ['an empty file', ''],
])('%s is kept as unplayable', async ([name, bytes]) => {
  const found = await studio.examine(await studio.write(`${name.replaceAll(' ', '-')}.mp4`, bytes))
  expect(found).toMatchObject({ container: null, mediaType: null, duration: null, tracks: [], unplayable: true })
  expect(found.notes).toHaveLength(1)
})

test.for([16_384, 16_000])('frames of %d pixels square are not decoded', async (size) => {
  const bytes = await altered(await studio.make('mjpeg.avi', { video: 'mjpeg' }), (bytes) => {
    // In the file's header, in the stream's format, and in every picture's own frame header.
    for (const at of [bytes.indexOf('avih') + 40, bytes.indexOf('strf') + 12]) {
      bytes.writeUInt32LE(size, at)
      bytes.writeUInt32LE(size, at + 4)
    }
    for (let at = bytes.indexOf('ffc0', 0, 'hex'); at !== -1; at = bytes.indexOf('ffc0', at + 2, 'hex')) {
      if (bytes.readUInt16BE(at + 2) === 17) bytes.writeUInt32BE(size * 65_536 + size, at + 5)
    }
    return undefined
  })
  const found = await studio.examine(await studio.write('huge.avi', bytes))
  expect(found).toMatchObject({ container: 'avi', unplayable: true, truncated: { is: false } })
  expect(found.notes.join()).toMatch(/frame is too large|no frame of a size/)
})

test('a file of 200 tracks ends nothing, and is kept', async () => {
  const source = await readFile(await studio.make('mute.mp4', { sound: null, seconds: 6 }))
  const moov = boxAt(source, 'moov')
  const trak = boxAt(source, 'moov/trak')
  const copies = Array.from({ length: 200 }, () => source.subarray(trak.start, trak.end))
  const rest = source.subarray(moov.start + 8, trak.start)
  // The new index comes last, so that the places of the samples stay right; the old one becomes free space.
  source.write('free', moov.start + 4, 'latin1')
  const bytes = Buffer.concat([source, box('moov', rest, ...copies)])
  const found = await studio.examine(await studio.write('many.mp4', bytes))
  expect(found).toMatchObject({ container: 'mp4', unplayable: true, truncated: { is: false } })
  expect(found.notes).toEqual(['it cannot be read: it has too many tracks'])
})

test('footage damaged at random always gets an examination', async () => {
  const sources = [await studio.make('index-last.mp4', { layout: 'index-last' }), await studio.make('h264.mkv')]
  let seed = 20_261_125
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return seed % below
  }
  for (const source of sources) {
    for (let round = 0; round < 4; round++) {
      const bytes = await altered(source, (bytes) => {
        const from = round % 2 === 0 ? Math.max(0, bytes.length - 8000) : 0
        for (let change = 0; change < 40; change++) bytes[from + random(8000)] = random(256)
        return undefined
      })
      const found = await studio.examine(await studio.write('damaged', bytes))
      expect(typeof found.unplayable).toBe('boolean')
    }
  }
})

test('an examination that is called off ends at once, with the reason it was given', async () => {
  const file = await studio.make('index-first.mp4', { layout: 'index-first' })
  const reason = new Error('the worker is stopping')
  await expect(studio.examine(file, AbortSignal.abort(reason))).rejects.toBe(reason)
})

/** What the kernel tells of every process whose command line mentions `marker`. */
const processes = async (marker: string, file: 'cmdline' | 'environ'): Promise<string[]> => {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const read = async (pid: string, what: string) => await readFile(`/proc/${pid}/${what}`, 'utf8').catch(() => '')
  const found = await Promise.all(
    pids.map(async (pid) => ((await read(pid, 'cmdline')).includes(marker) ? [await read(pid, file)] : [])),
  )
  return found.flat()
}

test('a run that is called off, or runs out of time, is dead with its children when that is said', async () => {
  await using folder = await studio.scratch('endless')
  const work = {
    folder: folder.folder,
    inputs: [{ graph: 'testsrc2=size=320x240:rate=25' }],
    outputs: [{ path: folder.path('endless.mkv'), options: ['-c:v', 'mpeg4'] }],
  }
  await expect(studio.ffmpeg.run(work, { signal: new AbortController().signal, seconds: 1 })).rejects.toMatchObject({
    blame: 'time',
  })
  expect(await processes(folder.folder, 'cmdline')).toEqual([])

  const controller = new AbortController()
  const reason = new Error('taken over')
  const run = studio.ffmpeg.run(work, {
    signal: controller.signal,
    seconds: 30,
    onProgress: (seconds) => seconds > 1 && controller.abort(reason),
  })
  await expect(run).rejects.toBe(reason)
  expect(await processes(folder.folder, 'cmdline')).toEqual([])
})

test('what ffmpeg says goes into the error’s detail, not into its message', async () => {
  const file = await studio.make('index-first.mp4', { layout: 'index-first' })
  await using folder = await studio.scratch('wrong')
  const original = folder.path('original')
  await writeFile(original, await readFile(file))
  const probing = studio.ffmpeg.probe(original, 'avi', { signal: AbortSignal.timeout(10_000) })
  await expect(probing).rejects.toMatchObject({
    message: 'ffprobe failed',
    blame: 'content',
    detail: expect.stringContaining('Invalid data'),
  })
})

test('ffmpeg is given no secret of our environment', async () => {
  process.env.EXHIBIT_TEST_SECRET = hidden
  const started = Promise.withResolvers<void>()
  const controller = new AbortController()
  await using folder = await studio.scratch('environment')
  const work = {
    folder: folder.folder,
    inputs: [{ graph: 'testsrc2=size=64x64:rate=25', options: ['-re'] }],
    outputs: [{ path: null, options: [] }],
  }
  const run = studio.ffmpeg.run(work, { signal: controller.signal, seconds: 20, onProgress: () => started.resolve() })
  await started.promise
  const environments = (await processes('size=64x64:rate=25', 'environ')).join('\n')
  controller.abort()
  await expect(run).rejects.toThrow()
  delete process.env.EXHIBIT_TEST_SECRET
  expect(environments).toContain('PATH=')
  expect(environments).not.toContain(hidden)
})

test('without bubblewrap the next best cage is found, and footage is examined in it too', async () => {
  const bin = path.join(studio.folder, 'bin')
  await mkdir(bin, { mode: 0o755 })
  for (const name of ['ffmpeg', 'ffprobe', 'unshare', 'setpriv', 'prlimit']) {
    const program = ['/usr/bin', '/bin', '/usr/local/bin'].map((at) => path.join(at, name)).find(existsSync)
    if (program !== undefined) await symlink(program, path.join(bin, name))
  }
  const before = process.env.PATH
  process.env.PATH = bin
  try {
    await using other = await openStudio()
    expect(other.ffmpeg.tier).toBe(process.getuid?.() === 0 ? 'own-network-and-user' : 'limits')
    expect(other.ffmpeg.sandboxTier).toMatch(/runs as (nobody|this user)/)
    const file = await other.make('index-last.mp4', { layout: 'index-last' })
    expect(await other.examine(file)).toMatchObject({ ...whole, container: 'mp4' })
  } finally {
    process.env.PATH = before
  }
})
