import { open } from 'node:fs/promises'
import type { Engines } from '../engines/engines.ts'
import { FfmpegFailed } from '../engines/ffmpeg-failed.ts'
import { type ScratchFolder, ScratchFull } from '../engines/scratch.ts'
import type { RecordingRow } from '../engines/tables.ts'
import type { Run } from '../jobs/catalogue.ts'
import type { Range } from './clip.ts'
import type { Source } from './commands.ts'
import { type Excerpt, type ExcerptTrack, excerptOf, type Sample } from './excerpt.ts'
import { framesOfRange, type Look } from './frames.ts'
import { NoIndex } from './movie.ts'
import { atHand, indexOf, type Original, openOriginal, wholeOf } from './original.ts'
import { askForFrames, askForStreams, framesOf, type Streams, secondsFrom, streamsOf } from './probing.ts'
import { headOf, type WrittenTrack } from './writing.ts'

export type Job = Pick<Run, 'signal' | 'progress'>

/**
 * What a range is cut from, at hand in the scratch folder. Ticks and seconds are of that file's own clock: `zero` is when
 * the recording's first frame begins on it, `wanted` when each frame of the range does, `after` the next one after them.
 */
export type Footage = {
  source: Source
  streams: Streams
  zero: number
  wanted: number[]
  after: number
  /** From where on decoding is needed; null: from the file's beginning. */
  seek: number | null
  /** Seconds: when the recording's first frame begins on the sound's clock. Null: there is no sound. */
  soundZero: number | null
  /** The samples around the range in the order of decoding, where the index tells them: only then can they be copied. */
  samples: Sample[] | null
  entry: Buffer | null
  matrix: Buffer | null
  read: { read: 'whole' | 'in-part'; bytesRead: number; checked: string }
}

/** No frame begins within the range. */
export class NoFrame extends Error {}

/** Smaller originals are read whole: their digest is worth more than the bytes. */
const wholeBelow = 4 * 1024 * 1024

const excerptName = 'excerpt.mp4'

const written = ({ track, samples }: ExcerptTrack): WrittenTrack => ({
  kind: track.kind === 'vide' ? 'vide' : 'soun',
  timeScale: track.timeScale,
  entry: track.entry,
  width: track.width,
  height: track.height,
  matrix: track.matrix,
  sizes: samples.map(({ size }) => size),
  durations: samples.map(({ dts }, at) => Math.max(1, (samples[at + 1]?.dts ?? dts + 1) - dts)),
  shifts: samples.map(({ dts, pts }) => pts - dts),
  sync: samples.every(({ sync }) => sync) ? null : samples.map(({ sync }) => sync),
  shown: null,
  chunks: samples.map(({ offset, size }) => ({ offset, samples: size / (track.samples.uncompressed?.bytes ?? size) })),
  ...(track.samples.uncompressed === undefined ? {} : { uncompressed: track.samples.uncompressed }),
})

/** Writes the excerpt as a small file of its own, whose clocks begin at its first samples. */
const writeExcerpt = async (
  excerpt: Excerpt,
  original: Original,
  folder: ScratchFolder,
  { progress }: Job,
): Promise<{ path: string; dataStart: number }> => {
  const path = folder.path(excerptName)
  if (!(await folder.hasRoomFor(excerpt.bytes))) throw new ScratchFull()
  const tracks = [excerpt.video, ...(excerpt.audio === null ? [] : [excerpt.audio])]
  const head = headOf(tracks.map(written), excerpt.bytes)
  await using file = await open(path, 'wx', 0o644)
  await file.write(head, 0, head.length, 0)
  for (const { first, end, at } of excerpt.stretches) {
    await original.copy(first, end, file, head.length + at)
    progress(0.3 * (at / excerpt.bytes))
  }
  return { path, dataStart: head.length }
}

const inPart =
  'Only the bytes that the range needs were read: the store holds the version that was taken into custody, at its size; its digest as a whole was not computed anew.'
const whole = 'The whole original was read, and its SHA-256 is the one under which it was taken into custody.'

const fromExcerpt = async (
  { ffmpeg }: Engines,
  excerpt: Excerpt,
  original: Original,
  folder: ScratchFolder,
  run: Job,
): Promise<Omit<Footage, 'read'>> => {
  const { path, dataStart } = await writeExcerpt(excerpt, original, folder, run)
  const source = { folder: folder.folder, path, demuxer: 'mov' }
  const streams = streamsOf(await ffmpeg.probe(path, 'mov', { signal: run.signal, ask: askForStreams }))
  const { video, audio, first, wanted, after } = excerpt
  if (streams.timeBase.num !== 1 || streams.timeBase.den !== video.track.timeScale)
    throw new NoIndex('its time scale is not what its index says')
  const origin = video.samples[0]?.dts ?? 0
  const soundOrigin = (audio?.samples[0]?.dts ?? 0) / (audio?.track.timeScale ?? 1)
  return {
    source,
    streams,
    zero: first - origin,
    wanted: wanted.map((pts) => pts - origin),
    after: after - origin,
    seek: null,
    soundZero: audio === null ? null : excerpt.soundZero - soundOrigin,
    samples: video.samples.map((sample) => ({
      ...sample,
      offset: sample.offset + dataStart,
      dts: sample.dts - origin,
      pts: sample.pts - origin,
    })),
    entry: video.track.entry,
    matrix: video.track.matrix,
  }
}

const firstFrames = 64

const fromWhole = async ({ ffmpeg }: Engines, source: Source, range: Range, { signal }: Job) => {
  const probe = async (ask: string[], seconds: number) =>
    await ffmpeg.probe(source.path, source.demuxer, { signal, seconds, ask })
  const streams = streamsOf(await probe(askForStreams, 30))
  const { timeBase } = streams
  const begun = framesOf(await probe(askForFrames({ count: firstFrames }), 60))
  if (begun.length === 0) throw new FfmpegFailed('no frame can be decoded', 'content', '')
  const zero = begun.reduce((least, { pts }) => Math.min(least, pts), Number.POSITIVE_INFINITY)
  const look: Look = async (interval, seconds) => framesOf(await probe(askForFrames(interval), seconds))
  const { wanted, after, seek } = await framesOfRange(look, zero, streams, range)
  if (wanted.length === 0) throw new NoFrame()
  return {
    ...{ source, streams, zero, wanted, after, seek },
    soundZero: streams.sound === null ? null : secondsFrom(0, zero, timeBase),
    samples: null,
    entry: null,
    matrix: null,
  }
}

/**
 * Brings what a range needs into the folder. Of an MP4 file whose index is plain that is an excerpt; of others the whole.
 * Throws NoFrame, FfmpegFailed where the file is to blame, and Error where the original is not what it was.
 */
export const footageFor = async (
  engines: Engines,
  recording: RecordingRow,
  range: Range,
  folder: ScratchFolder,
  run: Job,
  readWholeBelow = wholeBelow,
): Promise<Footage> => {
  const original = await openOriginal(engines, recording, run)
  const { demuxer } = original
  const small = recording.size < readWholeBelow
  let path = small ? await wholeOf(engines, original, folder, run) : undefined
  let because = 'other files than MP4 are not read in part'
  if (demuxer === 'mov') {
    try {
      await using copy = path === undefined ? undefined : await open(path)
      const near = copy === undefined ? original : atHand(original, copy)
      const excerpt = excerptOf(await indexOf(near.read, recording.size), recording.size, range)
      if (excerpt === null) throw new NoFrame()
      const footage = await fromExcerpt(engines, excerpt, near, folder, run)
      const checked = small ? whole : inPart
      return { ...footage, read: { read: small ? 'whole' : 'in-part', bytesRead: near.bytesRead(), checked } }
    } catch (error) {
      if (!(error instanceof NoIndex)) throw error
      because = error.message
    }
  }
  engines.log.debug({ recording: recording.id, because }, 'the whole original is read for a clip')
  path ??= await wholeOf(engines, original, folder, run)
  const footage = await fromWhole(engines, { folder: folder.folder, path, demuxer }, range, run)
  return { ...footage, read: { read: 'whole', bytesRead: original.bytesRead() + recording.size, checked: whole } }
}
