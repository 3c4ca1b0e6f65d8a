import type { RecordingId } from '../base/ids.ts'
import type { Clock } from '../engines/clock.ts'
import type { Tx } from '../engines/postgres.ts'
import type { Actor } from '../ledger/entry.ts'
import { record } from '../ledger/record.ts'
import { endRequest } from './queries.ts'

/** Who takes a request back, and why. `because`: a sentence, where no person decided it. */
type By = { actor: Actor; purpose?: string; because?: string }

/**
 * Takes back the open request to delete a recording before its time, approved or not, with its entry; nothing happens where
 * there is none. The caller holds the recording.
 */
export const takeBackRequest = async (
  tx: Tx,
  clock: Clock,
  id: RecordingId,
  { actor, purpose, because }: By,
): Promise<void> => {
  const request = await endRequest(tx, id, clock.now())
  if (request === undefined) return
  const detail = { request: request.id, askedBy: request.askedBy, approved: request.approvedAt !== null }
  await record(tx, clock, {
    operation: 'erasure',
    action: 'recording.deletion-withdrawn',
    subject: { type: 'recording', id },
    actor,
    ...(purpose === undefined ? {} : { purpose }),
    detail: { ...detail, ...(because === undefined ? {} : { because }) },
  })
}
