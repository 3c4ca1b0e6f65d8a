import { type Box, type Budget, boxesIn, childrenOf, contentOf, type ReadAt, rowsOf } from './boxes.ts'

/** What a track's index says: how many samples there are, and where the last byte of the furthest one lies. */
export type TrackIndex = {
  id: number
  samples: number
  /** 0 when it has no samples. */
  dataEnd: number
  /** Its data is, wholly or partly, in another file, which nobody here opens. */
  external: boolean
}

/** Sizes of samples, summed in file order. */
type Sizes = { count: number; sum(samples: number): Promise<number> }

const noSizes: Sizes = { count: 0, sum: async () => 0 }

const sizesOf = async (readAt: ReadAt, stsz: Box | undefined, stz2: Box | undefined, budget: Budget) => {
  const box = stsz ?? stz2
  if (box === undefined) return noSizes
  const head = await readAt(box.body, 12)
  if (head.length < 12) return noSizes
  const each = stsz === undefined ? 0 : head.readUInt32BE(4)
  const count = head.readUInt32BE(8)
  if (each > 0) return { count, sum: async (samples: number) => samples * each }
  const bits = stsz === undefined ? head.readUInt8(7) : 32
  // Two samples share a byte in a table of four-bit sizes; a row of it is that byte.
  const packed = bits === 4
  const rows = rowsOf(
    readAt,
    {
      first: box.body + 12,
      end: box.end,
      width: bits === 32 ? 4 : bits === 16 ? 2 : 1,
      claimed: packed ? Math.ceil(count / 2) : count,
      read: (block, at) => {
        if (bits === 32) return block.readUInt32BE(at)
        if (bits === 16) return block.readUInt16BE(at)
        const byte = block.readUInt8(at)
        return packed ? (byte >> 4) + (byte & 15) : byte
      },
    },
    budget,
  )
  const sum = async (samples: number) => {
    let bytes = 0
    for (let left = packed ? Math.ceil(samples / 2) : samples; left > 0; left--) {
      const size = rows.next()
      const known = typeof size === 'number' ? size : await size
      if (known === undefined) return bytes
      bytes += known
    }
    return bytes
  }
  return { count, sum }
}

/** Runs of chunks with the same number of samples, `first` counted from 1. */
const runsOf = async (readAt: ReadAt, stsc: Box, budget: Budget) => {
  const head = await readAt(stsc.body, 8)
  const read = (block: Buffer, at: number) => ({ first: block.readUInt32BE(at), samples: block.readUInt32BE(at + 4) })
  const claimed = head.length < 8 ? 0 : head.readUInt32BE(4)
  return rowsOf(readAt, { first: stsc.body + 8, end: stsc.end, width: 12, claimed, read }, budget)
}

const chunksOf = async (readAt: ReadAt, box: Box, budget: Budget) => {
  const head = await readAt(box.body, 8)
  const wide = box.type === 'co64'
  const read = (block: Buffer, at: number) => (wide ? Number(block.readBigUInt64BE(at)) : block.readUInt32BE(at))
  const claimed = head.length < 8 ? 0 : head.readUInt32BE(4)
  return rowsOf(readAt, { first: box.body + 8, end: box.end, width: wide ? 8 : 4, claimed, read }, budget)
}

/** Walks chunks, their samples and the samples' sizes side by side, as a player would. */
const extentOf = async (readAt: ReadAt, stbl: Box, budget: Budget): Promise<{ samples: number; dataEnd: number }> => {
  const tables = await childrenOf(readAt, stbl, ['stsz', 'stz2', 'stsc', 'stco', 'co64'], budget)
  const sizes = await sizesOf(readAt, tables.stsz, tables.stz2, budget)
  const offsets = tables.stco ?? tables.co64
  if (tables.stsc === undefined || offsets === undefined) return { samples: sizes.count, dataEnd: 0 }

  const runs = await runsOf(readAt, tables.stsc, budget)
  const chunks = await chunksOf(readAt, offsets, budget)
  let run = await runs.next()
  let following = await runs.next()
  let left = sizes.count
  let dataEnd = 0
  for (let chunk = 1; chunk <= chunks.count && left > 0 && run !== undefined; chunk++) {
    if (following !== undefined && chunk >= following.first) {
      run = following
      following = await runs.next()
    }
    const offset = await chunks.next()
    if (offset === undefined) break
    const samples = Math.min(run.samples, left)
    left -= samples
    if (samples > 0) dataEnd = Math.max(dataEnd, offset + (await sizes.sum(samples)))
  }
  return { samples: sizes.count, dataEnd }
}

/** Whether a data reference names another file: an entry without the self-contained flag. */
const namesAnotherFile = async (readAt: ReadAt, dinf: Box, budget: Budget): Promise<boolean> => {
  const { dref } = await childrenOf(readAt, dinf, ['dref'], budget)
  if (dref === undefined) return false
  for await (const entry of boxesIn(readAt, dref.body + 8, dref.end, budget)) {
    const flags = await readAt(entry.body, 4)
    if (flags.length === 4 && (flags.readUInt32BE(0) & 1) === 0) return true
  }
  return false
}

/** What a `trak` box says; null when it lacks what makes a track. */
export const trackOf = async (readAt: ReadAt, trak: Box, budget: Budget): Promise<TrackIndex | null> => {
  const { tkhd, mdia } = await childrenOf(readAt, trak, ['tkhd', 'mdia'], budget)
  if (tkhd === undefined || mdia === undefined) return null
  const header = await contentOf(readAt, tkhd, 24)
  if (header.length < 24) return null
  const id = header.readUInt32BE(header[0] === 1 ? 20 : 12)
  const { minf } = await childrenOf(readAt, mdia, ['minf'], budget)
  if (minf === undefined) return null
  const { stbl, dinf } = await childrenOf(readAt, minf, ['stbl', 'dinf'], budget)
  const extent = stbl === undefined ? { samples: 0, dataEnd: 0 } : await extentOf(readAt, stbl, budget)
  return { id, ...extent, external: dinf !== undefined && (await namesAnotherFile(readAt, dinf, budget)) }
}
