import type { BundleId, RecordingId } from '../base/ids.ts'
import type { Clock } from '../engines/clock.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import type { RecordingRow } from '../engines/tables.ts'
import type { Run } from '../jobs/catalogue.ts'
import type { Act } from '../ledger/entry.ts'
import { record } from '../ledger/record.ts'
import { originalKey } from '../uploads/upload.ts'
import { readBack } from './read-back.ts'

type Job = Pick<Run, 'jobId' | 'cause' | 'signal' | 'progress' | 'fence'>

/** A file of a recording that the store holds otherwise than the catalogue says; `found` is what it reads as, if at all. */
type Mismatch = {
  recording: RecordingId
  file: 'original' | 'clip' | 'viewing-copy'
  key: string
  sha256: string
  size: number
  found: string | null
  /** For which it was read. */
  bundle?: BundleId
}

/** The alarm's entry. Nothing is repaired by itself. */
export const recordMismatch = async (tx: Tx, clock: Clock, actor: Act['actor'], mismatch: Mismatch): Promise<void> => {
  const { recording, found, ...detail } = mismatch
  await record(tx, clock, {
    operation: 'administration',
    action: 'recording.mismatch-found',
    subject: { type: 'recording', id: recording },
    outcome: 'failed',
    actor,
    detail: { ...detail, ...(found === null ? {} : { found }) },
  })
}

/** What else the alarm is, once its entry stands: a metric, a line in the log. */
export const tellMismatch = (
  { log, metrics }: Pick<Engines, 'log' | 'metrics'>,
  { recording, file }: Pick<Mismatch, 'recording' | 'file'>,
): void => {
  metrics.storeMismatches.inc()
  log.error({ recording, file }, 'the store does not hold what the catalogue says')
}

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
  const file = { recording: id, file: 'original', key: originalKey(id), sha256, size } as const
  const actor = {
    kind: 'service',
    id: job,
    job: run.jobId,
    ...(run.cause === null ? {} : { cause: run.cause }),
  } as const
  await inTransaction(db, async (tx) => {
    await run.fence(tx)
    await recordMismatch(tx, clock, actor, { ...file, found: read?.sha256 ?? null })
  })
  tellMismatch({ log, metrics }, file)
  return new Error('the original no longer reads as it was verified')
}
