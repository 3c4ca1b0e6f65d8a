/** Writing MP4: one way for what is put together to be worked on, and for what is published. */

/**
 * A track to write. Times in ticks of its own scale: `durations` in the order of decoding, `shifts` what has to be added to
 * a sample's time of decoding to get when it is shown. Each chunk begins at `offset` in the file's data.
 */
export type WrittenTrack = {
  kind: 'vide' | 'soun'
  timeScale: number
  entry: Buffer
  width: number
  height: number
  matrix: Buffer
  sizes: number[]
  durations: number[]
  shifts: number[]
  /** Null: decoding can begin at every sample. */
  sync: boolean[] | null
  /** What is shown begins here and lasts so long. Null: all of it, from its beginning. */
  shown: { from: number; ticks: number } | null
  chunks: { offset: number; samples: number }[]
  /** Uncompressed sound: every sample is of these bytes and ticks, and the lists above stand for its chunks. */
  uncompressed?: { bytes: number; ticks: number }
}

export const box = (type: string, ...content: Buffer[]): Buffer => {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(
    content.reduce((sum, part) => sum + part.length, 8),
    0,
  )
  head.write(type, 4, 'latin1')
  return Buffer.concat([head, ...content])
}

/** As many as a long table has: more than can be arguments of a call. */
const u32s = (numbers: number[]): Buffer => {
  const bytes = Buffer.alloc(numbers.length * 4)
  for (const [at, number] of numbers.entries()) bytes.writeUInt32BE(number >>> 0, at * 4)
  return bytes
}
export const u32 = (...numbers: number[]): Buffer => u32s(numbers)
export const u16 = (...numbers: number[]): Buffer => {
  const bytes = Buffer.alloc(numbers.length * 2)
  for (const [at, number] of numbers.entries()) bytes.writeUInt16BE(number & 0xffff, at * 2)
  return bytes
}
const u64s = (numbers: number[]): Buffer => {
  const bytes = Buffer.alloc(numbers.length * 8)
  for (const [at, number] of numbers.entries()) bytes.writeBigInt64BE(BigInt(Math.round(number)), at * 8)
  return bytes
}
const u64 = (...numbers: number[]): Buffer => u64s(numbers)
const full = (type: string, version: number, flags: number, ...content: Buffer[]): Buffer =>
  box(type, u32(version * 2 ** 24 + flags), ...content)

/** A picture that is shown as it is stored. */
export const upright = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

/** Equal neighbours as (count, value). */
const runs = (values: number[]): [number, number][] => {
  const found: [number, number][] = []
  for (const value of values) {
    const last = found.at(-1)
    if (last !== undefined && last[1] === value) last[0] += 1
    else found.push([1, value])
  }
  return found
}

const counted = (rows: number[][]): Buffer => u32s([rows.length, ...rows.flat()])

const sampleTable = (track: WrittenTrack, dataStart: number): Buffer => {
  const { entry, durations, shifts, sync, sizes, chunks, uncompressed } = track
  const moments = chunks.reduce((sum, { samples }) => sum + samples, 0)
  const plain = shifts.every((shift) => shift === 0)
  const keys = sync?.flatMap((key, sample) => (key ? [[sample + 1]] : []))
  const perChunk = chunks.flatMap(({ samples }, at) =>
    samples === chunks[at - 1]?.samples ? [] : [[at + 1, samples, 1]],
  )
  return box(
    'stbl',
    full('stsd', 0, 0, u32(1), entry),
    full('stts', 0, 0, counted(uncompressed === undefined ? runs(durations) : [[moments, uncompressed.ticks]])),
    ...(plain ? [] : [full('ctts', shifts.some((shift) => shift < 0) ? 1 : 0, 0, counted(runs(shifts)))]),
    ...(keys === undefined ? [] : [full('stss', 0, 0, counted(keys))]),
    full('stsc', 0, 0, counted(perChunk)),
    full(
      'stsz',
      0,
      0,
      ...(uncompressed === undefined ? [u32(0, sizes.length), u32s(sizes)] : [u32(uncompressed.bytes, moments)]),
    ),
    full('co64', 0, 0, u32(chunks.length), u64s(chunks.map(({ offset }) => dataStart + offset))),
  )
}

const ticksOf = ({ durations }: WrittenTrack): number => durations.reduce((sum, ticks) => sum + ticks, 0)

const trak = (track: WrittenTrack, id: number, movieScale: number, dataStart: number): Buffer => {
  const { kind, timeScale, shown, matrix, width, height } = track
  const inMovie = (ticks: number) => Math.round((ticks * movieScale) / timeScale)
  const lasts = inMovie(shown?.ticks ?? ticksOf(track))
  const picture = kind === 'vide'
  return box(
    'trak',
    full(
      ...(['tkhd', 1, 3, u64(0, 0), u32(id, 0), u64(lasts), u32(0, 0), u16(0, 0, picture ? 0 : 0x100, 0)] as const),
      ...[matrix, u32(Math.round(width * 65_536), Math.round(height * 65_536))],
    ),
    ...(shown === null ? [] : [box('edts', full('elst', 1, 0, u32(1), u64(lasts, shown.from), u32(0x10000)))]),
    box(
      'mdia',
      full('mdhd', 1, 0, u64(0, 0), u32(timeScale), u64(ticksOf(track)), u16(0x55c4, 0)),
      full('hdlr', 0, 0, u32(0), Buffer.from(kind, 'latin1'), u32(0, 0, 0), Buffer.from([0])),
      box(
        'minf',
        picture ? full('vmhd', 0, 1, u16(0, 0, 0, 0)) : full('smhd', 0, 0, u16(0, 0)),
        box('dinf', full('dref', 0, 0, u32(1), full('url ', 0, 1))),
        sampleTable(track, dataStart),
      ),
    ),
  )
}

const moov = (tracks: WrittenTrack[], movieScale: number, dataStart: number): Buffer => {
  const lasts = tracks.map((track) => ((track.shown?.ticks ?? ticksOf(track)) * movieScale) / track.timeScale)
  const head = [u64(0, 0), u32(movieScale), u64(Math.max(...lasts)), u32(0x10000), u16(0x100, 0), u32(0, 0)]
  return box(
    'moov',
    full('mvhd', 1, 0, ...head, upright, u32(0, 0, 0, 0, 0, 0, tracks.length + 1)),
    ...tracks.map((track, at) => trak(track, at + 1, movieScale, dataStart)),
  )
}

/** All of a file that stands before its `bytes` of data. */
export const headOf = (tracks: WrittenTrack[], bytes: number): Buffer => {
  const movieScale = tracks[0]?.timeScale ?? 1000
  const brands = box('ftyp', Buffer.from('isom\x00\x00\x02\x00isomiso2avc1mp41', 'latin1'))
  const data = Buffer.concat([u32(1), Buffer.from('mdat', 'latin1'), u64(bytes + 16)])
  // Offsets are of one width: where the data begins does not change how long the index is.
  const dataStart = brands.length + moov(tracks, movieScale, 0).length + data.length
  return Buffer.concat([brands, moov(tracks, movieScale, dataStart), data])
}
