/**
 * The index of an MP4 or QuickTime file, read from its `moov`, which is hostile until proven otherwise: whatever does not
 * fit together is no index, and nothing is allocated because a box claims it.
 */

/** One entry of an edit list; `duration` in the movie's time scale, `mediaTime` in the track's (-1: nothing is shown). */
type Edit = { duration: number; mediaTime: number; rate: number }

/** Every sample of a track in decode order. `dts` and `pts` in the track's time scale, before any edit. */
export type Samples = {
  count: number
  offset: Float64Array
  size: Uint32Array
  dts: Float64Array
  pts: Float64Array
  /** 1 where decoding can begin. */
  sync: Uint8Array
  /** When the last sample ends, by the table of durations. */
  end: number
  /** Of uncompressed sound, whose samples are here a whole chunk each: its bytes at one moment, and ticks from one to the next. */
  uncompressed?: { bytes: number; ticks: number }
}

export type MovieTrack = {
  kind: string
  timeScale: number
  edits: Edit[]
  /** Of the track's header: how the picture is turned. */
  matrix: Buffer
  width: number
  height: number
  /** The one sample entry, its header included. */
  entry: Buffer
  format: string
  samples: Samples
}

export type Movie = { timeScale: number; fragmented: boolean; tracks: MovieTrack[] }

export class NoIndex extends Error {}

export type PlainBox = { type: string; start: number; body: number; end: number }

/** The boxes of a buffer between two offsets. Throws NoIndex where one does not fit. */
export const boxesOf = (bytes: Buffer, from: number, to: number): PlainBox[] => {
  const found: PlainBox[] = []
  for (let start = from; start + 8 <= to; ) {
    const short = bytes.readUInt32BE(start)
    const wide = short === 1 && start + 16 <= to
    const size = wide ? Number(bytes.readBigUInt64BE(start + 8)) : short
    const body = start + (wide ? 16 : 8)
    // QuickTime ends some lists with four zero bytes.
    if (short === 0) break
    if (start + size < body || start + size > to) throw new NoIndex('a box does not fit into the one around it')
    found.push({ type: bytes.toString('latin1', start + 4, start + 8), start, body, end: start + size })
    start += size
  }
  return found
}

const child = (bytes: Buffer, parent: PlainBox, type: string): PlainBox | undefined =>
  boxesOf(bytes, parent.body, parent.end).find((box) => box.type === type)

const needed = (bytes: Buffer, parent: PlainBox, ...path: string[]): PlainBox => {
  let box = parent
  for (const type of path) {
    const next = child(bytes, box, type)
    if (next === undefined) throw new NoIndex(`a track lacks its ${type}`)
    box = next
  }
  return box
}

const mostSamples = 20_000_000

/** A full box that is a table: its rows of `width` bytes as one buffer, as many as it claims and really has. */
const table = (bytes: Buffer, box: PlainBox, width: number): { count: number; rows: Buffer; version: number } => {
  if (box.end - box.body < 8) throw new NoIndex('a table has no head')
  const count = bytes.readUInt32BE(box.body + 4)
  const rows = bytes.subarray(box.body + 8, box.end)
  if (count > mostSamples || count * width > rows.length) throw new NoIndex('a table is shorter than it claims')
  return { count, rows, version: bytes.readUInt8(box.body) }
}

const sizesOf = (bytes: Buffer, stbl: PlainBox): Uint32Array => {
  const box = needed(bytes, stbl, 'stsz')
  if (box.end - box.body < 12) throw new NoIndex('a table has no head')
  const each = bytes.readUInt32BE(box.body + 4)
  const count = bytes.readUInt32BE(box.body + 8)
  if (count > mostSamples) throw new NoIndex('there are too many samples')
  if (each > 0) return new Uint32Array(count).fill(each)
  if (box.body + 12 + count * 4 > box.end) throw new NoIndex('a table is shorter than it claims')
  const sizes = new Uint32Array(count)
  for (let at = 0; at < count; at++) sizes[at] = bytes.readUInt32BE(box.body + 12 + at * 4)
  return sizes
}

/** Calls back with where each chunk stands and how many samples it holds, until that answers that it has enough. */
const eachChunk = (bytes: Buffer, stbl: PlainBox, each: (offset: number, samples: number) => boolean): void => {
  const narrow = child(bytes, stbl, 'stco')
  const chunks = table(bytes, narrow ?? needed(bytes, stbl, 'co64'), narrow === undefined ? 8 : 4)
  const runs = table(bytes, needed(bytes, stbl, 'stsc'), 12)
  for (let run = 0; run < runs.count; run++) {
    const first = runs.rows.readUInt32BE(run * 12)
    const samples = runs.rows.readUInt32BE(run * 12 + 4)
    const next = run + 1 < runs.count ? runs.rows.readUInt32BE((run + 1) * 12) : chunks.count + 1
    if (first < 1 || next < first || next > chunks.count + 1) throw new NoIndex('the chunks are out of order')
    for (let at = first - 1; at < next - 1; at++) {
      const offset =
        narrow === undefined ? Number(chunks.rows.readBigUInt64BE(at * 8)) : chunks.rows.readUInt32BE(at * 4)
      if (!each(offset, samples)) return
    }
  }
}

const offsetsOf = (bytes: Buffer, stbl: PlainBox, sizes: Uint32Array): Float64Array => {
  const offsets = new Float64Array(sizes.length)
  let sample = 0
  eachChunk(bytes, stbl, (offset, samples) => {
    let at = offset
    for (let n = 0; n < samples && sample < sizes.length; n++) {
      offsets[sample] = at
      at += sizes[sample] ?? 0
      sample += 1
    }
    return sample < sizes.length
  })
  if (sample < sizes.length) throw new NoIndex('some samples are in no chunk')
  return offsets
}

const listedSamples = (bytes: Buffer, stbl: PlainBox): Samples => {
  const size = sizesOf(bytes, stbl)
  const count = size.length
  const offset = offsetsOf(bytes, stbl, size)
  return { count, size, offset, ...timesOf(bytes, stbl, count), sync: syncOf(bytes, stbl, count) }
}

/** Calls back with each sample's number and its row's second word, for tables of (count, value). */
const runLengths = (
  { count, rows }: { count: number; rows: Buffer },
  samples: number,
  each: (sample: number, row: number) => void,
): number => {
  let sample = 0
  for (let row = 0; row < count && sample < samples; row++) {
    const many = Math.min(rows.readUInt32BE(row * 8), samples - sample)
    for (let n = 0; n < many; n++) each(sample++, row)
  }
  return sample
}

/** Bytes at one moment of one channel, by the format of uncompressed sound; 0: as many as the entry's bits say. */
const uncompressed: Record<string, number> = { sowt: 0, twos: 0, in24: 3, in32: 4, fl32: 4, ulaw: 1, alaw: 1 }

/**
 * Uncompressed sound has a sample for each moment, far too many to be listed: here each chunk is one. Undefined where it is
 * not that, or its tables do not agree with its format.
 */
const uncompressedSamples = (bytes: Buffer, stbl: PlainBox, entry: PlainBox): Samples | undefined => {
  const each = uncompressed[entry.type]
  const stsz = needed(bytes, stbl, 'stsz')
  if (each === undefined || entry.end - entry.start < 36 || stsz.end - stsz.body < 12) return undefined
  const width = bytes.readUInt16BE(entry.start + 24) * (each === 0 ? bytes.readUInt16BE(entry.start + 26) / 8 : each)
  const durations = table(bytes, needed(bytes, stbl, 'stts'), 8)
  if (bytes.readUInt32BE(stsz.body + 4) !== width || durations.count !== 1) return undefined
  const ticks = durations.rows.readUInt32BE(4)
  const moments: number[] = []
  const offsets: number[] = []
  let left = bytes.readUInt32BE(stsz.body + 8)
  eachChunk(bytes, stbl, (offset, perChunk) => {
    const count = Math.min(perChunk, left)
    left -= count
    moments.push(count)
    offsets.push(offset)
    return left > 0
  })
  const dts = new Float64Array(moments.length)
  for (let at = 1; at < dts.length; at++) dts[at] = (dts[at - 1] ?? 0) + (moments[at - 1] ?? 0) * ticks
  return {
    count: moments.length,
    offset: Float64Array.from(offsets),
    size: Uint32Array.from(moments, (count) => count * width),
    ...{ dts, pts: dts, sync: new Uint8Array(moments.length).fill(1) },
    end: (dts.at(-1) ?? 0) + (moments.at(-1) ?? 0) * ticks,
    uncompressed: { bytes: width, ticks },
  }
}

const timesOf = (bytes: Buffer, stbl: PlainBox, count: number): Pick<Samples, 'dts' | 'pts' | 'end'> => {
  const dts = new Float64Array(count)
  const pts = new Float64Array(count)
  const durations = table(bytes, needed(bytes, stbl, 'stts'), 8)
  let at = 0
  const timed = runLengths(durations, count, (sample, row) => {
    dts[sample] = at
    pts[sample] = at
    at += durations.rows.readUInt32BE(row * 8 + 4)
  })
  if (timed < count) throw new NoIndex('some samples have no time')
  const ctts = child(bytes, stbl, 'ctts')
  if (ctts !== undefined) {
    const shifts = table(bytes, ctts, 8)
    // Whatever the version says, negative shifts are written by some, and shifts of 18 hours by none.
    runLengths(shifts, count, (sample, row) => {
      pts[sample] = (dts[sample] ?? 0) + shifts.rows.readInt32BE(row * 8 + 4)
    })
  }
  return { dts, pts, end: at }
}

const syncOf = (bytes: Buffer, stbl: PlainBox, count: number): Uint8Array => {
  const stss = child(bytes, stbl, 'stss')
  if (stss === undefined) return new Uint8Array(count).fill(1)
  const sync = new Uint8Array(count)
  const listed = table(bytes, stss, 4)
  for (let row = 0; row < listed.count; row++) {
    const sample = listed.rows.readUInt32BE(row * 4)
    if (sample >= 1 && sample <= count) sync[sample - 1] = 1
  }
  return sync
}

const editsOf = (bytes: Buffer, trak: PlainBox): Edit[] => {
  const edts = child(bytes, trak, 'edts')
  const elst = edts === undefined ? undefined : child(bytes, edts, 'elst')
  if (elst === undefined) return []
  const wide = bytes.readUInt8(elst.body) === 1
  const { count, rows } = table(bytes, elst, wide ? 20 : 12)
  if (count > 1000) throw new NoIndex('there are too many edits')
  return Array.from({ length: count }, (_, row) =>
    wide
      ? {
          duration: Number(rows.readBigUInt64BE(row * 20)),
          mediaTime: Number(rows.readBigInt64BE(row * 20 + 8)),
          rate: rows.readInt32BE(row * 20 + 16) / 65_536,
        }
      : {
          duration: rows.readUInt32BE(row * 12),
          mediaTime: rows.readInt32BE(row * 12 + 4),
          rate: rows.readInt32BE(row * 12 + 8) / 65_536,
        },
  )
}

/** The time scale stands after two times, whose width the version tells. */
const timeScaleOf = (bytes: Buffer, box: PlainBox): number => {
  const at = box.body + (bytes.readUInt8(box.body) === 1 ? 20 : 12)
  if (at + 4 > box.end) throw new NoIndex('a header is too short')
  const scale = bytes.readUInt32BE(at)
  if (scale === 0) throw new NoIndex('a time scale is zero')
  return scale
}

const trackOf = (bytes: Buffer, trak: PlainBox): MovieTrack => {
  const tkhd = needed(bytes, trak, 'tkhd')
  const mdia = needed(bytes, trak, 'mdia')
  const hdlr = needed(bytes, mdia, 'hdlr')
  const stbl = needed(bytes, mdia, 'minf', 'stbl')
  const stsd = needed(bytes, stbl, 'stsd')
  const entries = boxesOf(bytes, stsd.body + 8, stsd.end)
  const [entry] = entries
  if (entry === undefined || entries.length > 1) throw new NoIndex('a track is not described once')
  if (tkhd.end - 44 < tkhd.body || hdlr.end - hdlr.body < 12) throw new NoIndex('a header is too short')
  return {
    kind: bytes.toString('latin1', hdlr.body + 8, hdlr.body + 12),
    timeScale: timeScaleOf(bytes, needed(bytes, mdia, 'mdhd')),
    edits: editsOf(bytes, trak),
    matrix: bytes.subarray(tkhd.end - 44, tkhd.end - 8),
    width: bytes.readUInt32BE(tkhd.end - 8) / 65_536,
    height: bytes.readUInt32BE(tkhd.end - 4) / 65_536,
    entry: bytes.subarray(entry.start, entry.end),
    format: entry.type,
    samples: uncompressedSamples(bytes, stbl, entry) ?? listedSamples(bytes, stbl),
  }
}

/** Reads a whole `moov` box, header included. Of the tracks, the first picture and the first sound are read. */
export const movieOf = (moov: Buffer): Movie => {
  try {
    const [box] = boxesOf(moov, 0, moov.length)
    if (box?.type !== 'moov') throw new NoIndex('there is no moov')
    const traks = boxesOf(moov, box.body, box.end).filter(({ type }) => type === 'trak')
    const wanted = traks.filter((trak) => ['vide', 'soun'].includes(kindOf(moov, trak)))
    return {
      timeScale: timeScaleOf(moov, needed(moov, box, 'mvhd')),
      fragmented: child(moov, box, 'mvex') !== undefined,
      tracks: firstOfEach(moov, wanted).map((trak) => trackOf(moov, trak)),
    }
  } catch (error) {
    // A box shorter than its own head.
    if (error instanceof RangeError) throw new NoIndex('a box is too short', { cause: error })
    throw error
  }
}

const kindOf = (moov: Buffer, trak: PlainBox): string => {
  const hdlr = needed(moov, trak, 'mdia', 'hdlr')
  return moov.toString('latin1', hdlr.body + 8, hdlr.body + 12)
}

/** The first picture and the first sound: what ffmpeg is told to take, too. */
const firstOfEach = (moov: Buffer, traks: PlainBox[]): PlainBox[] =>
  ['vide', 'soun'].flatMap((kind) => traks.find((trak) => kindOf(moov, trak) === kind) ?? [])
