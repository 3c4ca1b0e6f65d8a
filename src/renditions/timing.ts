import { open } from 'node:fs/promises'
import { type Box, type Budget, boxesIn, childrenOf, contentOf, type ReadAt } from '../custody/examination/boxes.ts'

/** A track as the beginning that all pieces share tells of it: ticks a second, where its time begins, a sample's length. */
type Track = { scale: number; zero: number; lasting: number }

/** What the beginning of a rendition says: its tracks by their number. */
export type Beginning = Map<number, Track>

/** Nothing that ffmpeg writes about one piece is larger. */
const mostBytes = 64 * 1024 * 1024
const unlimited = (): Budget => ({ boxes: Number.POSITIVE_INFINITY, rows: 0 })

const reading =
  (bytes: Buffer): ReadAt =>
  async (offset, length) =>
    bytes.subarray(offset, offset + length)

/** The content of the box at the end of this path; empty where there is none. */
const contentAt = async (readAt: ReadAt, from: Box, ...path: string[]): Promise<Buffer> => {
  let box: Box | undefined = from
  for (const type of path) {
    if (box === undefined) break
    box = (await childrenOf(readAt, box, [type], unlimited()))[type]
  }
  return box === undefined ? Buffer.alloc(0) : await contentOf(readAt, box, mostBytes)
}

/** Ticks of the track's own time that lie before the recording's beginning; fewer than none where the track begins late. */
const zeroOf = (elst: Buffer, scale: number, movieScale: number): number => {
  const wide = elst[0] === 1
  const width = wide ? 20 : 12
  let empty = 0
  for (let at = 8; at + width <= elst.length; at += width) {
    const lasting = wide ? Number(elst.readBigUInt64BE(at)) : elst.readUInt32BE(at)
    const from = wide ? Number(elst.readBigInt64BE(at + 8)) : elst.readInt32BE(at + 4)
    if (from >= 0) return from - empty
    empty += (lasting * scale) / movieScale
  }
  return -empty
}

/** Reads `init.mp4`. */
export const beginningIn = async (init: Buffer): Promise<Beginning> => {
  const readAt = reading(init)
  const beginning: Beginning = new Map()
  const lasting = new Map<number, number>()
  const file: Box = { type: 'file', start: 0, body: 0, end: init.length, cut: false }
  const { moov } = await childrenOf(readAt, file, ['moov'], unlimited())
  if (moov === undefined) return beginning
  const mvhd = await contentAt(readAt, moov, 'mvhd')
  const movieScale = mvhd.length < 24 ? 1 : mvhd.readUInt32BE(mvhd[0] === 1 ? 20 : 12) || 1
  const { mvex } = await childrenOf(readAt, moov, ['mvex'], unlimited())
  if (mvex !== undefined)
    for await (const { type, body } of boxesIn(readAt, mvex.body, mvex.end, unlimited()))
      if (type === 'trex') lasting.set(init.readUInt32BE(body + 4), init.readUInt32BE(body + 12))
  for await (const trak of boxesIn(readAt, moov.body, moov.end, unlimited())) {
    if (trak.type !== 'trak') continue
    const tkhd = await contentAt(readAt, trak, 'tkhd')
    const mdhd = await contentAt(readAt, trak, 'mdia', 'mdhd')
    if (tkhd.length < 24 || mdhd.length < 24) continue
    const number = tkhd.readUInt32BE(tkhd[0] === 1 ? 20 : 12)
    const scale = mdhd.readUInt32BE(mdhd[0] === 1 ? 20 : 12) || 1
    const zero = zeroOf(await contentAt(readAt, trak, 'edts', 'elst'), scale, movieScale)
    beginning.set(number, { scale, zero, lasting: lasting.get(number) ?? 0 })
  }
  return beginning
}

/** How wide and high the picture is that `init.mp4` begins; neither where there is none. */
export const sizeIn = async (init: Buffer): Promise<{ width?: number; height?: number }> => {
  const readAt = reading(init)
  const file: Box = { type: 'file', start: 0, body: 0, end: init.length, cut: false }
  const { moov } = await childrenOf(readAt, file, ['moov'], unlimited())
  if (moov === undefined) return {}
  for await (const trak of boxesIn(readAt, moov.body, moov.end, unlimited())) {
    const stsd = await contentAt(readAt, trak, 'mdia', 'minf', 'stbl', 'stsd')
    if (stsd.length >= 44 && stsd.toString('latin1', 12, 16) === 'avc1')
      return { width: stsd.readUInt16BE(40), height: stsd.readUInt16BE(42) }
  }
  return {}
}

/** The track of a fragment, and how long its samples last that do not say so themselves. */
const headOf = (tfhd: Buffer): { number: number; lasting: number | undefined } => {
  const flags = tfhd.readUInt32BE(0) & 0xffffff
  const at = 8 + ((flags & 0x1) !== 0 ? 8 : 0) + ((flags & 0x2) !== 0 ? 4 : 0)
  return { number: tfhd.readUInt32BE(4), lasting: (flags & 0x8) !== 0 ? tfhd.readUInt32BE(at) : undefined }
}

/** A run of samples that begins at this tick: where the next would, and where the last to be shown ends. */
const runFrom = (trun: Buffer, from: number, lasting: number): { next: number; end: number } => {
  const flags = trun.readUInt32BE(0) & 0xffffff
  const signed = trun[0] === 1
  const has = (flag: number) => (flags & flag) !== 0
  let at = 8 + (has(0x1) ? 4 : 0) + (has(0x4) ? 4 : 0)
  const width = [0x100, 0x200, 0x400, 0x800].filter(has).length * 4
  let next = from
  let end = from
  for (let left = trun.readUInt32BE(4); left > 0 && at + width <= trun.length; left -= 1) {
    const ticks = has(0x100) ? trun.readUInt32BE(at) : lasting
    const late = at + width - 4
    const by = has(0x800) ? (signed ? trun.readInt32BE(late) : trun.readUInt32BE(late)) : 0
    end = Math.max(end, next + by + ticks)
    next += ticks
    at += width
  }
  return { next, end }
}

/** When a piece of so many bytes ends, in seconds of the recording's time: the end of whichever track goes on longer. */
const endOf = async (readAt: ReadAt, length: number, beginning: Beginning): Promise<number> => {
  let latest = 0
  for await (const moof of boxesIn(readAt, 0, length, unlimited())) {
    if (moof.type !== 'moof' || moof.cut) continue
    for await (const traf of boxesIn(readAt, moof.body, moof.end, unlimited())) {
      if (traf.type !== 'traf') continue
      const tfhd = await contentAt(readAt, traf, 'tfhd')
      const tfdt = await contentAt(readAt, traf, 'tfdt')
      if (tfhd.length < 8 || tfdt.length < 8) continue
      const { number, lasting } = headOf(tfhd)
      const track = beginning.get(number)
      if (track === undefined) continue
      let at = tfdt[0] === 1 && tfdt.length >= 12 ? Number(tfdt.readBigUInt64BE(4)) : tfdt.readUInt32BE(4)
      for await (const trun of boxesIn(readAt, traf.body, traf.end, unlimited())) {
        const run = trun.type === 'trun' ? await contentOf(readAt, trun, mostBytes) : Buffer.alloc(0)
        if (run.length < 8) continue
        const { next, end } = runFrom(run, at, lasting ?? track.lasting)
        latest = Math.max(latest, (end - track.zero) / track.scale)
        at = next
      }
    }
  }
  return latest
}

/** The same of a file. */
export const endOfFile = async (path: string, beginning: Beginning): Promise<number> => {
  await using file = await open(path)
  const { size } = await file.stat()
  const readAt: ReadAt = async (offset, length) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(length, size)), 0, undefined, offset)
    return buffer.subarray(0, bytesRead)
  }
  return await endOf(readAt, size, beginning)
}
