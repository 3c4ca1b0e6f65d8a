import { micros, type Range } from './clip.ts'
import { type Movie, type MovieTrack, NoIndex, type Samples } from './movie.ts'

/** A sample of an excerpt: where its bytes stand in the excerpt, and its times in the original's own ticks. */
export type Sample = { offset: number; size: number; dts: number; pts: number; sync: boolean }

/** Bytes of the original, `first` to `end` exclusive, and where they stand in the excerpt's data. */
type Stretch = { first: number; end: number; at: number }

export type ExcerptTrack = { track: MovieTrack; samples: Sample[] }

/**
 * The part of an MP4 file that a range needs: from the key frame before its first frame to its last frame in the order of
 * decoding, and the sound around it. Ticks are of the picture's time scale; `first` is when the recording's first frame
 * begins, `wanted` when each frame of the range does, in order, and `after` when the next one after them would.
 */
export type Excerpt = {
  video: ExcerptTrack
  audio: ExcerptTrack | null
  first: number
  wanted: number[]
  after: number
  /** Seconds on the sound's own clock, before its first sample in the excerpt is taken for zero, of the first frame. */
  soundZero: number
  stretches: Stretch[]
  bytes: number
}

/** Picture formats of which each sample is one frame, and sound formats of which each sample is one packet. */
const pictures = new Set(['avc1', 'avc3', 'hvc1', 'hev1', 'mp4v', 'jpeg'])
const sounds = new Set(['mp4a', 'alac', 'ac-3', 'Opus', 'samr'])

/** Holes between wanted bytes that are cheaper read than left out. */
const smallGap = 256 * 1024
/** Seconds of sound around the range: a decoder needs some to begin with. */
const soundBefore = 0.3
const soundAfter = 0.1

/** When a time on the track's own clock is shown, in seconds, by its edit list; throws NoIndex where that is not plain. */
const shownAt = ({ edits, timeScale }: MovieTrack, movieScale: number) => {
  const [head, ...tail] = edits
  const delay = head !== undefined && head.mediaTime === -1 ? head.duration / movieScale : 0
  const shows = delay > 0 || head?.mediaTime === -1 ? tail : edits
  const [edit] = shows
  if (shows.length > 1 || (edit !== undefined && (edit.rate !== 1 || edit.mediaTime < 0)))
    throw new NoIndex('its edit list rearranges it')
  const from = edit?.mediaTime ?? 0
  const until = edit === undefined ? Number.POSITIVE_INFINITY : from + (edit.duration / movieScale) * timeScale
  return { at: (ticks: number) => (ticks - from) / timeScale + delay, from, until }
}

const least = (values: Float64Array): number => values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
const most = (values: Float64Array): number => values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)

/** The numbers of the frames of a range, in the order of decoding. */
const framesWithin = ({ pts }: Samples, first: number, scale: number, { start, end }: Range): number[] => {
  const [from, to] = [micros(start), micros(end)]
  const found: number[] = []
  for (let sample = 0; sample < pts.length; sample++) {
    const at = micros(((pts[sample] ?? 0) - first) / scale)
    if (at >= from && at < to) found.push(sample)
  }
  return found
}

/** The last sample at which decoding can begin so that every frame from `from` on comes out right. */
const beginningFor = ({ sync, pts }: Samples, earliest: number, from: number): number => {
  for (let sample = earliest; sample >= 0; sample--) if (sync[sample] === 1 && (pts[sample] ?? 0) <= from) return sample
  return 0
}

const span = (samples: Samples, first: number, last: number): Sample[] =>
  Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => ({
    offset: samples.offset[first + n] ?? 0,
    size: samples.size[first + n] ?? 0,
    dts: samples.dts[first + n] ?? 0,
    pts: samples.pts[first + n] ?? 0,
    sync: samples.sync[first + n] === 1,
  }))

const soundFor = (track: MovieTrack, movieScale: number, from: number, to: number): Sample[] => {
  const { at } = shownAt(track, movieScale)
  const { pts } = track.samples
  let [first, last] = [-1, -1]
  for (let sample = 0; sample < pts.length; sample++) {
    const shown = at(pts[sample] ?? 0)
    if (shown > to + soundAfter) break
    // A sample may be long: the one that begins before has what is wanted, too.
    if (first === -1 || shown <= from - soundBefore) first = sample
    last = sample
  }
  return first === -1 ? [] : span(track.samples, first, last)
}

/** Which bytes are to be read, in as few pieces as is sensible. Throws NoIndex for a sample that is not in the file. */
const stretchesOf = (samples: Sample[], size: number): Stretch[] => {
  const stretches: Stretch[] = []
  let at = 0
  for (const { offset, size: length } of samples.toSorted((a, b) => a.offset - b.offset)) {
    if (offset + length > size) throw new NoIndex('its index names bytes that it does not have')
    const last = stretches.at(-1)
    if (last !== undefined && offset <= last.end + smallGap) {
      at += Math.max(0, offset + length - last.end)
      last.end = Math.max(last.end, offset + length)
    } else {
      stretches.push({ first: offset, end: offset + length, at })
      at += length
    }
  }
  return stretches
}

/** Where a byte of the original stands in the excerpt's data. */
const moved = (stretches: Stretch[], offset: number): number => {
  let [low, high] = [0, stretches.length - 1]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((stretches[middle]?.first ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  const stretch = stretches[low]
  if (stretch === undefined) throw new NoIndex('a sample is in no stretch')
  return stretch.at + offset - stretch.first
}

/**
 * What of a file of `size` bytes a range needs. Null when no frame begins within it. Throws NoIndex where the index does
 * not tell that plainly: then the whole file has to be looked at.
 */
export const excerptOf = (movie: Movie, size: number, range: Range): Excerpt | null => {
  const video = movie.tracks.find(({ kind }) => kind === 'vide')
  const audio = movie.tracks.find(({ kind }) => kind === 'soun')
  if (movie.fragmented) throw new NoIndex('it is in fragments')
  if (video === undefined || !pictures.has(video.format)) throw new NoIndex('its picture is of no plain format')
  if (audio !== undefined && audio.samples.uncompressed === undefined && !sounds.has(audio.format))
    throw new NoIndex('its sound is of no plain format')
  const { samples, timeScale } = video
  const shown = shownAt(video, movie.timeScale)
  const first = least(samples.pts)
  if (samples.count === 0) throw new NoIndex('there is no frame')
  if (shown.from > first || shown.until <= most(samples.pts)) throw new NoIndex('its edit list hides frames')

  const within = framesWithin(samples, first, timeScale, range)
  const [earliest] = within
  if (earliest === undefined) return null
  const wanted = within.map((sample) => samples.pts[sample] ?? 0).sort((a, b) => a - b)
  const [from = 0, last = 0] = [wanted[0], wanted.at(-1)]
  const later = samples.pts.reduce((best, pts) => (pts > last && pts < best ? pts : best), Number.POSITIVE_INFINITY)
  const after = Number.isFinite(later) ? later : Math.max(last + 1, first + samples.end - (samples.dts[0] ?? 0))
  const frames = span(samples, beginningFor(samples, earliest, from), within.at(-1) ?? earliest)
  const sound = audio === undefined ? [] : soundFor(audio, movie.timeScale, shown.at(from), shown.at(first) + range.end)
  const stretches = stretchesOf([...frames, ...sound], size)
  const put = (sample: Sample): Sample => ({ ...sample, offset: moved(stretches, sample.offset) })
  return {
    video: { track: video, samples: frames.map(put) },
    audio: audio === undefined || sound.length === 0 ? null : { track: audio, samples: sound.map(put) },
    first,
    wanted,
    after,
    soundZero: audio === undefined ? 0 : shown.at(first) - shownAt(audio, movie.timeScale).at(0),
    stretches,
    bytes: stretches.reduce((sum, stretch) => sum + stretch.end - stretch.first, 0),
  }
}
