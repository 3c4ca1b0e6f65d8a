import type { RecordingId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import type { RecordingRow } from '../engines/tables.ts'
import { owe } from '../jobs/outbox.ts'
import { record } from '../ledger/record.ts'
import { actor, type Person } from '../people/person.ts'
import { clearPieces } from '../uploads/completion.ts'
import { setState } from '../uploads/queries.ts'
import { originalKey } from '../uploads/upload.ts'
import {
  approveDiscard,
  discardOf,
  insertDiscard,
  isUnderHold,
  markAccepted,
  markQuarantined,
  recordingById,
  recordingForUpdate,
} from './queries.ts'
import { clearSidecar } from './sidecar-objects.ts'

const quarantinedForUpdate = async (tx: Tx, id: RecordingId): Promise<RecordingRow> => {
  const recording = await recordingForUpdate(tx, id)
  if (recording === undefined || recording.duplicateOf !== null) throw new Problem('not-found')
  if (recording.status !== 'quarantined')
    throw new Problem('conflict', `The recording is ${recording.status}, not quarantined.`)
  if (recording.quarantinedBecause === 'discarded') throw new Problem('conflict', 'The recording was discarded.')
  return recording
}

/**
 * A supervisor accepts a quarantined recording under the digest that was read. It is read back once more against that
 * digest before its receipt is signed, and bears the flag `digest_disputed`.
 */
export const acceptRecording = async (
  engines: Engines,
  person: Person,
  id: RecordingId,
  reason: string,
): Promise<void> => {
  const { clock, db } = engines
  await inTransaction(db, async (tx) => {
    const recording = await quarantinedForUpdate(tx, id)
    if (recording.quarantinedBecause !== 'digest-mismatch' || recording.sha256 === null) {
      throw new Problem(
        'conflict',
        'The object is not what arrived, part for part: there is nothing to accept. The file is owed anew.',
      )
    }
    await markAccepted(tx, recording)
    await setState(tx, recording.upload, 'completing')
    const cause = await record(tx, clock, {
      operation: 'alteration',
      action: 'recording.accepted',
      subject: { type: 'recording', id },
      actor: actor(person),
      purpose: reason,
      detail: { read: recording.sha256 },
    })
    await owe(tx, clock, 'take-into-custody', { recordingId: id }, { cause })
  })
}

/** A supervisor asks that a quarantined recording be discarded. Nothing happens until another person approves. */
export const askDiscard = async (engines: Engines, person: Person, id: RecordingId, reason: string): Promise<void> => {
  const { clock, db } = engines
  await inTransaction(db, async (tx) => {
    await quarantinedForUpdate(tx, id)
    if ((await discardOf(tx, id)) !== undefined)
      throw new Problem('conflict', 'Its discard was asked for already; another person may approve it.')
    await insertDiscard(tx, id, person.id, reason, clock.now())
    await record(tx, clock, {
      operation: 'administration',
      action: 'recording.discard-asked',
      subject: { type: 'recording', id },
      actor: actor(person),
      purpose: reason,
    })
  })
}

/** A second person approves: the object goes, the row and its entries stay. */
export const approveDiscardOf = async (
  engines: Engines,
  person: Person,
  id: RecordingId,
  reason: string,
): Promise<void> => {
  const { clock, db } = engines
  await inTransaction(db, async (tx) => {
    const recording = await quarantinedForUpdate(tx, id)
    const asked = await discardOf(tx, id)
    if (asked === undefined) throw new Problem('conflict', 'Nobody asked for its discard.')
    if (asked.askedBy === person.id) throw new Problem('same-person')
    if (await isUnderHold(tx, id))
      throw new Problem('conflict', 'A hold is on the recording: it has to be released first.')
    await approveDiscard(tx, id, person.id, clock.now())
    // Only a digest that was read stands against the declared one. What the store damaged says nothing of the file.
    const read = recording.quarantinedBecause === 'digest-mismatch' ? recording.sha256 : null
    await markQuarantined(tx, id, 'discarded', read)
    await setState(tx, recording.upload, 'ended')
    const cause = await record(tx, clock, {
      operation: 'erasure',
      action: 'recording.discarded',
      subject: { type: 'recording', id },
      actor: actor(person),
      purpose: reason,
      detail: { askedBy: asked.askedBy, upload: recording.upload },
    })
    await owe(tx, clock, 'clear-recording', { recordingId: id }, { cause })
  })
}

/** Deletes every version of the object of a duplicate or a discarded recording, and asks again. Repeatable. */
export const clearRecording = async (engines: Engines, id: RecordingId): Promise<boolean> => {
  const { db, store } = engines
  const recording = await recordingById(db, id)
  if (recording === undefined || (recording.duplicateOf === null && recording.quarantinedBecause !== 'discarded'))
    return false
  const key = originalKey(id)
  for (const version of await store.versions('originals', key)) await store.delete('originals', key, version)
  const left = await store.versions('originals', key)
  if (left.length > 0)
    throw new Error(`the store still has ${left.length} versions of an object it was asked to delete`)
  await clearPieces(engines, { id: recording.upload, recording: id })
  await clearSidecar(engines, id)
  return true
}
