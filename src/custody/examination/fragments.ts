import { type Box, type Budget, boxesIn, childrenOf, contentOf, type ReadAt, rowsOf } from './boxes.ts'

/** Default sample size of each track, by its id, from the movie's `trex` boxes. */
export type Defaults = Map<number, number>

/** Samples a fragment adds to each track, and the end of the furthest one's bytes. */
export type Fragment = { samples: Map<number, number>; dataEnd: number }

export const defaultsOf = async (readAt: ReadAt, mvex: Box, budget: Budget): Promise<Defaults> => {
  const defaults: Defaults = new Map()
  for await (const box of boxesIn(readAt, mvex.body, mvex.end, budget)) {
    const content = box.type === 'trex' ? await contentOf(readAt, box, 24) : Buffer.alloc(0)
    if (content.length === 24) defaults.set(content.readUInt32BE(4), content.readUInt32BE(16))
  }
  return defaults
}

/** What of a track fragment's header matters here; offsets and sizes are optional in the format. */
type TrackHeader = { track: number; base: number | undefined; fromMoof: boolean; size: number | undefined }

const headerOf = (content: Buffer): TrackHeader | null => {
  if (content.length < 8) return null
  const flags = content.readUInt32BE(0) & 0xffffff
  const track = content.readUInt32BE(4)
  let at = 8
  const field = (flag: number, width: number) => {
    if ((flags & flag) === 0 || at + width > content.length) return undefined
    at += width
    return at - width
  }
  const base = field(0x1, 8)
  field(0x2, 4)
  field(0x8, 4)
  const size = field(0x10, 4)
  return {
    track,
    base: base === undefined ? undefined : Number(content.readBigUInt64BE(base)),
    fromMoof: (flags & 0x20000) !== 0,
    size: size === undefined ? undefined : content.readUInt32BE(size),
  }
}

/** One run of samples: their number, their bytes, and where they lie from the base, when it says so. */
const runOf = async (readAt: ReadAt, trun: Box, eachSize: number, budget: Budget) => {
  const head = await contentOf(readAt, trun, 12)
  if (head.length < 8) return null
  const flags = head.readUInt32BE(0) & 0xffffff
  const samples = head.readUInt32BE(4)
  const offset = (flags & 0x1) !== 0 && head.length === 12 ? head.readInt32BE(8) : undefined
  if ((flags & 0x200) === 0) return { samples, bytes: samples * eachSize, offset }

  const first = trun.body + 8 + ((flags & 0x1) !== 0 ? 4 : 0) + ((flags & 0x4) !== 0 ? 4 : 0)
  const width = [0x100, 0x200, 0x400, 0x800].filter((flag) => (flags & flag) !== 0).length * 4
  const sizeAt = (flags & 0x100) !== 0 ? 4 : 0
  const read = (block: Buffer, at: number) => block.readUInt32BE(at + sizeAt)
  const rows = rowsOf(readAt, { first, end: trun.end, width, claimed: samples, read }, budget)
  let bytes = 0
  for (let row = 0; row < rows.count; row++) {
    const size = rows.next()
    bytes += (typeof size === 'number' ? size : await size) ?? 0
  }
  return { samples, bytes, offset }
}

/** What a `moof` box says of its samples. */
export const fragmentOf = async (readAt: ReadAt, moof: Box, defaults: Defaults, budget: Budget): Promise<Fragment> => {
  const fragment: Fragment = { samples: new Map(), dataEnd: 0 }
  let previousEnd = moof.start
  for await (const traf of boxesIn(readAt, moof.body, moof.end, budget)) {
    if (traf.type !== 'traf') continue
    const { tfhd } = await childrenOf(readAt, traf, ['tfhd'], budget)
    const header = tfhd === undefined ? null : headerOf(await contentOf(readAt, tfhd, 32))
    if (header === null) continue
    const base = header.base ?? (header.fromMoof ? moof.start : previousEnd)
    let end = base
    for await (const box of boxesIn(readAt, traf.body, traf.end, budget)) {
      if (box.type !== 'trun') continue
      const run = await runOf(readAt, box, header.size ?? defaults.get(header.track) ?? 0, budget)
      if (run === null) continue
      end = (run.offset === undefined ? end : base + run.offset) + run.bytes
      fragment.samples.set(header.track, (fragment.samples.get(header.track) ?? 0) + run.samples)
      if (run.samples > 0) fragment.dataEnd = Math.max(fragment.dataEnd, end)
    }
    previousEnd = end
  }
  return fragment
}
