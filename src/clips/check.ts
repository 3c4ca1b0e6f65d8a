import { readFile } from 'node:fs/promises'
import { FfmpegFailed } from '../engines/ffmpeg-failed.ts'
import { digestWork, type Listed, listedIn, proofWork, type Source, type Ticks } from './commands.ts'
import type { Copied } from './copied.ts'
import { type Making, runFfmpeg, together } from './making.ts'

/** The clip is not what it has to be. Its message says what is wrong, for a person. */
export class NotProven extends Error {}

/** So many copied frames at either end are decoded from the original as well; between them it is the same bytes. */
const edgeFrames = 60

const listOf = async ({ folder }: Source, name: string): Promise<Listed[]> =>
  listedIn(await readFile(`${folder}/${name}`, 'utf8'))

/** Which copied frames are compared with the original's as pictures: ticks of the footage's clock. */
const comparedOf = ({ footage }: Making, copied: Copied | null): Ticks[] => {
  if (copied === null) return []
  const { from, to, before } = copied.copy
  const middle = footage.wanted.slice(before, before + to - from)
  const ends = middle.length <= 2 * edgeFrames ? [middle] : [middle.slice(0, edgeFrames), middle.slice(-edgeFrames)]
  return ends.map((frames) => ({ from: frames[0] ?? 0, to: (frames.at(-1) ?? 0) + 1 }))
}

/** The original's own frames, decoded from the key frame before them. */
const originalFrames = async (making: Making, ticks: Ticks, at: number): Promise<Listed[]> => {
  const { source, samples, streams } = making.footage
  const { num, den } = streams.timeBase
  const key = samples?.findLast(({ sync, pts }) => sync && pts <= ticks.from)
  const name = `original-${at}.txt`
  await runFfmpeg(making, digestWork(source, name, ticks, key === undefined ? null : (key.pts * num) / den))
  return await listOf(source, name)
}

const isAt = (frames: Listed[], expected: number[]): boolean =>
  frames.length === expected.length && frames.every(({ pts }, at) => pts === expected[at])

const proveCopied = (making: Making, copied: Copied, packets: Listed[], compared: Listed[], originals: Listed[]) => {
  const { from, to, before } = copied.copy
  const count = to - from
  if (!copied.hashes.every((hash, at) => packets[before + at]?.hash === hash))
    throw new NotProven('what was copied is not what stands in the original')
  const zero = making.footage.wanted[0] ?? 0
  const shown = new Map(compared.map(({ pts, hash }) => [pts, hash]))
  if (originals.length < Math.min(count, 2 * edgeFrames) || shown.size !== originals.length)
    throw new NotProven('the frames of the original could not be decoded for comparison')
  if (originals.some(({ pts, hash }) => shown.get(pts - zero) !== hash))
    throw new NotProven('a copied frame does not look as it does in the original')
  const which = originals.length === count ? 'all of them' : `the first and the last ${edgeFrames} of them`
  return [
    `${count} copied frames are byte for byte those of the original (SHA-256)`,
    `${which} decode to the same pictures as in the original (MurmurHash3)`,
    ...(copied.leftOut === 0
      ? []
      : [
          `${copied.leftOut} units beside the pictures (supplemental information, delimiters, filler) were left out of them`,
        ]),
  ]
}

/**
 * Decodes the clip to its end without an error, and holds its frames against what they have to be: as many, each at its
 * moment (`expected`, ticks from the first), and the copied ones byte for byte and, at their ends, picture for picture those
 * of the original. Answers what was checked, in words. Throws NotProven, FfmpegFailed.
 */
export const proveClip = async (
  making: Making,
  clip: Source,
  expected: number[],
  { copied, sound }: { copied: Copied | null; sound: boolean },
): Promise<string[]> => {
  const names = { frames: 'frames.txt', compared: 'compared.txt', packets: 'packets.txt' }
  const ticks = comparedOf(making, copied)
  const zero = making.footage.wanted[0] ?? 0
  const inClip = ticks.map(({ from, to }) => ({ from: from - zero, to: to - zero }))
  const [, ...originals] = await together<Listed[][]>([
    runFfmpeg(making, proofWork(clip, names, inClip, sound)).then(() => []),
    ...ticks.map((each, at) => originalFrames(making, each, at)),
  ])
  const [frames, packets] = [await listOf(clip, names.frames), await listOf(clip, names.packets)]
  if (!isAt(frames, expected)) throw new NotProven('its frames are not those of the range, each at its time')
  if (packets.length !== expected.length) throw new NotProven('it holds more or less than its frames')
  if (packets.some(({ pts }) => pts < 0)) throw new NotProven('a time stamp in it is negative')
  return [
    `${frames.length} frames decode without an error, each at its exact time, and it holds none beside them`,
    ...(sound ? ['the sound decodes without an error'] : []),
    ...(copied === null
      ? []
      : proveCopied(making, copied, packets, await listOf(clip, names.compared), originals.flat())),
  ]
}

/** Why a way of cutting did not do, in words; undefined when that is not for this file to blame. */
export const because = (error: unknown): string | undefined => {
  if (error instanceof NotProven) return error.message
  if (error instanceof FfmpegFailed && error.blame !== 'machine')
    return error.blame === 'time' ? 'it took too long' : 'the footage holds something that ffmpeg stumbles over'
  return undefined
}
