import type { ClipId } from '../base/ids.ts'
import { recordingById } from '../custody/queries.ts'
import type { Engines } from '../engines/engines.ts'
import { recordedWords } from '../engines/ffmpeg-arguments.ts'
import { FfmpegFailed } from '../engines/ffmpeg-failed.ts'
import { databaseLost, inTransaction } from '../engines/postgres.ts'
import type { ClipProvenance, ClipRow, RecordingRow } from '../engines/tables.ts'
import type { Outcome, Run } from '../jobs/catalogue.ts'
import type { Act } from '../ledger/entry.ts'
import { record } from '../ledger/record.ts'
import { NotProven } from './check.ts'
import { clipKey } from './clip.ts'
import { type Footage, footageFor, NoFrame } from './footage.ts'
import { NoEntrance } from './frames.ts'
import { clearAttempts, keepFile } from './keep.ts'
import { type Made, makeClip } from './make.ts'
import { secondsFrom } from './probing.ts'
import {
  bringForward,
  clipById,
  markFailed,
  markReady,
  markWorking,
  noteProgress,
  recordingToPublishOf,
} from './queries.ts'

type Job = Pick<Run, 'jobId' | 'attempt' | 'cause' | 'signal' | 'progress' | 'fence'>

const gone = 'The recording is no longer there for clips to be cut from it.'
const noFrame = 'No frame begins within this range: the original has none between these two moments.'

const noEntrance =
  'No key frame was found in the minutes before this range, from which on its frames could be decoded: none could be proven to be all there is. The original can be downloaded.'

const act = (clip: ClipRow, run: Job, action: string): Omit<Act, 'outcome' | 'detail'> => ({
  operation: 'consultation',
  action,
  subject: { type: 'recording', id: clip.recording },
  actor: { kind: 'service', id: 'cut-clip', job: run.jobId, ...(run.cause === null ? {} : { cause: run.cause }) },
})

const fail = async ({ clock, db }: Engines, clip: ClipRow, run: Job, why: string): Promise<Outcome> => {
  await inTransaction(db, async (tx) => {
    await run.fence(tx)
    await markFailed(tx, clip.id, clock.now(), why)
    await record(tx, clock, { ...act(clip, run, 'clip.failed'), outcome: 'failed', detail: { clip: clip.id, why } })
    await bringForward(tx, clip.person)
  })
  return { outcome: 'done', said: why }
}

/** Why it will never be cut, in words; undefined when it may be tried again. */
const whyNever = (error: unknown): string | undefined => {
  if (error instanceof NoFrame) return noFrame
  if (error instanceof NoEntrance) return noEntrance
  if (error instanceof NotProven)
    return `What came out could not be proven exact (${error.message}): it was not kept. The original can be downloaded.`
  if (!(error instanceof FfmpegFailed) || error.blame === 'machine') return undefined
  return error.blame === 'time'
    ? 'Cutting it took longer than this range may take. The original is kept and can be downloaded.'
    : 'The footage holds something that no clip can be cut from. The original is kept and can be downloaded.'
}

const toMicro = (seconds: number): number => Number(seconds.toFixed(6))

const provenanceOf = (
  { ffmpeg }: Engines,
  clip: ClipRow,
  recording: RecordingRow,
  { zero, streams, read }: Footage,
  made: Made,
): ClipProvenance => {
  const { sha256, objectVersion, size } = recording
  if (sha256 === null || objectVersion === null) throw new Error('only what is in custody is cut')
  const at = (pts: number) => toMicro(secondsFrom(zero, pts, streams.timeBase))
  const { wanted, copied } = made
  const [first = 0, last = 0] = [wanted[0], wanted.at(-1)]
  const middle = copied === null ? [] : wanted.slice(copied.copy.before, wanted.length - copied.copy.after)
  return {
    v: 1,
    source: { recording: recording.id, sha256, size, objectVersion, ...read },
    asked: { start: clip.starts, end: clip.ends },
    exact: { first: at(first), last: at(last), end: at(made.end), frames: wanted.length },
    method: copied === null ? 'encoded' : 'copied-middle',
    ...(made.because === undefined ? {} : { because: made.because }),
    ...(copied === null
      ? {}
      : { copied: { first: at(middle[0] ?? 0), last: at(middle.at(-1) ?? 0), frames: middle.length } }),
    sound: made.sound ? { method: 'encoded', start: at(first) } : null,
    tool: `ffmpeg ${ffmpeg.version}`,
    arguments: made.works.map((work) => recordedWords(work, ffmpeg.limits)),
    checks: made.checks,
  }
}

const noteEveryMs = 1000

/** Tells the job's progress to the clip's row as well, now and then. */
const telling = ({ db }: Engines, clip: ClipRow, run: Job): Job => {
  let noted = performance.now()
  return {
    ...run,
    progress: (fraction) => {
      run.progress(fraction)
      if (performance.now() - noted < noteEveryMs) return
      noted = performance.now()
      noteProgress(db, clip.id, Math.min(0.99, fraction)).catch(() => undefined)
    },
  }
}

/** The one moment at which a clip is there: not if the recording is not there any more, nor if another attempt took over. */
const publish = async (
  { clock, db }: Engines,
  clip: ClipRow,
  run: Job,
  cut: Parameters<typeof markReady>[3],
): Promise<'ready' | 'gone'> =>
  await inTransaction(db, async (tx) => {
    await run.fence(tx)
    if ((await recordingToPublishOf(tx, clip.recording))?.status !== 'active') return 'gone'
    if (!(await markReady(tx, clip.id, clock.now(), cut))) throw new Error('the clip is no longer being cut')
    const { sha256, size, frames, method } = cut
    const { exact, tool } = cut.provenance
    await record(tx, clock, {
      ...act(clip, run, 'clip.cut'),
      detail: { clip: clip.id, sha256, size, frames, method, first: exact.first, last: exact.last, tool },
    })
    await bringForward(tx, clip.person)
    return 'ready'
  })

const cut = async (engines: Engines, clip: ClipRow, recording: RecordingRow, run: Job, readWholeBelow?: number) => {
  await using folder = await engines.scratch(clip.id)
  const range = { start: clip.starts, end: clip.ends }
  const footage = await footageFor(engines, recording, range, folder, run, readWholeBelow)
  run.progress(0.3)
  const made = await makeClip({ engines, run, footage, range })
  run.progress(0.9)
  const key = clipKey(recording.id, clip.id, run.attempt)
  const provenance = provenanceOf(engines, clip, recording, footage, made)
  const { exact, method } = provenance
  const facts = { attempt: run.attempt, duration: toMicro(exact.end - exact.first), frames: exact.frames, method }
  try {
    const kept = await keepFile(engines, made.path, key, run.signal)
    const published = await publish(engines, clip, run, { ...facts, ...kept, provenance })
    if (published === 'gone') await engines.store.delete('derived', key)
    return published
  } catch (error) {
    // Nobody knows of it. Where it is not known whether the transaction went through, the next attempt clears up.
    if (!databaseLost(error)) await engines.store.delete('derived', key).catch(() => undefined)
    throw error
  }
}

/**
 * Cuts a clip, checks it and publishes it, all or nothing; may be repeated. Where the footage does not let it, the clip is
 * `failed` in words and the job is done. Smaller originals than `readWholeBelow` bytes are read whole and digested.
 */
export const cutClip = async (engines: Engines, id: ClipId, run: Job, readWholeBelow?: number): Promise<Outcome> => {
  const { db, log } = engines
  const clip = await clipById(db, id)
  if (clip === undefined) return { outcome: 'skipped', because: 'there is no such clip' }
  if (clip.state === 'ready' || clip.state === 'failed')
    return { outcome: 'skipped', because: `the clip is ${clip.state}` }
  const recording = await recordingById(db, clip.recording)
  if (recording?.status !== 'active') return await fail(engines, clip, run, gone)
  await inTransaction(db, async (tx) => {
    await run.fence(tx)
    await markWorking(tx, id)
  })
  await clearAttempts(engines, recording.id, id, run.attempt)
  try {
    const published = await cut(engines, clip, recording, telling(engines, clip, run), readWholeBelow)
    return published === 'gone' ? await fail(engines, clip, run, gone) : { outcome: 'done' }
  } catch (error) {
    const why = whyNever(error)
    if (why === undefined) throw error
    const detail = error instanceof FfmpegFailed ? error.detail : ''
    log.warn({ clip: id, because: error instanceof Error ? error.message : '', detail }, 'a clip cannot be cut')
    return await fail(engines, clip, run, why)
  }
}
