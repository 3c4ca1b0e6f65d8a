import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type ClipId, newId, type RecordingId } from '../src/base/ids.ts'
import { requestClip } from '../src/clips/actions.ts'
import { clipKey } from '../src/clips/clip.ts'
import { cutClip } from '../src/clips/cut.ts'
import { clipById } from '../src/clips/queries.ts'
import { examine } from '../src/custody/examination/probe.ts'
import type { Engines } from '../src/engines/engines.ts'
import type { ClipRow } from '../src/engines/tables.ts'
import type { Person } from '../src/people/person.ts'
import { kept } from './catalogued.ts'
import { runOf } from './footsteps.ts'
import { ffmpeg, ffprobe } from './shown.ts'

/** A recording of a file, examined as custody does, whose original is in the store; the catalogue may be told another size. */
export const recorded = async (engines: Engines, file: string, size?: number): Promise<RecordingId> => {
  await using folder = await engines.scratch('examined')
  const bytes = await readFile(file)
  const copy = folder.path('original')
  await writeFile(copy, bytes)
  const signal = AbortSignal.timeout(60_000)
  const found = await examine(engines.ffmpeg, { path: copy, size: bytes.length }, { signal })
  return await kept(engines, bytes, {
    filename: path.basename(file),
    duration: found.duration,
    mediaType: found.mediaType,
    tracks: JSON.stringify(found.tracks),
    facts: JSON.stringify({ startTime: found.startTime }),
    flags: found.unplayable ? ['unplayable'] : [],
    camera: `CAM-${newId()}`,
    ...(size === undefined ? {} : { size }),
  })
}

/** Asks for a clip. */
export const ask = async (engines: Engines, person: Person, recording: RecordingId, start: number, end: number) =>
  (await requestClip(engines, person, recording, { start, end, title: 'What happened', reason: 'case 12/3456' })).id

/** Asks for a clip and cuts it at once, reading the original in part unless told otherwise. */
export const cutNow = async (
  engines: Engines,
  person: Person,
  recording: RecordingId,
  [start, end]: [number, number],
  readWholeBelow = 0,
): Promise<ClipRow> => {
  const id = await ask(engines, person, recording, start, end)
  await cutClip(engines, id, runOf(), readWholeBelow)
  return await rowOf(engines, id)
}

export const rowOf = async ({ db }: Engines, id: ClipId): Promise<ClipRow> => {
  const row = await clipById(db, id)
  if (row === undefined) throw new Error('there is no such clip')
  return row
}

/** Writes a finished clip into a file. */
export const clipFile = async ({ store }: Engines, clip: ClipRow, file: string): Promise<string> => {
  if (clip.state !== 'ready' || clip.attempt === null) throw new Error(`the clip is ${clip.state}: ${clip.failure}`)
  const stream = await store.read('derived', clipKey(clip.recording, clip.id, clip.attempt))
  if (stream === null) throw new Error('the clip is not in the store')
  await writeFile(file, await buffer(stream))
  return file
}

/** The numbers that `numberedFrames` wrote into the frames of a file, in the order in which they are shown. */
export const numbersIn = async (file: string, ...before: string[]): Promise<number[]> => {
  const raw = `${file}.raw`
  const filters = 'crop=iw:floor(ih/32)*2:0:ih-floor(ih/32)*2,scale=16:1:flags=area,format=gray'
  await ffmpeg(
    ...[...before, '-i', file, '-map', '0:v:0', '-fps_mode', 'passthrough', '-vf', filters],
    ...['-f', 'rawvideo', raw],
  )
  const bytes = await readFile(raw)
  return Array.from({ length: bytes.length / 16 }, (_, frame) =>
    Array.from({ length: 12 }, (_, bit) => ((bytes[frame * 16 + bit] ?? 0) > 128 ? 2 ** bit : 0)).reduce(
      (a, b) => a + b,
    ),
  )
}

/** When each frame of a file is shown, in order, by its own decoder. */
export const timesIn = async (file: string): Promise<number[]> => {
  const answer = await ffprobe(file, '-select_streams', 'v:0', '-show_entries', 'frame=best_effort_timestamp_time')
  if (!Array.isArray(answer.frames)) throw new Error('ffprobe showed no frames')
  return answer.frames.map((frame: { best_effort_timestamp_time: string }) => Number(frame.best_effort_timestamp_time))
}
