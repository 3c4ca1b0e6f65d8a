import type { RecordingId, UploadId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { dockActor } from '../docks/dock.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import type { RecordingRow, UploadRow } from '../engines/tables.ts'
import type { Subject } from '../ledger/entry.ts'
import { record } from '../ledger/record.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { actor, type Person } from '../people/person.ts'
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

/** Refuses with an entry, or lets in: a person with an entry too; a dock asks again and again for what it brought. */
const admit = async (engines: Engines, asker: Asker, subject: Subject, may: boolean): Promise<void> => {
  const act = {
    operation: 'consultation',
    action: 'receipt.read',
    subject,
    actor: asker.kind === 'dock' ? dockActor(asker.dock) : actor(asker.person, 'receipt.read'),
  } as const
  if (!may) {
    await recordRefusal(engines, act)
    throw new Problem('not-found')
  }
  if (asker.kind === 'person') await inTransaction(engines.db, async (tx) => await record(tx, engines.clock, act))
}

/** Why there is no receipt: not yet, or never. */
const withoutReceipt = (upload: UploadRow, recording: RecordingRow | undefined): ReceiptAnswer => {
  if (upload.kept) throw new Problem('upload-incomplete', 'Only a part of this file arrived, and it is kept as such.')
  if (recording?.status === 'quarantined')
    throw new Problem('quarantined', 'What was read back is not what was declared. The object is kept and not served.')
  const refused = upload.state === 'ended' && recording?.duplicateOf != null
  if (recording?.status === 'erased' || refused) throw new Problem('erased')
  if (upload.state === 'expired' || upload.state === 'ended') throw new Problem('gone')
  return { owed: true }
}

/** The receipt of an upload: to the dock that made it, and to people who may see the recording. */
export const uploadReceipt = async (engines: Engines, asker: Asker, id: UploadId): Promise<ReceiptAnswer> => {
  const upload = await uploadById(engines.db, id)
  if (upload === undefined) throw new Problem('not-found')
  const may = asker.kind === 'dock' ? upload.dock === asker.dock.id : await mayKnow(engines, asker, upload.recording)
  await admit(engines, asker, may ? { type: 'recording', id: upload.recording } : { type: 'upload', id }, may)
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
  if (recording === undefined) throw new Problem('not-found')
  const may = await mayKnow(engines, asker, recording.id)
  await admit(engines, asker, { type: 'recording', id: recording.id }, may)
  const jws = await receiptOfRecording(engines.db, recording.id)
  if (jws !== undefined) return { jws }
  const upload = await uploadById(engines.db, recording.upload)
  if (upload === undefined) throw new Error('a recording without its upload')
  return withoutReceipt(upload, recording)
}

export const receiptRetryAfter = retryAfter
