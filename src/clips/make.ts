import { rm } from 'node:fs/promises'
import type { FfmpegWork } from '../engines/ffmpeg-arguments.ts'
import { FfmpegFailed } from '../engines/ffmpeg-failed.ts'
import { assemble, type ClipPicture, type ClipSound } from './assemble.ts'
import { because, proveClip } from './check.ts'
import { type Copied, copiedPicture } from './copied.ts'
import { NotPlain } from './h264.ts'
import { encodePicture, encodeSound, type Making, type Piece, together } from './making.ts'
import { askForFrames, framesOf, secondsFrom } from './probing.ts'

/**
 * A clip's file, whole and checked. `wanted`: ticks of the footage's clock at which its frames begin; `end`: when the last
 * one ends.
 */
export type Made = {
  path: string
  wanted: number[]
  end: number
  copied: Copied | null
  /** Why nothing was copied. */
  because: string | undefined
  sound: boolean
  checks: string[]
  works: FfmpegWork[]
}

const clipName = 'clip.mp4'

/** When the clip's last frame ends: where the next one begins, but no later than the range does. */
const endOf = ({ footage, range }: Making): number => {
  const { zero, after, wanted, streams } = footage
  const { num, den } = streams.timeBase
  const last = wanted.at(-1) ?? zero
  return Math.max(last + 1, Math.min(after, Math.ceil(zero + (range.end * den) / num)))
}

const whole = async (making: Making, picture: ClipPicture, sound: ClipSound | null): Promise<string> => {
  const path = `${making.footage.source.folder}/${clipName}`
  await rm(path, { force: true })
  await assemble(path, picture, sound)
  return path
}

const copying = async (making: Making, sounding: Promise<ClipSound | null>): Promise<Made> => {
  const { wanted, source } = making.footage
  const zero = wanted[0] ?? 0
  const end = endOf(making)
  // What cannot be copied is encoded at once: the sound is not waited for.
  const copied = await copiedPicture(making, end - zero)
  const sound = await sounding
  making.run.progress(0.7)
  const path = await whole(making, copied.picture, sound)
  const expected = wanted.map((pts) => pts - zero)
  const checks = await proveClip(making, { ...source, path, demuxer: 'mov' }, expected, {
    copied,
    sound: sound !== null,
  })
  return { path, wanted, end, copied, because: undefined, sound: sound !== null, checks, works: making.works }
}

/** What of the frames that the index lists a decoder really gives: of damaged footage that is less. */
const decodable = async ({ engines, run, footage }: Making): Promise<number[]> => {
  const { source, streams, wanted, seek } = footage
  const { timeBase } = streams
  const to = secondsFrom(0, (wanted.at(-1) ?? 0) + 1, timeBase) + 2
  const ask = askForFrames({ from: seek, to })
  const frames = framesOf(
    await engines.ffmpeg.probe(source.path, source.demuxer, { signal: run.signal, seconds: 600, ask }),
  )
  const inRange = new Set(wanted)
  return [...new Set(frames.map(({ pts }) => pts))].filter((pts) => inRange.has(pts)).sort((a, b) => a - b)
}

const encoding = async (making: Making, why: string, sounding: Promise<ClipSound | null>): Promise<Made> => {
  const { footage, run, range } = making
  const { source, streams, wanted } = footage
  const [first = 0, last = 0] = [wanted[0], wanted.at(-1)]
  const onProgress = (seconds: number) =>
    run.progress(0.3 + 0.5 * Math.min(1, Math.max(0, seconds) / Math.max(0.1, range.end - range.start)))
  const all = { ticks: { from: first, to: last + 1 }, style: null }
  const encoded = async (): Promise<Piece> => {
    const piece = await encodePicture(making, 'whole.mp4', { ...all, seek: footage.seek }, onProgress)
    // A container without an index may be entered later than it was told to.
    if (piece.samples.length === wanted.length || footage.seek === null) return piece
    return await encodePicture(making, 'whole.mp4', { ...all, seek: null }, onProgress)
  }
  const [piece, heard] = await together<[Piece, ClipSound | null]>([encoded(), sounding])
  const checks: string[] = []
  let [frames, sound] = [wanted, heard]
  if (piece.samples.length !== wanted.length) {
    frames = await decodable(making)
    if (frames.length === 0) throw new FfmpegFailed('no frame can be decoded', 'content', '')
    checks.push(
      `${wanted.length - frames.length} of ${wanted.length} frames that the footage lists are damaged and cannot be decoded`,
    )
    // The clip begins later than the sound that was made for it.
    if (frames[0] !== first) sound = await encodeSound({ ...making, footage: { ...footage, wanted: frames } })
  }
  const zero = frames[0] ?? first
  const end = endOf(making)
  run.progress(0.8)
  const { num } = streams.timeBase
  const { width, height, entry, timeScale, matrix } = piece.track
  const picture = { timeScale, entry, width, height, matrix, samples: piece.samples, end: (end - zero) * num }
  const path = await whole(making, picture, sound)
  const expected = frames.map((pts) => (pts - zero) * num)
  const clip = { ...source, path, demuxer: 'mov' }
  checks.push(...(await proveClip(making, clip, expected, { copied: null, sound: sound !== null })))
  return { path, wanted: frames, end, copied: null, because: why, sound: sound !== null, checks, works: making.works }
}

/**
 * Makes a clip's file and checks it: by copying what can be copied and, where that cannot be proven right for this file, by
 * encoding every frame anew. Throws NotProven and FfmpegFailed where that does not do either.
 */
export const makeClip = async (making: Omit<Making, 'works'>): Promise<Made> => {
  const soundWorks: FfmpegWork[] = []
  const sounding = encodeSound({ ...making, works: soundWorks })
  // Awaited below, in whichever way the picture is made.
  sounding.catch(() => undefined)
  const withSound = (made: Made): Made => ({ ...made, works: [...made.works, ...soundWorks] })
  try {
    return withSound(await copying({ ...making, works: [] }, sounding))
  } catch (error) {
    const why = error instanceof NotPlain ? error.message : because(error)
    if (why === undefined) throw error
    making.run.signal.throwIfAborted()
    return withSound(await encoding({ ...making, works: [] }, why, sounding))
  } finally {
    await sounding.catch(() => undefined)
  }
}
