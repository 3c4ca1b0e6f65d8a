import { micros, type Range } from './clip.ts'
import { type DecodedFrame, type Streams, secondsFrom, wantedOf } from './probing.ts'

/**
 * Decodes what lies between two times of the file's own clock, the first of them null: from its beginning. The answer may
 * take `seconds`.
 */
export type Look = (interval: { from: number | null; to: number }, seconds: number) => Promise<DecodedFrame[]>

/** No place was found before the range from which on its frames could be decoded. */
export class NoEntrance extends Error {}

/** Frames of a range are listed in pieces: an answer has its limit. */
const pieceSeconds = 120
/** Around a piece, so that no frame is missed that is decoded before or after it. */
const margin = 2
/** So far back an entrance is looked for: more than that no answer holds. */
const furthest = 1024
/** Seconds that one answer may take: past the end the strides have no limit of their own. */
const longest = 86_400
/**
 * Codecs whose decoder shows nothing before it can decode all of it. Those of others begin with whatever frame they come
 * upon, and show ruins until the next key frame.
 */
const withholding = new Set(['h264'])

/**
 * The frames of a range as a decoder gives them, in order, and when the next one after them begins. Some containers are
 * entered by time stamp, in the middle of a group of pictures, and nothing is shown then until the next key frame: so the
 * entrance moves back, by doubling, until a key frame at or before the range was decoded, and what is listed from there on
 * is complete. Where nothing marks as such what can be decoded from (open groups of pictures without a recovery point, or a
 * picture that is refreshed bit by bit), it is what two entrances list alike. `seek` is further back still: whoever encodes
 * from there does not repeat the same look.
 */
export const framesOfRange = async (
  look: Look,
  zero: number,
  { codec, timeBase: base }: Pick<Streams, 'codec' | 'timeBase'>,
  range: Range,
): Promise<ReturnType<typeof wantedOf> & { seek: number | null }> => {
  const clock = secondsFrom(0, zero, base)
  const at = ({ pts }: DecodedFrame) => secondsFrom(zero, pts, base)
  const entrance = (moment: number, back: number) => (moment > back ? clock + moment - back : null)
  const isBy = (moment: number, frame: DecodedFrame) => micros(at(frame)) <= micros(moment)
  const isFrom = (moment: number, frame: DecodedFrame) => micros(at(frame)) >= micros(moment)
  const since = (moment: number, frames: DecodedFrame[]) =>
    frames.flatMap((frame) => (isFrom(moment, frame) ? [frame.pts] : [])).join()
  /** The further look came in elsewhere, both by the moment, and from then on they list the same. */
  const agree = (moment: number, near: DecodedFrame[], far: DecodedFrame[]): boolean => {
    const [first, earlier] = [near[0], far[0]]
    if (first === undefined || earlier === undefined || earlier.pts >= first.pts) return false
    return isBy(moment, first) && since(moment, near) === since(moment, far)
  }
  let back = margin
  const listed = async (moment: number, to: number): Promise<DecodedFrame[]> => {
    let near: DecodedFrame[] = []
    for (; back <= furthest; back *= 2) {
      const from = entrance(moment, back)
      const seconds = Math.min(longest, 120 + 4 * (to + margin - Math.max(0, moment - back)))
      const found = await look({ from, to: clock + to + margin }, seconds)
      const key = found.findIndex((frame) => frame.key && isBy(moment, frame))
      if (from === null) return found
      if (key !== -1) return found.slice(key)
      if (withholding.has(codec) && agree(moment, near, found)) {
        // The next piece is entered from as near, or a long range would come too far back.
        back /= 2
        return found
      }
      near = found
    }
    throw new NoEntrance()
  }

  const frames = new Map<number, DecodedFrame>()
  let known = range.start
  let length = pieceSeconds
  for (let from = range.start; from < range.end; ) {
    const to = Math.min(range.end, from + length)
    const found = await listed(Math.min(from, known), to)
    // Where few frames have a time stamp, those right after an entrance have guessed times: each piece gives its own alone.
    for (const frame of found)
      if (isFrom(from, frame) && (to === range.end || !isFrom(to, frame))) frames.set(frame.pts, frame)
    known = found.reduce((latest, frame) => Math.max(latest, at(frame)), range.start)
    // Over a gap, and past the end, in ever longer strides.
    length = known < from ? length * 2 : pieceSeconds
    from = to
  }
  return { ...wantedOf([...frames.values()], zero, base, range), seek: entrance(range.start, back * 2) }
}
