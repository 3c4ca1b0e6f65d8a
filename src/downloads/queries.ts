import { type Insertable, sql } from 'kysely'
import type { BundleId, ClipId, RecordingId } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { DownloadsTable } from '../engines/tables.ts'
import type { Person } from '../people/person.ts'
import { visibleTo } from '../people/visibility.ts'

/** What a person who may know of the recording can download. */
export const recordingToDownload = async (tx: Tx, person: Person, id: RecordingId) =>
  await tx
    .selectFrom('recordings')
    .select(['status', 'size', 'sha256'])
    .where('id', '=', id)
    .where('duplicateOf', 'is', null)
    .where(visibleTo(person))
    .executeTakeFirst()

/** A clip of a recording that the person may know of. */
export const clipToDownload = async (tx: Tx, person: Person, id: ClipId) =>
  await tx
    .selectFrom('clips')
    .innerJoin('recordings', 'recordings.id', 'clips.recording')
    .select(['clips.state', 'clips.size', 'clips.sha256', 'clips.recording', 'recordings.status'])
    .where('clips.id', '=', id)
    .where(visibleTo(person))
    .executeTakeFirst()

/** A bundle of a case of which the person is a member. */
export const bundleToDownload = async (db: Db | Tx, person: Pick<Person, 'id'>, id: BundleId) =>
  await db
    .selectFrom('bundles')
    .innerJoin('caseMembers', 'caseMembers.case', 'bundles.case')
    .select(['bundles.state', 'bundles.size', 'bundles.sha256', 'bundles.recipient'])
    .where('bundles.id', '=', id)
    .where('caseMembers.person', '=', person.id)
    .executeTakeFirst()

/** Whether there is a clip or a bundle of this id, for anyone. */
export const isMade = async (db: Db, type: 'clip' | 'bundle', id: ClipId | BundleId): Promise<boolean> => {
  const { rows } = await sql`select from ${sql.table(type === 'clip' ? 'clips' : 'bundles')} where id = ${id}`.execute(
    db,
  )
  return rows.length > 0
}

export const insertDownload = async (tx: Tx, download: Insertable<DownloadsTable>): Promise<void> => {
  await tx.insertInto('downloads').values(download).execute()
}

/** Answers how many went. */
export const deleteDownloads = async (db: Db, expiredBefore: Date): Promise<number> => {
  const { numDeletedRows } = await db.deleteFrom('downloads').where('expiresAt', '<', expiredBefore).executeTakeFirst()
  return Number(numDeletedRows)
}

/** What stands behind an address, as it is now. */
export const downloadByToken = async (db: Db, token: Buffer) =>
  await db
    .selectFrom('downloads')
    .innerJoin('people', 'people.id', 'downloads.person')
    .select(['downloads.id', 'downloads.person', 'downloads.expiresAt', 'people.suspendedAt'])
    .select(['downloads.recording', 'downloads.clip', 'downloads.bundle'])
    .where('downloads.token', '=', token)
    .executeTakeFirst()

export const recordingFile = async (db: Db, id: RecordingId) =>
  await db
    .selectFrom('recordings')
    .select(['status', 'filename', 'size', 'sha256', 'mediaType', 'objectVersion'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()

export const clipFile = async (db: Db, id: ClipId) =>
  await db
    .selectFrom('clips')
    .innerJoin('recordings', 'recordings.id', 'clips.recording')
    .select(['clips.recording', 'clips.title', 'clips.attempt', 'clips.size', 'clips.sha256', 'recordings.status'])
    .where('clips.id', '=', id)
    .executeTakeFirstOrThrow()

export const bundleFile = async (db: Db, id: BundleId) =>
  await db.selectFrom('bundles').select(['size', 'sha256']).where('id', '=', id).executeTakeFirstOrThrow()
