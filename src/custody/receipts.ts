import type { RecordingId, UploadId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { Engines } from '../engines/engines.ts'
import type { RecordingRow, UploadRow } from '../engines/tables.ts'
import type { Person } from '../people/person.ts'
import { visibleTo } from '../people/visibility.ts'
import type { Uploader } from '../uploads/actions.ts'
import { uploadById } from '../uploads/queries.ts'
import { receiptOfRecording, receiptOfUpload, recordingById } from './queries.ts'

export type ReceiptAnswer = { jws: string } | { owed: true }
export type Asker = { kind: 'dock'; dock: Uploader } | { kind: 'person'; person: Person }

const retryAfter = 1

const mayKnow = async (engines: Engines, asker: Asker, id: RecordingId): Promise<boolean> => {
  if (asker.kind === 'dock') return true
  const seen = await engines.db
    .selectFrom('recordings')
    .select('id')
    .where('id', '=', id)
    .where(visibleTo(asker.person))
    .executeTakeFirst()
  return seen !== undefined
}

/** Why there is no receipt: not yet, or never. */
const withoutReceipt = (upload: UploadRow, recording: RecordingRow | undefined): ReceiptAnswer => {
  if (upload.kept) throw new Problem('upload-incomplete', 'Only a part of this file arrived, and it is kept as such.')
  if (recording?.status === 'quarantined')
    throw new Problem('quarantined', 'What was read back is not what was declared. The object is kept and not served.')
  if (recording?.status === 'erased') throw new Problem('erased')
  if (upload.state === 'expired' || upload.state === 'ended') throw new Problem('gone')
  return { owed: true }
}

/** The receipt of an upload: to the dock that made it, and to people who may see the recording. */
export const uploadReceipt = async (engines: Engines, asker: Asker, id: UploadId): Promise<ReceiptAnswer> => {
  const upload = await uploadById(engines.db, id)
  if (upload === undefined) throw new Problem('not-found')
  if (asker.kind === 'dock' ? upload.dock !== asker.dock.id : !(await mayKnow(engines, asker, upload.recording)))
    throw new Problem('not-found')
  const jws = await receiptOfUpload(engines.db, id)
  return jws === undefined ? withoutReceipt(upload, await recordingById(engines.db, upload.recording)) : { jws }
}

/**
 * The receipt of a recording: to any dock, since the camera may have moved, and to people who may see the recording. Of a
 * recording that turned out to be one already in custody it is the first's.
 */
export const recordingReceipt = async (engines: Engines, asker: Asker, id: RecordingId): Promise<ReceiptAnswer> => {
  const asked = await recordingById(engines.db, id)
  const recording = asked?.duplicateOf == null ? asked : await recordingById(engines.db, asked.duplicateOf)
  if (recording === undefined || !(await mayKnow(engines, asker, recording.id))) throw new Problem('not-found')
  const jws = await receiptOfRecording(engines.db, recording.id)
  if (jws !== undefined) return { jws }
  const upload = await uploadById(engines.db, recording.upload)
  if (upload === undefined) throw new Error('a recording without its upload')
  return withoutReceipt(upload, recording)
}

export const receiptRetryAfter = retryAfter
