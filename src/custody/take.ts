import type { RecordingId, Sha256 } from '../base/ids.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import { noRoom, type ScratchFolder, ScratchFull } from '../engines/scratch.ts'
import type { RecordingRow, UploadRow } from '../engines/tables.ts'
import type { Outcome, Run } from '../jobs/catalogue.ts'
import { owe } from '../jobs/outbox.ts'
import type { Actor } from '../ledger/entry.ts'
import { signingKey } from '../ledger/keys/receipt-keys.ts'
import { record, recordSealed } from '../ledger/record.ts'
import { endUpload } from '../uploads/actions.ts'
import { type Completed, clearPieces, completeObject } from '../uploads/completion.ts'
import { openUploadsOfFile, partsOf, setState, uploadById } from '../uploads/queries.ts'
import { examineRecording } from './examine.ts'
import {
  disputedTwins,
  inCustody,
  insertReceipt,
  isUnderHold,
  lockFile,
  markDuplicate,
  markQuarantined,
  markVerified,
  noteObject,
  recordingById,
  recordingForUpdate,
  wasAccepted,
} from './queries.ts'
import { type ReadBack, readBack } from './read-back.ts'
import { signReceipt } from './receipt.ts'
import { expectedDigest, judge } from './verdict.ts'

const scratchReserve = 256 * 1024 * 1024

type Job = Pick<Run, 'jobId' | 'cause' | 'signal' | 'progress' | 'fence'>

/** The name, in the scratch folder, of the copy of an original that the read-back writes. */
export const copyName = 'original'

/**
 * Takes a recording whose bytes are all stored into custody: completes the object, reads it back once, compares, signs
 * the receipt or quarantines, and examines it. Every step may be repeated; a recording already verified is only examined.
 * What is examined is a copy that stays in the folder.
 */
export const takeIntoCustody = async (
  engines: Engines,
  id: RecordingId,
  run: Job,
  folder: ScratchFolder,
): Promise<Outcome> => {
  const recording = await recordingById(engines.db, id)
  if (recording === undefined) return { outcome: 'skipped', because: 'there is no such recording' }
  const upload = await uploadById(engines.db, recording.upload)
  if (upload === undefined) throw new Error('a recording without its upload')
  // An attempt before this one may have been cut off between its verdict and this.
  if (recording.status !== 'received' || recording.duplicateOf !== null) await clearLeftovers(engines, recording)
  if (recording.duplicateOf !== null)
    return { outcome: 'skipped', because: 'the recording was a second one of its file' }
  if (recording.status !== 'received' && recording.status !== 'verified')
    return { outcome: 'skipped', because: `the recording is ${recording.status}` }
  // A full scratch disk must not hold up a receipt: the examination waits, not the custody.
  const copyTo = (await engines.scratch.free()) > recording.size + scratchReserve ? folder.path(copyName) : undefined
  let copied = false
  if (recording.status === 'received') {
    const { outcome, wroteCopy } = await verify(engines, recording, upload, run, copyTo)
    await clearLeftovers(engines, await recordingById(engines.db, id))
    if (outcome !== 'verified') return { outcome: 'done', said: outcome }
    copied = wroteCopy
  }
  if (copyTo === undefined)
    throw new ScratchFull(
      `${noRoom} to examine this recording. The receipt is signed; free space, and it is tried again.`,
    )
  await examineRecording(engines, id, copyTo, copied, run)
  return { outcome: 'done', said: 'verified and examined' }
}

/** What the pieces were for is made: they go. Where the store could not make the object, they are all there is, and stay. */
const clearLeftovers = async (engines: Engines, recording: RecordingRow | undefined): Promise<void> => {
  if (recording?.objectVersion == null) return
  await clearPieces(engines, { id: recording.upload, recording: recording.id })
}

type Verified = { outcome: 'verified' | 'duplicate' | 'quarantined' | 'erased'; wroteCopy: boolean }

const verify = async (
  engines: Engines,
  recording: RecordingRow,
  upload: UploadRow,
  run: Job,
  copyTo: string | undefined,
): Promise<Verified> => {
  const object = await objectOf(engines, recording, upload, run)
  const expected = expectedDigest(recording, upload)
  const read = object === null ? null : await readOriginal(engines, recording, object, expected, run, copyTo)
  if (read === null) {
    await quarantine(engines, recording, upload, run, 'parts-mismatch', null)
    return { outcome: 'quarantined', wroteCopy: false }
  }
  const verdict = judge(read, { size: recording.size, sha256: expected })
  const again =
    !verdict.matches && verdict.because === 'digest-mismatch' && (await isAgain(engines, recording, upload, read))
  if (!verdict.matches && !again) {
    await quarantine(engines, recording, upload, run, verdict.because, read.sha256)
    return { outcome: 'quarantined', wroteCopy: false }
  }
  const outcome = await receive(engines, recording, upload, run, read.sha256, again)
  return { outcome, wroteCopy: copyTo !== undefined }
}

/** What was accepted for a declaration once is no dispute when it is sent again: it is a second one, or was erased. */
const isAgain = async ({ db }: Engines, recording: RecordingRow, upload: UploadRow, read: ReadBack): Promise<boolean> =>
  upload.sha256 !== null && (await wasAccepted(db, recording, upload.sha256, read.sha256))

/** The object in its final place. Its version is noted once, and from then on no later version is ever taken for it. */
const objectOf = async (
  engines: Engines,
  recording: RecordingRow,
  upload: UploadRow,
  run: Job,
): Promise<Completed | null> => {
  const { objectVersion } = recording
  if (objectVersion !== null) return { version: objectVersion, parts: await partsOf(engines.db, upload.id) }
  const object = await completeObject(engines, upload.id)
  if (object === null) return null
  await inTransaction(engines.db, async (tx) => {
    await run.fence(tx)
    await noteObject(tx, recording.id, object.version)
  })
  return object
}

/** Where the whole digest is the declared one, every part is as it came. Otherwise each is digested too. */
const readOriginal = async (
  { store }: Engines,
  recording: RecordingRow,
  { version, parts }: Completed,
  expected: Sha256 | null,
  { signal, progress }: Job,
  copyTo: string | undefined,
): Promise<ReadBack | null> => {
  const wanted = {
    recording: recording.id,
    version,
    size: recording.size,
    signal,
    progress: (fraction: number) => progress(fraction * 0.9),
  }
  const read = await readBack(store, {
    ...wanted,
    ...(copyTo === undefined ? {} : { copyTo }),
    ...(expected === null ? { parts } : {}),
  })
  if (read === null || expected === null || read.sha256 === expected) return read
  return await readBack(store, { ...wanted, parts })
}

const service = (run: Job): Actor => ({
  kind: 'service',
  id: 'take-into-custody',
  job: run.jobId,
  ...(run.cause === null ? {} : { cause: run.cause }),
})

const quarantine = async (
  engines: Engines,
  recording: RecordingRow,
  upload: UploadRow,
  run: Job,
  because: 'digest-mismatch' | 'parts-mismatch',
  read: Sha256 | null,
): Promise<void> => {
  await inTransaction(engines.db, async (tx) => {
    await run.fence(tx)
    const now = await recordingForUpdate(tx, recording.id)
    if (now?.status !== 'received') throw new Error('the recording changed while it was read back')
    await markQuarantined(tx, recording.id, because, read)
    await setState(tx, upload.id, 'quarantined')
    const detail = {
      because,
      upload: upload.id,
      ...(upload.sha256 === null ? {} : { declared: upload.sha256 }),
      ...(read === null ? {} : { read }),
    }
    await record(tx, engines.clock, {
      operation: 'collection',
      action: 'recording.quarantined',
      subject: { type: 'recording', id: recording.id },
      outcome: 'failed',
      actor: service(run),
      detail,
    })
  })
  engines.log.warn({ recording: recording.id, because }, 'a recording was quarantined')
}

/**
 * The match: the one transaction that signs. The first verified of a file wins; a later one's receipt names the first. One that
 * is there only as it was accepted before is `again`, and never the first.
 */
const receive = async (
  engines: Engines,
  recording: RecordingRow,
  upload: UploadRow,
  run: Job,
  sha256: Sha256,
  again: boolean,
): Promise<'verified' | 'duplicate' | 'erased'> =>
  await inTransaction(engines.db, async (tx) => {
    await run.fence(tx)
    await lockFile(tx, recording.camera, recording.size, sha256)
    const now = await recordingForUpdate(tx, recording.id)
    if (now?.status !== 'received') throw new Error('the recording changed while it was read back')
    const first = await inCustody(tx, recording, sha256)
    if (first?.status === 'erased') {
      await refuseErased(tx, engines, recording, upload, run, first.id, sha256)
      return 'erased'
    }
    if (first !== undefined) {
      await settleDuplicate(tx, engines, recording, upload, run, first.id, sha256)
      return 'duplicate'
    }
    if (again) throw new Error('the file was re-admitted while it was read back')
    await markVerified(tx, recording.id, sha256)
    await setState(tx, upload.id, 'verified')
    const cause = await giveReceipt(tx, engines, upload, recording.id, run, sha256, 'recording.verified')
    if (await isUnderHold(tx, recording.id))
      await owe(tx, engines.clock, 'hold-original', { recordingId: recording.id }, { cause })
    await settleTwins(tx, engines, recording, upload, run, sha256)
    await endOtherUploads(tx, engines, recording, upload, run, sha256)
    return 'verified'
  })

/** A supervisor who accepted what was read for a declaration accepted every upload that was declared and read alike. */
const settleTwins = async (
  tx: Tx,
  engines: Engines,
  recording: RecordingRow,
  upload: UploadRow,
  run: Job,
  sha256: Sha256,
): Promise<void> => {
  if (!recording.flags.includes('digest_disputed')) return
  for (const twin of await disputedTwins(tx, recording, sha256)) {
    const twinUpload = await uploadById(tx, twin.upload)
    if (twinUpload === undefined || twinUpload.sha256 !== upload.sha256) continue
    await settleDuplicate(tx, engines, twin, twinUpload, run, recording.id, sha256)
  }
}

const settleDuplicate = async (
  tx: Tx,
  engines: Engines,
  recording: RecordingRow,
  upload: UploadRow,
  run: Job,
  first: RecordingId,
  sha256: Sha256,
): Promise<void> => {
  await markDuplicate(tx, recording.id, first, sha256)
  await setState(tx, upload.id, 'verified')
  const cause = await giveReceipt(tx, engines, upload, first, run, sha256, 'recording.duplicate', {
    dropped: recording.id,
  })
  await owe(tx, engines.clock, 'clear-recording', { recordingId: recording.id }, { cause })
}

/** A file that was erased, and that nobody re-admitted, does not come back: no receipt, and its object goes. */
const refuseErased = async (
  tx: Tx,
  engines: Engines,
  recording: RecordingRow,
  upload: UploadRow,
  run: Job,
  first: RecordingId,
  sha256: Sha256,
): Promise<void> => {
  await markDuplicate(tx, recording.id, first, sha256)
  await setState(tx, upload.id, 'ended')
  const cause = await record(tx, engines.clock, {
    operation: 'erasure',
    action: 'recording.erased-file-refused',
    subject: { type: 'recording', id: first },
    outcome: 'denied',
    actor: service(run),
    detail: { upload: upload.id, dropped: recording.id },
  })
  await owe(tx, engines.clock, 'clear-recording', { recordingId: recording.id }, { cause })
}

const giveReceipt = async (
  tx: Tx,
  engines: Engines,
  upload: UploadRow,
  recording: RecordingId,
  run: Job,
  sha256: Sha256,
  action: string,
  more: Record<string, string> = {},
) => {
  const { clock, config } = engines
  // What was kept of an upload cut off for good is in custody, but it is not the file the camera holds: no receipt.
  const key = upload.kept ? undefined : await signingKey(tx, engines)
  const at = clock.now()
  const entry = await recordSealed(tx, clock, {
    operation: 'collection',
    action,
    subject: { type: 'recording', id: recording },
    actor: service(run),
    detail: { upload: upload.id, camera: upload.camera, size: upload.received, sha256, ...more },
  })
  if (key === undefined) return entry.id
  const jws = await signReceipt(
    {
      iss: config.RECEIPT_ISSUER,
      iat: Math.floor(at.getTime() / 1000),
      uploadId: upload.id,
      recordingId: recording,
      camera: upload.camera,
      filename: upload.filename,
      size: upload.received,
      sha256,
      readBackAt: at.toISOString(),
      entryId: entry.id,
      leaf: entry.leaf.toString('hex'),
    },
    key,
  )
  await insertReceipt(tx, upload.id, recording, jws, at)
  return entry.id
}

const endOtherUploads = async (
  tx: Tx,
  engines: Engines,
  recording: RecordingRow,
  upload: UploadRow,
  run: Job,
  sha256: Sha256,
): Promise<void> => {
  if (upload.kept) return
  const others = await openUploadsOfFile(tx, recording.camera, recording.size, sha256)
  for (const other of others) await endUpload(tx, engines, other, service(run), 'upload.superseded')
}
