import { type FileHandle, open } from 'node:fs/promises'
import { headOf, upright, type WrittenTrack } from './writing.ts'

/** A sample of a clip: which bytes of which file it consists of. `pts` in ticks from the clip's first frame. */
export type ClipSample = { path: string; parts: { start: number; end: number }[]; pts: number; sync: boolean }

export type ClipPicture = {
  timeScale: number
  entry: Buffer
  width: number
  height: number
  matrix: Buffer
  /** In the order of decoding. */
  samples: ClipSample[]
  /** When the last frame ends. */
  end: number
}

export type ClipSound = {
  timeScale: number
  entry: Buffer
  samples: { path: string; parts: { start: number; end: number }[]; duration: number }[]
  /** What an encoder puts before the first sample: shown is what comes after it. */
  from: number
}

type Parts = { path: string; parts: { start: number; end: number }[] }

const sizeOf = ({ parts }: Parts): number => parts.reduce((sum, { start, end }) => sum + end - start, 0)

const chunkSeconds = 0.5

/** Neighbouring samples of half a second each: the numbers of the first and of the one after the last, and when it begins. */
const chunked = (begins: number[]): { first: number; end: number; at: number }[] => {
  const chunks: { first: number; end: number; at: number }[] = []
  for (const [sample, at] of begins.entries()) {
    const last = chunks.at(-1)
    if (last !== undefined && at < last.at + chunkSeconds) last.end = sample + 1
    else chunks.push({ first: sample, end: sample + 1, at })
  }
  return chunks
}

/**
 * When each sample is decoded: frames are decoded in their order at the very moments at which frames are shown, and shown
 * later by as much as the furthest reordered one needs.
 */
const decodingTimes = ({ samples, end }: Pick<ClipPicture, 'samples' | 'end'>) => {
  const moments = samples.map(({ pts }) => pts).sort((a, b) => a - b)
  const delay = samples.reduce((most, { pts }, at) => Math.max(most, (moments[at] ?? 0) - pts), 0)
  return {
    delay,
    moments,
    durations: moments.map((at, index) => (moments[index + 1] ?? end) - at),
    shifts: samples.map(({ pts }, at) => pts + delay - (moments[at] ?? 0)),
  }
}

/** Sound begins with its encoder's own silence, which its track's edit leaves out, and it ends where its samples do. */
const soundTrack = ({ timeScale, entry, samples, from }: ClipSound): Omit<WrittenTrack, 'chunks'> => {
  const durations = samples.map(({ duration }) => duration)
  const ticks = durations.reduce((sum, duration) => sum + duration, 0) - from
  return {
    kind: 'soun',
    ...{ timeScale, entry, matrix: upright, durations, width: 0, height: 0 },
    sizes: samples.map(sizeOf),
    shifts: samples.map(() => 0),
    sync: null,
    shown: from === 0 ? null : { from, ticks },
  }
}

/** Everything that stands in a clip's file: what comes before the data, and the bytes of the data in order. */
export const layOut = (
  picture: ClipPicture,
  sound: ClipSound | null,
): { head: Buffer; data: Parts[]; bytes: number } => {
  const { samples, timeScale, entry, matrix, width, height, end } = picture
  const { delay, moments, durations, shifts } = decodingTimes(picture)
  let soundAt = 0
  const soundBegins = (sound?.samples ?? []).map(({ duration }) => {
    const at = soundAt / (sound?.timeScale ?? 1)
    soundAt += duration
    return at
  })
  const pieces = [
    ...chunked(moments.map((at) => at / timeScale)).map((chunk) => ({ ...chunk, of: samples, track: 0 })),
    ...chunked(soundBegins).map((chunk) => ({ ...chunk, of: sound?.samples ?? [], track: 1 })),
  ].sort((a, b) => a.at - b.at || a.track - b.track)

  const chunks: { offset: number; samples: number }[][] = [[], []]
  const data: Parts[] = []
  let bytes = 0
  for (const { first, end: last, of, track } of pieces) {
    chunks[track]?.push({ offset: bytes, samples: last - first })
    for (const sample of of.slice(first, last)) {
      data.push(sample)
      bytes += sizeOf(sample)
    }
  }
  const pictureTrack: WrittenTrack = {
    kind: 'vide',
    ...{ timeScale, entry, matrix, width, height, durations, shifts },
    sizes: samples.map(sizeOf),
    sync: samples.every(({ sync }) => sync) ? null : samples.map(({ sync }) => sync),
    shown: delay === 0 ? null : { from: delay, ticks: end },
    chunks: chunks[0] ?? [],
  }
  const [, soundChunks = []] = chunks
  const tracks = sound === null ? [pictureTrack] : [pictureTrack, { ...soundTrack(sound), chunks: soundChunks }]
  return { head: headOf(tracks, bytes), data, bytes }
}

const block = 1024 * 1024

/** Writes a clip's file. */
export const assemble = async (path: string, picture: ClipPicture, sound: ClipSound | null): Promise<void> => {
  const { head, data } = layOut(picture, sound)
  const sources = new Map<string, FileHandle>()
  await using target = await open(path, 'wx', 0o644)
  try {
    for (const { path: from } of data) if (!sources.has(from)) sources.set(from, await open(from))
    let pending: Buffer[] = [head]
    let waiting = head.length
    const flush = async () => {
      await target.appendFile(Buffer.concat(pending))
      pending = []
      waiting = 0
    }
    for (const { path: from, parts } of data) {
      for (const { start, end } of parts) {
        const bytes = Buffer.alloc(end - start)
        const read = await sources.get(from)?.read(bytes, 0, bytes.length, start)
        if (read?.bytesRead !== bytes.length) throw new Error('a piece of the clip is shorter than it was')
        pending.push(bytes)
        waiting += bytes.length
      }
      if (waiting >= block || pending.length > 500) await flush()
    }
    if (pending.length > 0) await flush()
  } finally {
    for (const source of sources.values()) await source.close()
  }
}
