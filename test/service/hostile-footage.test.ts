import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { altered, box, boxAt, boxesWithin, openStudio, type Studio, words } from '../footage.ts'
import { listening } from '../loopback.ts'

let studio: Studio
beforeAll(async () => {
  studio = await openStudio()
})
afterAll(async () => await studio[Symbol.asyncDispose]())

const hidden = 'what-nobody-may-read-here'

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

/** A Macintosh alias to an absolute path, as QuickTime's references to other files are. */
const alias = (path: string) =>
  Buffer.concat([
    Buffer.alloc(130),
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
    const start = bytes.subarray(0, boxAt(bytes, 'ftyp').end)
    return Buffer.concat([start, box('mdat', Buffer.alloc(8)), box('moov', rebuilt(moov.start + 8, moov.end))])
  })
  const found = await studio.examine(await studio.write('external.mp4', bytes))
  expect(found.notes.join()).toContain('names another file')
  expect(found).toMatchObject({ unplayable: true, truncated: { is: false } })
  // ffmpeg follows aliases when it is let, and would read all 75 pictures of the other file.
  if (type === 'alis') expect(found.tracks.map(({ packets }) => packets)).toEqual([0, 0])
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
