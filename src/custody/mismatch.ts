import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import type { RecordingRow } from '../engines/tables.ts'
import type { Run } from '../jobs/catalogue.ts'
import { record } from '../ledger/record.ts'
import { originalKey } from '../uploads/upload.ts'
import { readBack } from './read-back.ts'

type Job = Pick<Run, 'jobId' | 'cause' | 'signal' | 'progress' | 'fence'>

/**
 * An original did not read as it was verified: it is read once more, for the bytes may have been damaged on their way here. If
 * it is so again, that is an alarm: an entry, a metric, a line in the log. Nothing is repaired by itself. Answers what the
 * job of this name is to throw.
 */
export const mismatchOf = async (
  { clock, db, log, metrics, store }: Engines,
  recording: RecordingRow,
  run: Job,
  job: string,
): Promise<Error> => {
  const { id, objectVersion: version, sha256, size } = recording
  if (version === null || sha256 === null) throw new Error('only a verified original is known by its digest')
  const read = await readBack(store, { recording: id, version, size, signal: run.signal, progress: run.progress })
  if (read?.sha256 === sha256) return new Error('bytes of the original were damaged on their way here')
  await inTransaction(db, async (tx) => {
    await run.fence(tx)
    await record(tx, clock, {
      operation: 'administration',
      action: 'recording.mismatch-found',
      subject: { type: 'recording', id },
      outcome: 'failed',
      actor: { kind: 'service', id: job, job: run.jobId, ...(run.cause === null ? {} : { cause: run.cause }) },
      detail: { file: 'original', key: originalKey(id), sha256, size, found: read?.sha256 },
    })
  })
  metrics.storeMismatches.inc()
  log.error({ recording: id, file: 'original' }, 'the store does not hold what the catalogue says')
  return new Error('the original no longer reads as it was verified')
}
