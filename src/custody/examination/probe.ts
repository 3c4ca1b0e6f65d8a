import { type FileHandle, open } from 'node:fs/promises'
import path from 'node:path'
import type { Ffmpeg } from '../../engines/ffmpeg.ts'
import { FfmpegFailed } from '../../engines/ffmpeg-failed.ts'
import type { Track } from '../../engines/tables.ts'
import type { ReadAt } from './boxes.ts'
import { type Container, headLength, sniff } from './container.ts'
import { matroskaTruncation, riffTruncation } from './declared.ts'
import { type Movie, readMovie, type Truncation } from './movie.ts'
import { type Position, parseIso6709, parseLoci, parseNmea, parseXyz } from './position.ts'
import { firstSilence, type SilenceRules, silenceRules, silenceWork, startsSilent } from './silence.ts'
import {
  type Answer,
  askForCounts,
  askForPackets,
  askForTracks,
  isCountable,
  readAnswer,
  readCounts,
  readPackets,
  secondsOf,
  tracksOf,
} from './tracks.ts'

/** What examining a file found. Whatever the file holds, there is one; seconds throughout. */
export type Examination = {
  /** Null when the bytes are no container we know. */
  container: string | null
  mediaType: string | null
  duration: number | null
  startTime: number | null
  tracks: Track[]
  position?: Position
  truncated: { is: boolean; why?: Truncation }
  /** No demuxer can read it, or nothing in it can be shown; of sound alone, or heard. */
  unplayable: boolean
  silentStart: boolean
  /** For a person to read: what could not be found out, and why. */
  notes: string[]
}

type Subject = { ffmpeg: Ffmpeg; file: { path: string; size: number }; signal: AbortSignal }

/** Runs one examination of ffmpeg's; a file that it stumbles over gives a note instead of an answer. */
const attempt = async <Found>(what: string, notes: string[], work: () => Promise<Found>): Promise<Found | null> => {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof FfmpegFailed) || error.blame === 'machine') throw error
    const because = [
      { sign: 'max_streams', reason: 'it has too many tracks' },
      { sign: 'max pixel count', reason: 'a frame is too large' },
      { sign: '', reason: error.blame === 'time' ? 'it took too long' : 'ffmpeg does not understand it' },
    ].find(({ sign }) => error.detail.includes(sign))
    notes.push(`${what}: ${because?.reason}`)
    return null
  }
}

/** Time to read the whole file from a slow disk, and some more. */
const secondsToRead = (size: number) => 30 + size / 20e6

const truncationBySize = async (
  container: Container,
  readAt: ReadAt,
  size: number,
  notes: string[],
): Promise<Truncation | null> => {
  if (container.demuxer === 'avi' || container.demuxer === 'wav') return await riffTruncation(readAt, size)
  if (container.demuxer === 'matroska') return await matroskaTruncation(readAt, size)
  notes.push('this kind of file does not say where it ends: whether something is missing cannot be told')
  return null
}

/**
 * Counts the packets a demuxer really gives, edit lists aside; notes them on the tracks, and says whether a track has
 * fewer than its index promises.
 */
const fewerThanIndexed = async (
  subject: Subject,
  movie: Movie,
  answer: Answer,
  tracks: Track[],
  notes: string[],
): Promise<boolean> => {
  const { ffmpeg, file, signal } = subject
  const ask = [...askForCounts, '-ignore_editlist', '1']
  const seconds = secondsToRead(file.size)
  const counts = await attempt('its packets were not counted', notes, async () =>
    readCounts(await ffmpeg.probe(file.path, 'mov', { signal, seconds, ask })),
  )
  let fewer = false
  for (const { index, id, packets } of counts ?? []) {
    const track = tracks[index]
    const stream = answer.streams[index]
    const indexed = movie.tracks.find((one) => one.id === id)
    if (track === undefined || stream === undefined) continue
    track.packets = packets
    if (indexed !== undefined && !indexed.external && isCountable(stream) && packets < indexed.samples) fewer = true
  }
  return fewer
}

/** NMEA lines in the first text or data tracks. */
const positionInTracks = async (subject: Subject, container: Container, answer: Answer, notes: string[]) => {
  const { ffmpeg, file, signal } = subject
  const textual = answer.streams.filter(({ codec_type }) => codec_type === 'subtitle' || codec_type === 'data')
  for (const { index } of textual.slice(0, 4)) {
    const text = await attempt(`track ${index} was not read`, notes, async () => {
      const seconds = secondsToRead(file.size)
      return readPackets(
        await ffmpeg.probe(file.path, container.demuxer, { signal, seconds, ask: askForPackets(index) }),
      )
    })
    const found = text === null ? null : parseNmea(text)
    if (found !== null) return found
  }
  return null
}

const positionIn = async (
  subject: Subject,
  container: Container,
  movie: Movie | null,
  answer: Answer | null,
  notes: string[],
) => {
  const inBoxes =
    (movie?.xyz === undefined ? null : parseXyz(movie.xyz)) ??
    (movie?.loci === undefined ? null : parseLoci(movie.loci))
  if (inBoxes !== null || answer === null) return inBoxes
  const tags = Object.values(answer.format.tags ?? {})
  const inTags = tags.map((tag) => parseIso6709(tag, 'tag')).find((found) => found !== null)
  return inTags ?? (await positionInTracks(subject, container, answer, notes))
}

const listen = async (
  subject: Subject,
  container: Container,
  answer: Answer,
  rules: SilenceRules,
  notes: string[],
): Promise<boolean> => {
  const { ffmpeg, file, signal } = subject
  const audio = answer.streams.find(({ codec_type }) => codec_type === 'audio')
  const duration = secondsOf(answer.format.duration)
  if (audio === undefined || duration === null || duration <= rules.least) return false
  const start = secondsOf(answer.format.start_time) ?? 0
  const audioStart = Math.max(0, (secondsOf(audio.start_time) ?? start) - start)
  const work = silenceWork(path.dirname(file.path), { path: file.path, demuxer: container.demuxer }, rules)
  const printed = await attempt('its sound was not listened to', notes, async () =>
    audioStart < rules.window ? await ffmpeg.run(work, { signal, seconds: 120 }) : '',
  )
  if (printed === null) return false
  const silence = firstSilence(printed)
  const silent = startsSilent(silence, audioStart, duration, rules)
  if (silence?.end === null && silence.start <= audioStart + 0.25)
    notes.push(silent ? `no sound in the first ${rules.window} seconds` : 'no sound at all')
  return silent
}

/** Whether one frame can be decoded within our limits; a size of nought means that ffmpeg found none it believes. */
const isShowable = ({ width = 0, height = 0, packets }: Track, maxPixels: number) =>
  width > 0 && height > 0 && width * height <= maxPixels && packets !== 0

/** Whether what is there to see can be shown or, where there is nothing to see, heard. */
const isPlayable = (tracks: Track[], maxPixels: number) => {
  const pictures = tracks.filter(({ kind }) => kind === 'video')
  if (pictures.length > 0) return pictures.some((track) => isShowable(track, maxPixels))
  return tracks.some(({ kind, packets }) => kind === 'audio' && packets !== 0)
}

const examineKnown = async (
  subject: Subject,
  container: Container,
  readAt: ReadAt,
  rules: SilenceRules,
): Promise<Examination> => {
  const { ffmpeg, file, signal } = subject
  const movie = container.demuxer === 'mov' ? await readMovie(readAt, file.size) : null
  const notes = [...(movie?.notes ?? [])]
  let truncation = movie === null ? await truncationBySize(container, readAt, file.size, notes) : movie.truncated

  const answer = await attempt('it cannot be read', notes, async () =>
    readAnswer(await ffmpeg.probe(file.path, container.demuxer, { signal, ask: askForTracks })),
  )
  const tracks = answer === null ? [] : tracksOf(answer)
  const counting =
    movie !== null && answer !== null && truncation === null
      ? fewerThanIndexed(subject, movie, answer, tracks, notes)
      : Promise.resolve(false)
  const heard: string[] = []
  const listening = answer === null ? Promise.resolve(false) : listen(subject, container, answer, rules, heard)
  // Both have ended before either's failure ends this.
  await Promise.allSettled([counting, listening])
  if (await counting) truncation = 'fewer-packets'

  const position = await positionIn(subject, container, movie, answer, notes)
  const elsewhere = movie !== null && movie.tracks.length > 0 && movie.tracks.every(({ external }) => external)
  const unplayable = answer === null || elsewhere || !isPlayable(tracks, ffmpeg.limits.maxPixels)
  if (unplayable && answer !== null && !elsewhere)
    notes.push('nothing in it can be shown: no frame of a size that is decoded here')
  const silentStart = (await listening) && !unplayable
  if (!unplayable) notes.push(...heard)
  return {
    container: container.kind,
    mediaType: container.mediaType,
    duration: secondsOf(answer?.format.duration),
    startTime: secondsOf(answer?.format.start_time),
    tracks,
    ...(position === null ? {} : { position }),
    truncated: truncation === null ? { is: false } : { is: true, why: truncation },
    unplayable,
    silentStart,
    notes,
  }
}

const reader =
  (handle: FileHandle, signal: AbortSignal): ReadAt =>
  async (offset, length) => {
    signal.throwIfAborted()
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset)
    return buffer.subarray(0, bytesRead)
  }

/**
 * Examines one file in a scratch folder of its own. Never throws for what the file holds; throws when the machine fails,
 * and the signal's reason when that aborts.
 */
export const examine = async (
  ffmpeg: Ffmpeg,
  file: { path: string; size: number },
  { signal, silence = silenceRules }: { signal: AbortSignal; silence?: SilenceRules },
): Promise<Examination> => {
  await using handle = await open(file.path)
  const readAt = reader(handle, signal)
  const container = sniff(await readAt(0, headLength))
  if (container !== null) return await examineKnown({ ffmpeg, file, signal }, container, readAt, silence)
  return {
    container: null,
    mediaType: null,
    duration: null,
    startTime: null,
    tracks: [],
    truncated: { is: false },
    unplayable: true,
    silentStart: false,
    notes: [file.size === 0 ? 'the file is empty' : 'its bytes are no kind of recording that is known here'],
  }
}
