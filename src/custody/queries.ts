import { sql } from 'kysely'
import type { CameraSerial, DockId, PersonId, RecordingId, Sha256, UploadId } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { RecordingFacts, RecordingRow, RecordingStatus, Track, UploadRow } from '../engines/tables.ts'

export const recordingById = async (db: Db | Tx, id: RecordingId): Promise<RecordingRow | undefined> =>
  await db.selectFrom('recordings').selectAll().where('id', '=', id).executeTakeFirst()

export const recordingForUpdate = async (tx: Tx, id: RecordingId): Promise<RecordingRow | undefined> =>
  await tx.selectFrom('recordings').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()

/**
 * Whether nobody takes the recording into custody, or examines it, until a person has it tried again: a job for that was given
 * up, and none is owed or at work. One that is restored is owed another job than the one that was given up. Its status is
 * asked for once more in the same statement: where it was not held, it may have been examined meanwhile.
 */
export const isGivenUp = async (db: Db | Tx, id: RecordingId, status: RecordingStatus): Promise<boolean> => {
  if (status !== 'received' && status !== 'verified') return false
  const jobs = sql`select from jobs where name = 'take-into-custody' and payload ->> 'recordingId' = ${id}`
  const { rows } = await sql<{ givenUp: boolean }>`
    select exists (${jobs} and state = 'failed') and not exists (${jobs} and state in ('owed', 'working'))
      and exists (select from recordings where id = ${id} and status in ('received', 'verified')) as given_up`.execute(
    db,
  )
  return rows[0]?.givenUp === true
}

/** Verifications of one file, in any process, happen one after the other. Held until the transaction ends. */
export const lockFile = async (tx: Tx, camera: CameraSerial, size: number, sha256: Sha256): Promise<void> => {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`file ${camera} ${size} ${sha256}`}, 0))`.execute(tx)
}

/** In custody, or once there. */
const settled = ['verified', 'active', 'due', 'grace', 'erased'] as const

/** The recordings of this file that are in custody, or were until they were erased. */
const accepted = (db: Db | Tx, { id, camera, size }: Pick<RecordingRow, 'id' | 'camera' | 'size'>, sha256: Sha256) =>
  db
    .selectFrom('recordings')
    .where('recordings.camera', '=', camera)
    .where('recordings.size', '=', size)
    .where('recordings.sha256', '=', sha256)
    .where('recordings.status', 'in', settled)
    .where('recordings.duplicateOf', 'is', null)
    .where('recordings.readmittedAt', 'is', null)
    .where('recordings.id', '!=', id)

/** The other recording that is this file, if one is in custody, or was until it was erased. */
export const inCustody = async (tx: Tx, recording: RecordingRow, sha256: Sha256): Promise<RecordingRow | undefined> =>
  await accepted(tx, recording, sha256).selectAll('recordings').executeTakeFirst()

/** Whether a supervisor accepted for this declaration what was read now: as a file in custody, or one that was erased since. */
export const wasAccepted = async (
  db: Db,
  recording: RecordingRow,
  declared: Sha256,
  read: Sha256,
): Promise<boolean> => {
  const row = await accepted(db, recording, read)
    .innerJoin('uploads', 'uploads.id', 'recordings.upload')
    .where('uploads.sha256', '=', declared)
    .select('recordings.id')
    .executeTakeFirst()
  return row !== undefined
}

/** Quarantined recordings of the same camera and size that read back with this digest, which was not the declared one. */
export const disputedTwins = async (
  tx: Tx,
  { id, camera, size }: RecordingRow,
  sha256: Sha256,
): Promise<RecordingRow[]> =>
  await tx
    .selectFrom('recordings')
    .selectAll()
    .where('camera', '=', camera)
    .where('size', '=', size)
    .where('sha256', '=', sha256)
    .where('status', '=', 'quarantined')
    .where('quarantinedBecause', '=', 'digest-mismatch')
    .where('duplicateOf', 'is', null)
    .where('id', '!=', id)
    .forUpdate()
    .execute()

export const noteObject = async (tx: Tx, id: RecordingId, objectVersion: string): Promise<void> => {
  await tx.updateTable('recordings').set({ objectVersion }).where('id', '=', id).execute()
}

export const markVerified = async (tx: Tx, id: RecordingId, sha256: Sha256): Promise<void> => {
  await tx
    .updateTable('recordings')
    .set({ status: 'verified', sha256, quarantinedBecause: null })
    .where('id', '=', id)
    .execute()
}

export const markDuplicate = async (tx: Tx, id: RecordingId, first: RecordingId, sha256: Sha256): Promise<void> => {
  await tx.updateTable('recordings').set({ duplicateOf: first, sha256 }).where('id', '=', id).execute()
}

export const markQuarantined = async (
  tx: Tx,
  id: RecordingId,
  because: 'digest-mismatch' | 'parts-mismatch' | 'discarded',
  sha256: Sha256 | null,
): Promise<void> => {
  await tx
    .updateTable('recordings')
    .set({ status: 'quarantined', quarantinedBecause: because, sha256 })
    .where('id', '=', id)
    .execute()
}

export const markAccepted = async (tx: Tx, recording: RecordingRow): Promise<void> => {
  await tx
    .updateTable('recordings')
    .set({ status: 'received', flags: [...recording.flags, 'digest_disputed'] })
    .where('id', '=', recording.id)
    .execute()
}

export type Examined = {
  duration: number | null
  tracks: Track[]
  facts: RecordingFacts
  mediaType: string | null
  flags: string[]
}

export const markActive = async (tx: Tx, id: RecordingId, found: Examined): Promise<void> => {
  await tx
    .updateTable('recordings')
    .set({
      status: 'active',
      duration: found.duration,
      mediaType: found.mediaType,
      flags: found.flags,
      tracks: JSON.stringify(found.tracks),
      facts: JSON.stringify(found.facts),
    })
    .where('id', '=', id)
    .execute()
}

export const insertReceipt = async (
  tx: Tx,
  upload: UploadId,
  recording: RecordingId,
  jws: string,
  signedAt: Date,
): Promise<void> => {
  await tx.insertInto('receipts').values({ upload, recording, jws, signedAt }).execute()
}

export const receiptOfUpload = async (db: Db | Tx, upload: UploadId): Promise<string | undefined> =>
  (await db.selectFrom('receipts').select('jws').where('upload', '=', upload).executeTakeFirst())?.jws

/** The receipt that the recording's own upload was given. */
export const receiptOfRecording = async (db: Db, recording: RecordingId): Promise<string | undefined> =>
  (
    await db
      .selectFrom('receipts')
      .innerJoin('recordings', 'recordings.upload', 'receipts.upload')
      .select('receipts.jws')
      .where('recordings.id', '=', recording)
      .executeTakeFirst()
  )?.jws

/** Whether any file of the camera, held or announced, bears the number; and whether any bears a lower one. */
export const numbersAround = async (
  db: Db | Tx,
  camera: CameraSerial,
  number: number,
): Promise<{ before: boolean; lower: boolean }> => {
  const { rows } = await sql<{ before: boolean; lower: boolean }>`
    select coalesce(bool_or(number = ${number - 1}), false) as before, coalesce(bool_or(number < ${number}), false) as lower
    from (
      (select number from recordings where camera = ${camera} and number < ${number} order by number desc limit 1)
      union all (select number from announcements where camera = ${camera} and number < ${number} order by number desc limit 1)
    ) as known`.execute(db)
  return rows[0] ?? { before: false, lower: false }
}

/** The file after this one is no longer behind a gap. */
export const closeGapBefore = async (tx: Tx, camera: CameraSerial, number: number): Promise<void> => {
  await tx
    .updateTable('recordings')
    .set({ flags: sql<string[]>`array_remove(flags, 'sequence_gap')` })
    .where('camera', '=', camera)
    .where('number', '=', number)
    .where(sql<boolean>`'sequence_gap' = any(flags)`)
    .execute()
}

type FileKey = { size: number; sha256: Sha256 }
export type KnownUpload = Pick<UploadRow, 'id' | 'dock' | 'state' | 'size' | 'sha256' | 'kept' | 'recording'>
export type KnownRecording = Pick<
  RecordingRow,
  'id' | 'size' | 'sha256' | 'status' | 'quarantinedBecause' | 'duplicateOf' | 'readmittedAt'
> & { declared: Sha256 | null }

/**
 * All that is known of the files a camera announces, by the digest it declares and by the one that was read. Each way has
 * its own index: a camera of many years has many thousands of files.
 */
export const knownFiles = async (
  db: Db | Tx,
  camera: CameraSerial,
  files: FileKey[],
): Promise<{ uploads: KnownUpload[]; recordings: KnownRecording[] }> => {
  if (files.length === 0) return { uploads: [], recordings: [] }
  const asked = sql`unnest(${files.map((file) => file.size)}::bigint[], ${files.map((file) => file.sha256)}::text[])
    as asked (size, sha256)`
  const uploads = await sql<KnownUpload>`
    select u.id, u.dock, u.state, u.size, u.sha256, u.kept, u.recording
    from ${asked} join uploads u on u.camera = ${camera} and u.size = asked.size and u.sha256 = asked.sha256
    order by u.id desc`.execute(db)
  const shown = sql`r.id, r.size, r.sha256, r.status, r.quarantined_because, r.duplicate_of, r.readmitted_at, u.sha256 as declared`
  const recordings = await sql<KnownRecording>`
    select ${shown}
    from ${asked} join recordings r on r.camera = ${camera} and r.size = asked.size and r.sha256 = asked.sha256
      join uploads u on u.id = r.upload
    union
    select ${shown}
    from ${asked} join uploads u on u.camera = ${camera} and u.size = asked.size and u.sha256 = asked.sha256
      join recordings r on r.upload = u.id`.execute(db)
  return { uploads: uploads.rows, recordings: recordings.rows }
}

type Announced = {
  name: string
  size: number
  sha256: Sha256
  recordedAt: Date
  number: number | null
  sequence: string | null
}

export const announce = async (
  tx: Tx,
  camera: CameraSerial,
  dock: DockId,
  clockOffset: number | null,
  at: Date,
  files: Announced[],
): Promise<void> => {
  if (files.length === 0) return
  await tx
    .insertInto('announcements')
    .values(files.map((file) => ({ camera, dock, clockOffset, firstAt: at, lastAt: at, ...file })))
    .onConflict((oc) =>
      oc.columns(['camera', 'size', 'sha256']).doUpdateSet((eb) => ({
        dock: eb.ref('excluded.dock'),
        lastAt: at,
        name: eb.ref('excluded.name'),
        clockOffset: eb.fn.coalesce('excluded.clockOffset', 'announcements.clockOffset'),
      })),
    )
    .execute()
}

/** Announced files of a camera that are not in custody, oldest announcement first. */
export const shortfallPage = async (
  db: Db | Tx,
  camera: CameraSerial,
  after: { at: Date; sha256: string } | undefined,
  limit: number,
) =>
  await db
    .selectFrom('announcements as a')
    .selectAll('a')
    .where('a.camera', '=', camera)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('recordings as r')
            .select('r.id')
            .whereRef('r.camera', '=', 'a.camera')
            .whereRef('r.size', '=', 'a.size')
            .whereRef('r.sha256', '=', 'a.sha256')
            .where('r.duplicateOf', 'is', null)
            .where('r.readmittedAt', 'is', null)
            .where('r.status', 'in', settled),
        ),
      ),
    )
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('uploads as u')
            .innerJoin('recordings as r', 'r.upload', 'u.id')
            .select('r.id')
            .whereRef('u.camera', '=', 'a.camera')
            .whereRef('u.size', '=', 'a.size')
            .whereRef('u.sha256', '=', 'a.sha256')
            .whereRef('r.size', '=', 'a.size')
            .where('r.duplicateOf', 'is', null)
            .where('r.readmittedAt', 'is', null)
            .where('r.status', 'in', settled),
        ),
      ),
    )
    .$if(after !== undefined, (query) =>
      query.where(sql<boolean>`(a.first_at, a.sha256) > (${after?.at}, ${after?.sha256})`),
    )
    .orderBy('a.firstAt')
    .orderBy('a.sha256')
    .limit(limit)
    .execute()

export const discardOf = async (tx: Tx, recording: RecordingId) =>
  await tx.selectFrom('discards').selectAll().where('recording', '=', recording).forUpdate().executeTakeFirst()

export const isUnderHold = async (tx: Tx, recording: RecordingId): Promise<boolean> => {
  const query = tx.selectFrom('holds').select('id').where('recording', '=', recording).where('releasedAt', 'is', null)
  return (await query.executeTakeFirst()) !== undefined
}

export const insertDiscard = async (
  tx: Tx,
  recording: RecordingId,
  askedBy: PersonId,
  reason: string,
  askedAt: Date,
): Promise<void> => {
  await tx.insertInto('discards').values({ recording, askedBy, reason, askedAt, approvedBy: null }).execute()
}

export const approveDiscard = async (
  tx: Tx,
  recording: RecordingId,
  approvedBy: PersonId,
  approvedAt: Date,
): Promise<void> => {
  await tx.updateTable('discards').set({ approvedBy, approvedAt }).where('recording', '=', recording).execute()
}
