import type { Engines } from '../engines/engines.ts'
import type { FfmpegWork } from '../engines/ffmpeg-arguments.ts'
import { FfmpegFailed } from '../engines/ffmpeg-failed.ts'
import type { ClipSample, ClipSound } from './assemble.ts'
import { micros, type Range } from './clip.ts'
import { type Encoding, pictureWork, soundWork } from './commands.ts'
import type { Footage, Job } from './footage.ts'
import type { MovieTrack, Samples } from './movie.ts'
import { indexOfFile } from './original.ts'
import { secondsFrom } from './probing.ts'

/** A clip being made, and the ffmpeg runs it took. */
export type Making = { engines: Engines; run: Job; footage: Footage; range: Range; works: FfmpegWork[] }

/** Frames that were encoded, in the order of decoding; `pts` in ticks from the first of the piece. */
export type Piece = { track: MovieTrack; samples: ClipSample[] }

/** Seconds that one run may take. */
const patience = (seconds: number): number => Math.min(86_400, 120 + seconds * 30)

export const runFfmpeg = async (
  { engines, run, works, range }: Making,
  work: FfmpegWork,
  onProgress?: (seconds: number) => void,
): Promise<void> => {
  works.push(work)
  const seconds = patience(range.end - range.start)
  await engines.ffmpeg.run(work, { signal: run.signal, seconds, ...(onProgress === undefined ? {} : { onProgress }) })
}

/** Waits for all of them, then throws what the first that failed threw: none is left running. */
export const together = async <Results extends readonly unknown[]>(
  works: { [Index in keyof Results]: Promise<Results[Index]> },
): Promise<Results> => {
  await Promise.allSettled(works)
  return await Promise.all(works)
}

const samplesOf = (path: string, { count, offset, size, pts, sync }: Samples): ClipSample[] => {
  const first = pts.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY)
  return Array.from({ length: count }, (_, at) => {
    const start = offset[at] ?? 0
    return {
      path,
      parts: [{ start, end: start + (size[at] ?? 0) }],
      pts: (pts[at] ?? 0) - first,
      sync: sync[at] === 1,
    }
  })
}

/** Encodes frames; what comes out is not checked here. */
export const encodePicture = async (
  making: Making,
  name: string,
  encoding: Omit<Encoding, 'timeBase' | 'interlaced'>,
  onProgress?: (seconds: number) => void,
): Promise<Piece> => {
  const { source, streams } = making.footage
  const { timeBase, interlaced } = streams
  await runFfmpeg(making, pictureWork(source, name, { ...encoding, timeBase, interlaced }), onProgress)
  const path = `${source.folder}/${name}`
  const track = (await indexOfFile(path)).tracks.find(({ kind }) => kind === 'vide')
  if (track === undefined || track.samples.count === 0) throw new FfmpegFailed('no frame came out', 'content', '')
  return { track, samples: samplesOf(path, track.samples) }
}

/** Seconds: sound that was entered too late would be missed by nobody. */
const soundMargin = 8

/** The sound from the clip's first frame to the end of the range. Null where there is none. */
export const encodeSound = async (making: Making): Promise<ClipSound | null> => {
  const { source, streams, soundZero, zero, wanted, seek } = making.footage
  const [first] = wanted
  if (soundZero === null || streams.sound === null || first === undefined) return null
  const from = soundZero + secondsFrom(zero, first, streams.timeBase)
  const to = soundZero + making.range.end
  if (micros(to) <= micros(from)) return null
  const name = 'sound.mp4'
  const before = seek === null || seek < soundMargin ? null : seek - soundMargin
  await runFfmpeg(making, soundWork(source, name, { from, to, ...streams.sound }, before))
  const path = `${source.folder}/${name}`
  const track = (await indexOfFile(path)).tracks.find(({ kind }) => kind === 'soun')
  if (track === undefined || track.samples.count === 0) return null
  const { samples, timeScale, entry, edits } = track
  const ends = Array.from({ length: samples.count }, (_, at) => samples.dts[at + 1] ?? samples.end)
  return {
    timeScale,
    entry,
    samples: samplesOf(path, samples).map((sample, at) => ({
      ...sample,
      duration: (ends[at] ?? 0) - (samples.dts[at] ?? 0),
    })),
    from: Math.max(0, edits.at(-1)?.mediaTime ?? 0),
  }
}
