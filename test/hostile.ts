import { readFile } from 'node:fs/promises'
import { altered, box, boxAt, boxesWithin, type Studio, words } from './footage.ts'

/** Files that somebody made to do harm, or that came to harm. */

/** Dressed as footage: told to read `file` and to ask `address`. */
export const scripts: Record<string, (file: string, address: string) => string> = {
  'an HLS playlist': (file, address) =>
    `#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://${file}\n#EXTINF:1,\n${address}/a.ts\n`,
  'a concat script': (file, address) => `ffconcat version 1.0\nfile '${file}'\nfile '${address}/a.mp4'\n`,
  'a DASH manifest': (file, address) =>
    `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1"><BaseURL>file://${file}</BaseURL></Representation><Representation id="2"><BaseURL>${address}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>`,
  'a session description': (file, address) =>
    `v=0\no=- 0 0 IN IP4 127.0.0.1\ns=${file}\nc=IN IP4 127.0.0.1\na=control:${address}\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n`,
}

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

const references = { url: (path: string) => Buffer.from(`file://${path}\0`), alias }
export const referenceKinds = ['url', 'alias'] as const

/** An MP4 whose data is said to be in the file `secret`. */
export const externalMovie = async (
  studio: Studio,
  kind: (typeof referenceKinds)[number],
  secret: string,
): Promise<Buffer> => {
  const source = await studio.make('index-last.mp4', { layout: 'index-last' })
  return await altered(source, (bytes) => {
    // The reference of every track to its own file becomes one to another. The index is last, so that only the sizes of
    // the boxes around it change; the data before it goes.
    const moov = boxAt(bytes, 'moov')
    const rebuilt = (from: number, to: number): Buffer =>
      Buffer.concat(
        boxesWithin(bytes, from, to).map(({ type: inner, start, end }) => {
          if (inner === 'dref')
            return box('dref', words(0, 1), box(kind === 'url' ? 'url ' : 'alis', words(0), references[kind](secret)))
          const opened = ['trak', 'mdia', 'minf', 'dinf'].includes(inner)
          return box(inner, opened ? rebuilt(start + 8, end) : bytes.subarray(start + 8, end))
        }),
      )
    const start = bytes.subarray(0, boxAt(bytes, 'ftyp').end)
    return Buffer.concat([start, box('mdat', Buffer.alloc(8)), box('moov', rebuilt(moov.start + 8, moov.end))])
  })
}

/** An AVI that says its frames have so many pixels across and down. */
export const hugeFrames = async (studio: Studio, size: number): Promise<Buffer> =>
  await altered(await studio.make('mjpeg.avi', { video: 'mjpeg' }), (bytes) => {
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

/** An MP4 of 200 tracks. */
export const manyTracks = async (studio: Studio): Promise<Buffer> => {
  const source = await readFile(await studio.make('mute.mp4', { sound: null, seconds: 6 }))
  const moov = boxAt(source, 'moov')
  const trak = boxAt(source, 'moov/trak')
  const copies = Array.from({ length: 200 }, () => source.subarray(trak.start, trak.end))
  const rest = source.subarray(moov.start + 8, trak.start)
  // The new index comes last, so that the places of the samples stay right; the old one becomes free space.
  source.write('free', moov.start + 4, 'latin1')
  return Buffer.concat([source, box('moov', rest, ...copies)])
}

/** The file with forty bytes of its beginning or its end changed; the same for the same `round`. */
export const damaged = async (file: string, round: number): Promise<Buffer> => {
  let seed = 20_261_125 + round
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return seed % below
  }
  return await altered(file, (bytes) => {
    const from = round % 2 === 0 ? Math.max(0, bytes.length - 8000) : 0
    for (let change = 0; change < 40; change++) bytes[from + random(8000)] = random(256)
    return undefined
  })
}
