import { sql } from 'kysely'
import type { CameraSerial, DockId, Sha256, UploadId } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { NewRecording, NewUpload, UploadRow, UploadState } from '../engines/tables.ts'
import type { Part } from './receive.ts'
import type { Tail } from './tails.ts'

export const insertUpload = async (tx: Tx, upload: NewUpload): Promise<void> => {
  await tx.insertInto('uploads').values(upload).execute()
}

/** Whether this file, by the digest that was read of it or that was declared, was erased, and no supervisor re-admitted it. */
export const wasErased = async (db: Db, camera: CameraSerial, size: number, sha256: Sha256): Promise<boolean> => {
  const erased = db
    .selectFrom('recordings')
    .select('recordings.id')
    .where('recordings.camera', '=', camera)
    .where('recordings.size', '=', size)
    .where('recordings.status', '=', 'erased')
    .where('recordings.duplicateOf', 'is', null)
    .where('recordings.readmittedAt', 'is', null)
  const read = await erased.where('recordings.sha256', '=', sha256).executeTakeFirst()
  if (read !== undefined) return true
  const declared = await erased
    .innerJoin('uploads', 'uploads.id', 'recordings.upload')
    .where('uploads.camera', '=', camera)
    .where('uploads.size', '=', size)
    .where('uploads.sha256', '=', sha256)
    .executeTakeFirst()
  return declared !== undefined
}

/** Serialises the creations of one dock, so that its limit of open uploads holds exactly. Counts them. */
export const countOpenOfDock = async (tx: Tx, dock: DockId): Promise<number> => {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`uploads-of-${dock}`}, 0))`.execute(tx)
  const { open } = await tx
    .selectFrom('uploads')
    .select((eb) => eb.fn.countAll<number>().as('open'))
    .where('dock', '=', dock)
    .where('state', '=', 'open')
    .executeTakeFirstOrThrow()
  return open
}

export const uploadById = async (db: Db | Tx, id: UploadId): Promise<UploadRow | undefined> =>
  await db.selectFrom('uploads').selectAll().where('id', '=', id).executeTakeFirst()

export const uploadForUpdate = async (tx: Tx, id: UploadId): Promise<UploadRow | undefined> =>
  await tx.selectFrom('uploads').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()

/** Takes the pen: every earlier writer of this upload is fenced out from here on. */
export const claimWriter = async (db: Db, id: UploadId): Promise<UploadRow | undefined> =>
  await db
    .updateTable('uploads')
    .set((eb) => ({ writer: eb('writer', '+', 1) }))
    .where('id', '=', id)
    .where('state', '=', 'open')
    .returningAll()
    .executeTakeFirst()

/** Notes the store's multipart upload unless another writer did. Answers the one that counts; none when the upload ended. */
export const noteMultipart = async (db: Db, id: UploadId, multipart: string): Promise<string | undefined> => {
  const row = await db
    .updateTable('uploads')
    .set((eb) => ({ multipart: eb.fn.coalesce('multipart', eb.val(multipart)) }))
    .where('id', '=', id)
    .where('state', '=', 'open')
    .returning('multipart')
    .executeTakeFirst()
  return row?.multipart ?? undefined
}

export const writerNow = async (db: Db, id: UploadId) =>
  await db
    .selectFrom('uploads')
    .innerJoin('docks', 'docks.id', 'uploads.dock')
    .select(['uploads.writer', 'uploads.state', 'docks.suspendedAt', 'docks.thumbprint'])
    .where('uploads.id', '=', id)
    .executeTakeFirst()

export const tailsOf = async (db: Db | Tx, id: UploadId): Promise<Tail[]> =>
  await db
    .selectFrom('uploadTails')
    .select(['start', 'size', 'sha256', 'key'])
    .where('upload', '=', id)
    .orderBy('start')
    .execute()

export const partsOf = async (db: Db | Tx, id: UploadId): Promise<Part[]> =>
  await db
    .selectFrom('uploadParts')
    .select(['number', 'size', 'sha256', 'etag'])
    .where('upload', '=', id)
    .orderBy('number')
    .execute()

export const addParts = async (tx: Tx, id: UploadId, parts: Part[]): Promise<void> => {
  if (parts.length > 0)
    await tx
      .insertInto('uploadParts')
      .values(parts.map((part) => ({ upload: id, ...part })))
      .execute()
}

export const addTails = async (tx: Tx, id: UploadId, tails: Tail[]): Promise<void> => {
  if (tails.length === 0) return
  await tx
    .insertInto('uploadTails')
    .values(tails.map((tail) => ({ upload: id, ...tail })))
    .execute()
}

export const dropTails = async (tx: Tx, id: UploadId, tails: Tail[]): Promise<void> => {
  if (tails.length === 0) return
  await tx
    .deleteFrom('uploadTails')
    .where('upload', '=', id)
    .where(
      'start',
      'in',
      tails.map((tail) => tail.start),
    )
    .execute()
}

export const dropPieces = async (tx: Tx, id: UploadId): Promise<void> => {
  await tx.deleteFrom('uploadTails').where('upload', '=', id).execute()
  await tx.deleteFrom('uploadParts').where('upload', '=', id).execute()
}

export const moveOffset = async (
  tx: Tx,
  id: UploadId,
  received: number,
  state: UploadState,
  expiresAt: Date,
): Promise<void> => {
  await tx.updateTable('uploads').set({ received, state, expiresAt }).where('id', '=', id).execute()
}

export const setState = async (tx: Tx, id: UploadId, state: UploadState): Promise<void> => {
  await tx.updateTable('uploads').set({ state }).where('id', '=', id).execute()
}

/** Only from `stored`: a worker that fell behind must not undo what another concluded. */
export const beginCompleting = async (db: Db, id: UploadId): Promise<void> => {
  await db
    .updateTable('uploads')
    .set({ state: 'completing' })
    .where('id', '=', id)
    .where('state', '=', 'stored')
    .execute()
}

export const markKept = async (tx: Tx, id: UploadId): Promise<void> => {
  await tx.updateTable('uploads').set({ state: 'stored', kept: true }).where('id', '=', id).execute()
}

export const insertRecording = async (tx: Tx, recording: NewRecording): Promise<void> => {
  await tx.insertInto('recordings').values(recording).execute()
}

/** What a manifest said of this file's clock, in seconds. */
export const announcedOffset = async (
  tx: Tx,
  camera: CameraSerial,
  size: number,
  sha256: Sha256 | null,
): Promise<number | null> => {
  if (sha256 === null) return null
  const row = await tx
    .selectFrom('announcements')
    .select('clockOffset')
    .where('camera', '=', camera)
    .where('size', '=', size)
    .where('sha256', '=', sha256)
    .executeTakeFirst()
  return row?.clockOffset ?? null
}

/** Open uploads that stood still past their time; locked, for the sweep that ends them. */
export const expiredUploads = async (tx: Tx, state: 'open' | 'expired', before: Date): Promise<UploadRow[]> =>
  await tx
    .selectFrom('uploads')
    .selectAll()
    .where('state', '=', state)
    .where('expiresAt', '<=', before)
    .orderBy('expiresAt')
    .limit(100)
    .forUpdate()
    .skipLocked()
    .execute()

/** Other uploads of a file that is in custody now. */
export const openUploadsOfFile = async (
  tx: Tx,
  camera: CameraSerial,
  size: number,
  sha256: Sha256,
): Promise<UploadRow[]> =>
  await tx
    .selectFrom('uploads')
    .selectAll()
    .where('camera', '=', camera)
    .where('size', '=', size)
    .where('sha256', '=', sha256)
    .where('state', 'in', ['open', 'expired'])
    .forUpdate()
    .execute()

/** A page, oldest first. */
export const uploadsPage = async (
  db: Db | Tx,
  state: UploadState | undefined,
  after: UploadId | undefined,
  limit: number,
): Promise<UploadRow[]> => {
  let query = db.selectFrom('uploads').selectAll().orderBy('id').limit(limit)
  if (state !== undefined) query = query.where('state', '=', state)
  if (after !== undefined) query = query.where('id', '>', after)
  return await query.execute()
}
