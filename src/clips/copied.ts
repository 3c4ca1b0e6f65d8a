import { open } from 'node:fs/promises'
import { hex, sha256 } from '../base/digest.ts'
import type { ClipPicture, ClipSample } from './assemble.ts'
import { profileOf, type Style } from './commands.ts'
import { type Copy, copiedParts, copyOf, isIdr, whyNotCopied, whyNotPlain } from './copying.ts'
import { avcC, NotPlain, type ParameterSets, parameterSetsOf, pictureIds, sequenceFacts, unitsOf } from './h264.ts'
import { encodePicture, type Making, type Piece, together } from './making.ts'
import { boxesOf } from './movie.ts'
import { box, u16, u32, upright } from './writing.ts'

/** A picture whose middle is the original's own. `hashes`: the SHA-256 of each copied sample as it stands in the clip. */
export type Copied = { picture: ClipPicture; copy: Copy; hashes: string[]; leftOut: number }

/** Where the boxes of a picture's sample entry begin. */
const entryHead = 86

const setsIn = (entry: Buffer): ParameterSets => {
  const found = boxesOf(entry, entryHead, entry.length).find(({ type }) => type === 'avcC')
  if (found === undefined) throw new NotPlain('its parameter sets do not stand in its index')
  return parameterSetsOf(entry.subarray(found.body, found.end))
}

type Looked = { idr: boolean; sample: ClipSample; hash: string; leftOut: number; why: string | undefined }

/** Looks at every unit of every sample around the range. */
const lookAt = async ({ footage }: Making, sets: ParameterSets): Promise<Looked[]> => {
  const { source, samples } = footage
  const looked: Looked[] = []
  await using file = await open(source.path)
  for (const { offset, size, pts, sync } of samples ?? []) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, offset)
    const units = unitsOf(buffer.subarray(0, bytesRead), sets.lengthSize)
    const kept = copiedParts(units)
    looked.push({
      idr: isIdr(units),
      sample: {
        path: source.path,
        parts: kept.map(({ start, end }) => ({ start: offset + start, end: offset + end })),
        pts,
        sync,
      },
      hash: hex(sha256(...kept.map(({ start, end }) => buffer.subarray(start, end)))),
      leftOut: units.length - kept.length,
      why: whyNotCopied(units, sets),
    })
  }
  return looked
}

const likeSource = ({ footage: { streams } }: Making, { sps, pps }: ParameterSets) => {
  const taken = new Set([...sps.map((set) => sequenceFacts(set).id), ...pps.map((set) => pictureIds(set).id)])
  const free = Array.from({ length: 32 }, (_, id) => id).filter((id) => !taken.has(id))
  const references = Math.max(1, ...sps.map((set) => sequenceFacts(set).references))
  return (edge: 0 | 1): Style => {
    const setId = free[edge]
    if (setId === undefined) throw new NotPlain('it leaves no number for another set of parameters')
    const { profile, pixels, reorders } = streams
    return { profile: profileOf(profile), pixels, reorders, references, setId }
  }
}

/** Parameter sets of all pieces: each picture names its own by number. */
const union = (sets: ParameterSets, edges: Piece[]): ParameterSets => {
  const theirs = edges.map(({ track }) => setsIn(track.entry))
  if (theirs.some(({ lengthSize }) => lengthSize !== sets.lengthSize))
    throw new NotPlain('its edges are written otherwise')
  const high = sets.sps.some((set) => sequenceFacts(set).profile === 100)
  return {
    ...sets,
    // Of plain colours it says but this, and anything may stand in the original's.
    extension: Buffer.from(high ? [0xfd, 0xf8, 0xf8, 0] : []),
    level: Math.max(sets.level, ...theirs.map(({ level }) => level)),
    sps: [...sets.sps, ...theirs.flatMap(({ sps }) => sps)],
    pps: [...sets.pps, ...theirs.flatMap(({ pps }) => pps)],
  }
}

/** A sample entry of our own: the original's may hold a maker's words. */
const entryOf = ({ width, height, aspect }: Making['footage']['streams'], sets: ParameterSets): Buffer =>
  box(
    'avc1',
    ...[u32(0), u16(0, 1), u32(0, 0, 0, 0), u16(width, height), u32(0x480000, 0x480000, 0), u16(1)],
    ...[Buffer.alloc(32), u16(24, 0xffff), box('avcC', avcC(sets))],
    ...(aspect[0] === aspect[1] ? [] : [box('pasp', u32(...aspect))]),
  )

const piecesAre = ({ samples }: Piece, wanted: number[]): boolean => {
  const times = samples.map(({ pts }) => pts).sort((a, b) => a - b)
  return times.length === wanted.length && times.every((pts, at) => pts === (wanted[at] ?? 0) - (wanted[0] ?? 0))
}

const later = ({ samples }: Piece, by: number): ClipSample[] =>
  samples.map((sample) => ({ ...sample, pts: sample.pts + by }))

/** From where on decoding is needed for a frame that stands at `sample` in the order of decoding: seconds. */
const seekFor = (
  { footage }: Making,
  looked: { idr: boolean; sample: ClipSample }[],
  sample: number,
): number | null => {
  const { num, den } = footage.streams.timeBase
  const start = looked.slice(0, sample + 1).findLast(({ idr, sample: { sync } }) => idr && sync)
  return start === undefined ? null : (start.sample.pts * num) / den
}

/**
 * Encodes the frames at the edges and copies those between. Throws NotPlain, which says why, where that cannot be proven
 * right for this file.
 */
export const copiedPicture = async (making: Making, end: number): Promise<Copied> => {
  const { streams, samples, wanted, entry, matrix } = making.footage
  if (streams.codec !== 'h264') throw new NotPlain('it is not H.264')
  if (samples === null || entry === null) throw new NotPlain('its index does not tell plainly where each frame stands')
  if (!entry.includes('avcC')) throw new NotPlain('its parameter sets do not stand in its index')
  if (streams.interlaced) throw new NotPlain('its pictures are interlaced')
  if (!['yuv420p', 'yuvj420p'].includes(streams.pixels)) throw new NotPlain('its colours are not of the usual kind')
  const sets = setsIn(entry)
  const refusal = whyNotPlain(sets)
  if (refusal !== undefined) throw new NotPlain(refusal)
  const looked = await lookAt(making, sets)
  const why = looked.find((one) => one.why !== undefined)?.why
  if (why !== undefined) throw new NotPlain(why)
  const copy = copyOf(samples, wanted, (sample) => looked[sample]?.idr === true)
  const style = likeSource(making, sets)

  const zero = wanted[0] ?? 0
  const middle = copy.to - copy.from
  const [ahead, behind] = [wanted.slice(0, copy.before), wanted.slice(copy.before + middle)]
  const edge = async (name: string, frames: number[], which: 0 | 1, seek: number | null): Promise<Piece[]> => {
    const [from, to] = [frames[0], frames.at(-1)]
    if (from === undefined || to === undefined) return []
    const piece = await encodePicture(making, name, { ticks: { from, to: to + 1 }, seek, style: style(which) })
    if (!piecesAre(piece, frames)) throw new NotPlain('its edges did not come out frame by frame')
    return [piece]
  }
  const [heads, tails] = await together<[Piece[], Piece[]]>([
    edge('head.mp4', ahead, 0, null),
    edge('tail.mp4', behind, 1, seekFor(making, looked, copy.to - 1)),
  ])
  const between = looked.slice(copy.from, copy.to)
  return {
    picture: {
      timeScale: streams.timeBase.den,
      entry: entryOf(streams, union(sets, [...heads, ...tails])),
      width: streams.width,
      height: streams.height,
      matrix: matrix ?? upright,
      samples: [
        ...heads.flatMap((piece) => later(piece, 0)),
        ...between.map(({ sample }) => ({ ...sample, pts: sample.pts - zero })),
        ...tails.flatMap((piece) => later(piece, (behind[0] ?? 0) - zero)),
      ],
      end,
    },
    copy,
    hashes: between.map(({ hash }) => hash),
    leftOut: between.reduce((sum, one) => sum + one.leftOut, 0),
  }
}
