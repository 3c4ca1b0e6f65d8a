import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import type { RecordingId } from '../src/base/ids.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { RenditionKind, RenditionObjectRow, RenditionRow } from '../src/engines/tables.ts'
import { makeOwed, takeAndShow } from '../src/renditions/actions.ts'
import { objectsOf, renditionsOf } from '../src/renditions/queries.ts'
import { renditionKey } from '../src/renditions/rendition.ts'
import type { Uploader } from '../src/uploads/actions.ts'
import { runOf, sendFile } from './footsteps.ts'

const run = promisify(execFile)

/** ffmpeg as a test uses it to make a source that it knows, and to look at what came out. */
export const ffmpeg = async (...words: string[]): Promise<string> =>
  (await run('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...words], { maxBuffer: 64 * 1024 * 1024 })).stdout

export const ffprobe = async (file: string, ...words: string[]): Promise<Record<string, unknown>> =>
  JSON.parse(
    (await run('ffprobe', ['-v', 'error', '-of', 'json', ...words, file], { maxBuffer: 64 * 1024 * 1024 })).stdout,
  )

/** How many pictures a file holds, counted by decoding them. */
export const pictures = async (file: string): Promise<number> => {
  const { streams } = await ffprobe(
    file,
    '-count_frames',
    '-select_streams',
    'v',
    '-show_entries',
    'stream=nb_read_frames',
  )
  const [stream]: unknown[] = Array.isArray(streams) ? streams : []
  return typeof stream === 'object' && stream !== null && 'nb_read_frames' in stream
    ? Number(stream.nb_read_frames)
    : Number.NaN
}

export type Shown = { row: RenditionRow; objects: RenditionObjectRow[] }

export const shownOf = async ({ db }: Engines, recording: RecordingId): Promise<Map<RenditionKind, Shown>> => {
  const shown = new Map<RenditionKind, Shown>()
  for (const row of await renditionsOf(db, recording))
    shown.set(row.kind, { row, objects: await objectsOf(db, row.id) })
  return shown
}

/** Sends a file in, takes it into custody and makes every rendition, as the worker does. */
export const show = async (engines: Engines, dock: Uploader, file: string): Promise<RecordingId> => {
  const { recording } = await sendFile(engines, dock, await readFile(file), {
    name: path.basename(file),
    // Each its own: ffmpeg makes the same file of the same words, and one file of a camera is one recording.
    camera: `CAM-${randomUUID()}`,
  })
  await takeAndShow(engines, recording, runOf())
  await makeOwed(engines, recording, runOf())
  return recording
}

export const bytesOf = async ({ store }: Engines, { row }: Shown, name: string): Promise<Buffer> => {
  const stream = await store.read('derived', renditionKey(row.recording, row.id, name))
  if (stream === null) throw new Error(`${name} is not there`)
  return await buffer(stream)
}

/** The pieces of an HLS rendition as one file: what a player puts together. */
export const joined = async (engines: Engines, shown: Shown | undefined, file: string): Promise<string> => {
  if (shown === undefined) throw new Error('there is no such rendition')
  const pieces = await Promise.all(shown.objects.map(async ({ name }) => await bytesOf(engines, shown, name)))
  await writeFile(file, Buffer.concat(pieces))
  return file
}

const times = (said: string, key: string): { at: number; value: number }[] => {
  const found: { at: number; value: number }[] = []
  let at = Number.NaN
  for (const line of said.split('\n')) {
    const [, time] = /pts_time:(-?[\d.]+)/.exec(line) ?? []
    if (time !== undefined) at = Number(time)
    if (line.startsWith(`${key}=`)) found.push({ at, value: Number(line.slice(key.length + 1)) })
  }
  return found
}

/** When, in seconds, the picture turns white and when the tone begins. */
export const flashAndBeep = async (file: string): Promise<{ flash: number; beep: number }> => {
  const luma = 'lavfi.signalstats.YAVG'
  const level = 'lavfi.astats.Overall.RMS_level'
  const pictures = await ffmpeg(
    '-i',
    file,
    '-vf',
    `signalstats,metadata=print:key=${luma}:file=-`,
    '-an',
    '-f',
    'null',
    '-',
  )
  const sounds = await ffmpeg(
    ...['-i', file, '-vn', '-af'],
    `aresample=48000,asetnsamples=240,astats=metadata=1:reset=1,ametadata=print:key=${level}:file=-`,
    ...['-f', 'null', '-'],
  )
  const flash = times(pictures, luma).find(({ value }) => value > 128)?.at ?? Number.NaN
  const beep = times(sounds, level).find(({ value }) => value > -30)?.at ?? Number.NaN
  return { flash, beep }
}
