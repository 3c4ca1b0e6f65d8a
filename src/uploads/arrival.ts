import type { Engines } from '../engines/engines.ts'
import type { Tx } from '../engines/postgres.ts'
import type { UploadRow } from '../engines/tables.ts'
import { owe } from '../jobs/outbox.ts'
import type { Actor } from '../ledger/entry.ts'
import { record } from '../ledger/record.ts'
import { announcedOffset, insertRecording, setState } from './queries.ts'

const calendar = { from: Date.parse('0001-01-01T00:00:00Z'), to: Date.parse('9999-12-31T23:59:59Z') }

/** The recorded time by our clock. Where that lies outside the calendar the comparison of clocks says nothing. */
const corrected = (recordedAt: Date, clockOffset: number | null): Date => {
  const at = recordedAt.getTime() - (clockOffset ?? 0) * 1000
  return at >= calendar.from && at <= calendar.to ? new Date(at) : recordedAt
}

/**
 * Every byte that will come is stored: in the caller's transaction the upload becomes `stored`, the recording is born as
 * `received`, and taking it into custody is owed. `kept` is what a supervisor kept of an upload cut off for good.
 */
export const arrived = async (
  tx: Tx,
  engines: Engines,
  upload: UploadRow,
  actor: Actor,
  kept?: { purpose: string },
): Promise<void> => {
  const { clock } = engines
  const { metadata } = upload
  const clockOffset = await announcedOffset(tx, upload.camera, upload.size, upload.sha256)
  await setState(tx, upload.id, 'stored')
  await insertRecording(tx, {
    id: upload.recording,
    upload: upload.id,
    dock: upload.dock,
    camera: upload.camera,
    filename: upload.filename,
    size: upload.received,
    sha256: null,
    recordedAt: upload.recordedAt,
    clockOffset,
    correctedAt: corrected(upload.recordedAt, clockOffset),
    receivedAt: clock.now(),
    status: 'received',
    quarantinedBecause: null,
    duplicateOf: null,
    flags: kept === undefined ? [] : ['truncated'],
    category: metadata.category ?? null,
    incident: metadata.incident ?? null,
    number: metadata.number === undefined ? null : Number(metadata.number),
    sequence: metadata.sequence ?? null,
    duration: null,
    mediaType: null,
    objectVersion: null,
  })
  const cause = await record(tx, clock, {
    operation: 'collection',
    action: kept === undefined ? 'upload.stored' : 'upload.kept',
    subject: { type: 'upload', id: upload.id },
    actor,
    detail: { recording: upload.recording, camera: upload.camera, received: upload.received, size: upload.size },
    ...(kept === undefined ? {} : { purpose: kept.purpose }),
  })
  await owe(tx, clock, 'take-into-custody', { recordingId: upload.recording }, { cause })
}
