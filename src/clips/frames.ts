import { micros, type Range } from './clip.ts'
import { type DecodedFrame, secondsFrom, type TimeBase, wantedOf } from './probing.ts'

/**
 * Decodes what lies between two times of the file's own clock, the first of them null: from its beginning. The answer may
 * take `seconds`.
 */
export type Look = (interval: { from: number | null; to: number }, seconds: number) => Promise<DecodedFrame[]>

/** No key frame was found before the range from which on its frames could be decoded. */
export class NoEntrance extends Error {}

/** Frames of a range are listed in pieces: an answer has its limit. */
const pieceSeconds = 120
/** Around a piece, so that no frame is missed that is decoded before or after it. */
const margin = 2
/** So far back a key frame is looked for: more than that no answer holds. */
const furthest = 1024

/**
 * The frames of a range as a decoder gives them, in order, and when the next one after them begins. Some containers are
 * entered by time stamp, in the middle of a group of pictures, and nothing is shown then until the next key frame: so the
 * entrance moves back, by doubling, until a key frame at or before the range was decoded, and what is listed from there on
 * is complete. `seek` is further back still: whoever encodes from there does not repeat the same look.
 */
export const framesOfRange = async (
  look: Look,
  zero: number,
  base: TimeBase,
  range: Range,
): Promise<ReturnType<typeof wantedOf> & { seek: number | null }> => {
  const clock = secondsFrom(0, zero, base)
  const at = ({ pts }: DecodedFrame) => secondsFrom(zero, pts, base)
  const entrance = (moment: number, back: number) => (moment > back ? clock + moment - back : null)
  let back = margin
  const listed = async (moment: number, to: number): Promise<DecodedFrame[]> => {
    for (; back <= furthest; back *= 2) {
      const from = entrance(moment, back)
      const seconds = 120 + 4 * (to + margin - Math.max(0, moment - back))
      const found = await look({ from, to: clock + to + margin }, seconds)
      const key = found.findIndex((frame) => frame.key && micros(at(frame)) <= micros(moment))
      if (from === null) return found
      if (key !== -1) return found.slice(key)
    }
    throw new NoEntrance()
  }

  const frames = new Map<number, DecodedFrame>()
  let known = range.start
  let length = pieceSeconds
  for (let from = range.start; from < range.end; ) {
    const to = Math.min(range.end, from + length)
    const found = await listed(Math.min(from, known), to)
    for (const frame of found) frames.set(frame.pts, frame)
    known = found.reduce((latest, frame) => Math.max(latest, at(frame)), range.start)
    // Over a gap, and past the end, in ever longer strides.
    length = known < from ? length * 2 : pieceSeconds
    from = to
  }
  return { ...wantedOf([...frames.values()], zero, base, range), seek: entrance(range.start, back * 2) }
}
