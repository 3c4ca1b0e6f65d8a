import type { RecordingId } from '../base/ids.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import type { RecordingRow } from '../engines/tables.ts'
import type { Run } from '../jobs/catalogue.ts'
import { record } from '../ledger/record.ts'
import { type Examination, examine } from './examination/probe.ts'
import { mismatchOf } from './mismatch.ts'
import { closeGapBefore, type Examined, markActive, numbersAround, recordingForUpdate } from './queries.ts'
import { readBack } from './read-back.ts'
import { clockFlags } from './verdict.ts'

type Job = Pick<Run, 'jobId' | 'cause' | 'signal' | 'progress' | 'fence'>

/** Looks into a verified recording, flags what a reader must know, and makes it `active`. Never refuses a file for what it holds. */
export const examineRecording = async (
  engines: Engines,
  id: RecordingId,
  path: string,
  copied: boolean,
  run: Job,
): Promise<void> => {
  const { db, clock, ffmpeg, store } = engines
  const recording = await inTransaction(db, async (tx) => await recordingForUpdate(tx, id))
  if (recording?.objectVersion == null || recording.sha256 === null)
    throw new Error('only a verified recording can be examined')
  if (!copied) {
    const read = await readBack(store, {
      recording: id,
      version: recording.objectVersion,
      size: recording.size,
      copyTo: path,
      signal: run.signal,
      progress: (fraction) => run.progress(fraction * 0.9),
    })
    if (read?.sha256 !== recording.sha256) throw await mismatchOf(engines, recording, run, 'take-into-custody')
  }
  const found = await examine(ffmpeg, { path, size: recording.size }, { signal: run.signal })
  await inTransaction(db, async (tx) => {
    await run.fence(tx)
    const now = await recordingForUpdate(tx, id)
    if (now?.status !== 'verified') return
    const examined = await conclude(tx, engines, now, found)
    await markActive(tx, id, examined)
    if (now.number !== null) await closeGapBefore(tx, now.camera, now.number + 1)
    await record(tx, clock, {
      operation: 'collection',
      action: 'recording.examined',
      subject: { type: 'recording', id },
      actor: {
        kind: 'service',
        id: 'take-into-custody',
        job: run.jobId,
        ...(run.cause === null ? {} : { cause: run.cause }),
      },
      detail: { flags: examined.flags },
    })
  })
}

const conclude = async (tx: Tx, engines: Engines, recording: RecordingRow, found: Examination): Promise<Examined> => {
  const flags = new Set([...recording.flags, ...clockFlags(recording, engines.config)])
  if (found.truncated.is) flags.add('truncated')
  if (found.unplayable) flags.add('unplayable')
  if (found.silentStart) flags.add('silent_start')
  if (recording.number !== null) {
    const { before, lower } = await numbersAround(tx, recording.camera, recording.number)
    if (lower && !before) flags.add('sequence_gap')
  }
  return {
    duration: found.duration,
    tracks: found.tracks,
    mediaType: found.mediaType,
    flags: [...flags].sort(),
    facts: {
      ...(found.container === null ? {} : { container: found.container }),
      ...(found.startTime === null ? {} : { startTime: found.startTime }),
      ...(found.position === undefined ? {} : { position: found.position }),
      ...(found.truncated.why === undefined ? {} : { truncatedBecause: found.truncated.why }),
      notes: found.notes,
    },
  }
}
