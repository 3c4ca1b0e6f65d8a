import type { Readable } from 'node:stream'
import { type DockId, newId, type RecordingId, type UploadId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { cameraKnown, dockStillMay } from '../docks/queries.ts'
import type { Engines } from '../engines/engines.ts'
import { databaseLost, inTransaction, type Tx } from '../engines/postgres.ts'
import type { UploadRow } from '../engines/tables.ts'
import { owe } from '../jobs/outbox.ts'
import type { Actor, Outcome } from '../ledger/entry.ts'
import { record } from '../ledger/record.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { arrived } from './arrival.ts'
import type { Ingest } from './ingest.ts'
import {
  addParts,
  addTails,
  claimWriter,
  countOpenOfDock,
  dropTails,
  insertUpload,
  moveOffset,
  noteMultipart,
  setState,
  tailsOf,
  uploadById,
  uploadForUpdate,
  wasErased,
  writerNow,
} from './queries.ts'
import { type Progress, receive } from './receive.ts'
import type { Checksum, FileFacts } from './tus.ts'
import { originalKey, partSizeFor } from './upload.ts'

/** The dock as its token showed it: the key must still be the dock's when something is acknowledged. */
export type Uploader = { id: DockId; thumbprint: string }

const asActor = (dock: Uploader): Actor => ({ kind: 'dock', id: dock.id })
const hours = (from: Date, count: number): Date => new Date(from.getTime() + count * 3_600_000)

/** What was erased no dock brings back by itself. A dock that declares no digest learns it after the read-back. */
const refuseErased = async (engines: Engines, dock: Uploader, size: number, file: FileFacts): Promise<void> => {
  const { camera, sha256 } = file
  if (sha256 === null || !(await wasErased(engines.db, camera, size, sha256))) return
  await recordRefusal(engines, {
    operation: 'collection',
    action: 'upload.create',
    subject: { type: 'camera', id: camera },
    actor: asActor(dock),
    detail: { because: 'erased', sha256, size },
  })
  throw new Problem('erased', 'This file was in custody, and was erased when its time had come.')
}

/** Begins an upload of `size` bytes. Throws `too-large`, `too-many-uploads`, `camera-unknown`, `erased`. */
export const createUpload = async (
  engines: Engines,
  dock: Uploader,
  size: number,
  file: FileFacts,
): Promise<UploadRow> => {
  const { config, clock, db } = engines
  if (size > config.UPLOAD_MAX_BYTES)
    throw new Problem('too-large', `A file may have ${config.UPLOAD_MAX_BYTES} bytes at most.`)
  await refuseErased(engines, dock, size, file)
  const id = newId<UploadId>()
  return await inTransaction(db, async (tx) => {
    await dockStillMay(tx, dock)
    if ((await countOpenOfDock(tx, dock.id)) >= config.UPLOAD_OPEN_PER_DOCK) {
      throw new Problem('too-many-uploads', `A dock may have ${config.UPLOAD_OPEN_PER_DOCK} uploads open at once.`, {
        retryAfter: 30,
      })
    }
    await cameraKnown(tx, config, clock, file.camera)
    const now = clock.now()
    await insertUpload(tx, {
      id,
      dock: dock.id,
      recording: newId<RecordingId>(),
      camera: file.camera,
      filename: file.filename,
      size,
      sha256: file.sha256,
      recordedAt: file.recordedAt,
      metadata: JSON.stringify(file.all),
      partSize: partSizeFor(size, config.UPLOAD_PART_MIB * 1024 * 1024),
      state: 'open',
      multipart: null,
      createdAt: now,
      expiresAt: hours(now, config.UPLOAD_EXPIRES_HOURS),
    })
    const detail = {
      camera: file.camera,
      filename: file.filename,
      size,
      ...(file.sha256 === null ? {} : { sha256: file.sha256 }),
    }
    await record(tx, clock, {
      operation: 'collection',
      action: 'upload.created',
      subject: { type: 'upload', id },
      actor: asActor(dock),
      detail,
    })
    const upload = await justMade(tx, id)
    if (size > 0) return upload
    await arrived(tx, engines, upload, asActor(dock))
    return await justMade(tx, id)
  })
}

const justMade = async (tx: Tx, id: UploadId): Promise<UploadRow> => {
  const upload = await uploadForUpdate(tx, id)
  if (upload === undefined) throw new Error('the upload just made is not there')
  return upload
}

/** An upload as the dock that made it may see it. Another's is `not-found`; one that is over is `gone`. */
export const uploadOfDock = async (engines: Engines, dock: Uploader, id: UploadId): Promise<UploadRow> => {
  const upload = await uploadById(engines.db, id)
  if (upload === undefined) throw new Problem('not-found')
  if (upload.dock !== dock.id) {
    await recordRefusal(engines, {
      operation: 'collection',
      action: 'upload.write',
      subject: { type: 'upload', id },
      actor: asActor(dock),
    })
    throw new Problem('not-found')
  }
  if (upload.state === 'expired' || upload.state === 'ended') throw new Problem('gone')
  return upload
}

export type Append = {
  offset: number
  length: number | undefined
  checksum: Checksum | undefined
  body: Readable
}

/**
 * Takes in a body at `offset`. Ends any older request on the same upload. Answers the new offset.
 * Throws `offset-mismatch`, `checksum-mismatch`, `too-large`, `too-slow`, `writer-replaced`, `store-unavailable`.
 */
export const appendToUpload = async (
  engines: Engines,
  ingest: Ingest,
  dock: Uploader,
  id: UploadId,
  append: Append,
): Promise<UploadRow> => {
  // The connection may break while nobody reads from it; the reader finds the error when it comes to it.
  append.body.on('error', () => undefined)
  const seen = await uploadOfDock(engines, dock, id)
  if (seen.state !== 'open') {
    if (append.offset === seen.size && append.length === 0) return seen
    throw offsetMismatch(seen)
  }
  if (append.length !== undefined && append.offset + append.length > seen.size) {
    throw new Problem('too-large', `The declared length is ${seen.size} bytes; this request goes beyond it.`)
  }
  const pen = await ingest.takePen(id)
  try {
    const upload = await claimWriter(engines.db, id)
    if (upload === undefined) throw offsetMismatch(await uploadOfDock(engines, dock, id))
    if (upload.received !== append.offset) throw offsetMismatch(upload)
    return await write(engines, ingest, dock, upload, append, pen.signal)
  } finally {
    pen.layDown()
  }
}

/** The work of the request that holds the pen. Answers the upload as it stands after the last acknowledgement. */
const write = async (
  engines: Engines,
  ingest: Ingest,
  dock: Uploader,
  upload: UploadRow,
  append: Append,
  signal: AbortSignal,
): Promise<UploadRow> => {
  const { config, db, enforced, store } = engines
  const multipart = upload.multipart ?? (await beginMultipart(engines, upload))
  let standing = upload
  try {
    await receive(store, ingest.budget, {
      upload,
      multipart,
      writer: upload.writer,
      tails: await tailsOf(db, upload.id),
      body: append.body,
      length: append.length,
      checksum: append.checksum,
      storeChecks: enforced.known()?.digests === true,
      signal,
      patience: { idleSeconds: config.UPLOAD_IDLE_SECONDS, slowestBytes: config.UPLOAD_SLOWEST_BYTES },
      holdMs: config.UPLOAD_HOLD_SECONDS * 1000,
      commit: async (progress) => {
        standing = await acknowledge(engines, dock, upload, progress)
      },
      stillMay: async () => await refuseReplaced(engines, dock, upload),
    })
    return standing
  } catch (error) {
    // Ended elsewhere, the store may be rid of its parts already and say so in its own words. After a commit that nobody
    // heard of the upload may be whole: that is for the dock to ask.
    if (error instanceof Problem || databaseLost(error)) throw error
    await refuseReplaced(engines, dock, standing)
    if (await store.knowsMultipart('originals', originalKey(upload.recording), multipart)) throw error
    await endLost(engines, dock, upload)
    throw new Problem('gone', 'The store lost what it had acknowledged of this upload. Keep the file.', {
      cause: error,
    })
  }
}

/** Nothing more can be added to what the store no longer has: the file is owed anew, and that it was lost is on record. */
const endLost = async (engines: Engines, dock: Uploader, claimed: UploadRow): Promise<void> => {
  await inTransaction(engines.db, async (tx) => {
    const upload = await uploadForUpdate(tx, claimed.id)
    if (upload?.state !== 'open' || upload.writer !== claimed.writer) return
    await endUpload(tx, engines, upload, asActor(dock), 'upload.lost-by-store', 'failed')
  })
  engines.log.error({ upload: claimed.id }, 'the store lost an upload under way')
}

const offsetMismatch = (upload: UploadRow): Problem =>
  new Problem('offset-mismatch', `The upload stands at ${upload.received} of ${upload.size} bytes.`, {
    extra: { offset: upload.received },
  })

const beginMultipart = async ({ db, store }: Engines, upload: UploadRow): Promise<string> => {
  const key = originalKey(upload.recording)
  const made = await store.startMultipart('originals', key, 'application/octet-stream')
  const kept = await noteMultipart(db, upload.id, made)
  if (kept !== made) await store.abortMultipart('originals', key, made)
  if (kept === undefined) throw new Problem('gone')
  return kept
}

const refuseReplaced = async ({ db }: Engines, dock: Uploader, upload: UploadRow): Promise<void> => {
  const now = await writerNow(db, upload.id)
  if (now === undefined || now.state !== 'open') throw new Problem('gone')
  if (now.writer !== upload.writer) throw new Problem('writer-replaced')
  if (now.suspendedAt !== null) throw new Problem('suspended')
  if (now.thumbprint !== dock.thumbprint) throw new Problem('token-invalid')
}

/** The one transaction in which bytes become acknowledged; the last byte's also makes the recording, its entry and its job. */
const acknowledge = async (
  engines: Engines,
  dock: Uploader,
  claimed: UploadRow,
  progress: Progress,
): Promise<UploadRow> => {
  const { clock, config, db, metrics, store, log } = engines
  const { received } = progress
  const expiresAt = hours(clock.now(), config.UPLOAD_EXPIRES_HOURS)
  const before = await inTransaction(db, async (tx) => {
    const upload = await uploadForUpdate(tx, claimed.id)
    if (upload === undefined || upload.state !== 'open') throw new Problem('gone')
    if (upload.writer !== claimed.writer) throw new Problem('writer-replaced')
    await dockStillMay(tx, dock)
    await dropTails(tx, upload.id, progress.carried)
    await addParts(tx, upload.id, progress.parts)
    await addTails(tx, upload.id, progress.tails)
    await moveOffset(tx, upload.id, received, 'open', expiresAt)
    if (received === upload.size) await arrived(tx, engines, { ...upload, received }, asActor(dock))
    return upload.received
  })
  metrics.ingestBytes.inc(received - before)
  // Pieces that became part of something larger. What a crash leaves here goes when the upload is cleared.
  await Promise.all(progress.carried.map((tail) => store.delete('staging', tail.key))).catch((error: unknown) =>
    log.info({ upload: claimed.id, err: error }, 'pieces in staging were left for later'),
  )
  return { ...claimed, received, expiresAt, state: received === claimed.size ? 'stored' : 'open' }
}

/** tus termination: the dock gives up an upload that is not whole yet. */
export const terminateUpload = async (
  engines: Engines,
  ingest: Ingest,
  dock: Uploader,
  id: UploadId,
): Promise<void> => {
  await uploadOfDock(engines, dock, id)
  const pen = await ingest.takePen(id)
  try {
    await inTransaction(engines.db, async (tx) => {
      const upload = await uploadForUpdate(tx, id)
      if (upload === undefined) throw new Problem('not-found')
      if (upload.state !== 'open')
        throw new Problem('conflict', 'Every byte has arrived: the footage can no longer be withdrawn.')
      await dockStillMay(tx, dock)
      await endUpload(tx, engines, upload, asActor(dock), 'upload.terminated')
    })
  } finally {
    pen.layDown()
  }
}

/** Ends an upload that will not become a recording, with its entry, and owes the removal of what it left in the store. */
export const endUpload = async (
  tx: Tx,
  engines: Engines,
  upload: UploadRow,
  actor: Actor,
  action: string,
  outcome: Outcome = 'allowed',
): Promise<void> => {
  await setState(tx, upload.id, 'ended')
  const cause = await record(tx, engines.clock, {
    operation: 'erasure',
    action,
    subject: { type: 'upload', id: upload.id },
    outcome,
    actor,
    detail: { camera: upload.camera, received: upload.received, size: upload.size },
  })
  await owe(tx, engines.clock, 'clear-upload', { uploadId: upload.id }, { cause })
}
