import { open, readFile } from 'node:fs/promises'
import { type Box, type Budget, boxesIn, childrenOf, contentOf, type ReadAt } from '../custody/examination/boxes.ts'
import type { RenditionFacts } from '../engines/tables.ts'
import { initName } from './commands.ts'
import type { Piece as Listed } from './pieces.ts'
import type { Piece } from './storing.ts'

/** A track as the beginning that all pieces share tells of it: ticks a second, where its time begins, a sample's length. */
type Track = { kind: 'picture' | 'sound'; scale: number; zero: number; lasting: number }

/** What the beginning of a rendition says: its tracks by their number. */
type Beginning = Map<number, Track>

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
const beginningIn = async (init: Buffer): Promise<Beginning> => {
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
    const kind =
      (await contentAt(readAt, trak, 'mdia', 'hdlr')).toString('latin1', 8, 12) === 'soun' ? 'sound' : 'picture'
    beginning.set(number, { kind, scale, zero, lasting: lasting.get(number) ?? 0 })
  }
  return beginning
}

/** How wide and high the picture is that `init.mp4` begins; neither where there is none. */
const sizeIn = async (init: Buffer): Promise<{ width?: number; height?: number }> => {
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

/** Of sound, in seconds: a sample that claims to last longer has a hole after it. */
const longestSound = 1

type Ran = { next: number; end: number; longest: number }

/**
 * A run of samples that begins at this tick: where the next would, where the last to be shown ends if none lasts longer than
 * `most`, and how long the longest does.
 */
const runFrom = (trun: Buffer, from: number, lasting: number, most: number): Ran => {
  const flags = trun.readUInt32BE(0) & 0xffffff
  const signed = trun[0] === 1
  const has = (flag: number) => (flags & flag) !== 0
  let at = 8 + (has(0x1) ? 4 : 0) + (has(0x4) ? 4 : 0)
  const width = [0x100, 0x200, 0x400, 0x800].filter(has).length * 4
  let next = from
  let end = from
  let longest = 0
  for (let left = trun.readUInt32BE(4); left > 0 && at + width <= trun.length; left -= 1) {
    const ticks = has(0x100) ? trun.readUInt32BE(at) : lasting
    const late = at + width - 4
    const by = has(0x800) ? (signed ? trun.readInt32BE(late) : trun.readUInt32BE(late)) : 0
    end = Math.max(end, next + by + Math.min(ticks, most))
    longest = Math.max(longest, ticks)
    next += ticks
    at += width
  }
  return { next, end, longest }
}

/** In seconds of the recording's time. `longest` is of one sample. */
type Span = { start: number; end: number; longest: number }

/** From where to where there is a picture, and sound, in a piece. */
type Spans = { picture?: Span; sound?: Span }

const spansIn = async (readAt: ReadAt, length: number, beginning: Beginning): Promise<Spans> => {
  const spans: Spans = {}
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
      const { kind, zero, scale } = track
      const secondsAt = (ticks: number) => (ticks - zero) / scale
      let at = tfdt[0] === 1 && tfdt.length >= 12 ? Number(tfdt.readBigUInt64BE(4)) : tfdt.readUInt32BE(4)
      for await (const trun of boxesIn(readAt, traf.body, traf.end, unlimited())) {
        const run = trun.type === 'trun' ? await contentOf(readAt, trun, mostBytes) : Buffer.alloc(0)
        if (run.length < 8) continue
        const most = kind === 'sound' ? longestSound * scale : Number.POSITIVE_INFINITY
        const { next, end, longest } = runFrom(run, at, lasting ?? track.lasting, most)
        const before = spans[kind] ?? { start: secondsAt(at), end: 0, longest: 0 }
        spans[kind] = {
          start: before.start,
          end: Math.max(before.end, secondsAt(end)),
          longest: Math.max(before.longest, longest / scale),
        }
        at = next
      }
    }
  }
  return spans
}

/** The same of a file. */
const spansOf = async (path: string, beginning: Beginning): Promise<Spans> => {
  await using file = await open(path)
  const { size } = await file.stat()
  const readAt: ReadAt = async (offset, length) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(length, size)), 0, undefined, offset)
    return buffer.subarray(0, bytesRead)
  }
  return await spansIn(readAt, size, beginning)
}

/** Sound has a hole beside the picture: no player goes on where one of them is missing. */
export class SoundHole extends Error {}

/** Seconds by which a piece's sound may end after its picture without going on. */
const soundEdge = 0.1

/**
 * The pieces that ffmpeg lists, each as long as what is in it: ffmpeg counts pictures alone, so that sound which goes on after
 * them would be heard without a trace. Of the last one it only guesses the length. `next` throws a SoundHole where pictures
 * go on for a second or more without sound, unless the sound is `whole`.
 */
export const timed = (folder: string, { whole }: { whole: boolean }) => {
  let beginning: Beginning | undefined
  let size: RenditionFacts = {}
  let listed = 0
  let at = 0
  let heard = 0

  const refuseHole = (tracks: Beginning, { picture, sound }: Spans): void => {
    const hasBoth = new Set([...tracks.values()].map(({ kind }) => kind)).size === 2
    if (!hasBoth || whole) return
    const begins = sound === undefined ? heard : sound.start
    if (begins - heard > longestSound || (sound?.longest ?? 0) > longestSound) throw new SoundHole()
    heard = Math.max(heard, sound?.end ?? 0)
    if ((picture?.end ?? 0) - heard > longestSound) throw new SoundHole()
  }

  return {
    end: () => at,
    size: () => size,
    next: async ({ name, duration }: Listed, isLast: boolean): Promise<Omit<Piece, 'number'>> => {
      if (beginning === undefined) {
        const init = await readFile(`${folder}/${initName}`)
        beginning = await beginningIn(init)
        size = await sizeIn(init)
      }
      const start = at
      listed += isLast ? 0 : duration
      const spans = await spansOf(`${folder}/${name}`, beginning)
      refuseHole(beginning, spans)
      const end = Math.max(spans.picture?.end ?? 0, spans.sound?.end ?? 0)
      // Sound is cut where its own frames end, a moment beside the picture.
      at = Math.max(at, isLast || end - listed > soundEdge ? end : listed)
      return { name, start, duration: at - start }
    },
  }
}
