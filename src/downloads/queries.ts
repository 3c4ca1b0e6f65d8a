import type { Insertable } from 'kysely'
import type { RecordingId } from '../base/ids.ts'
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
    .innerJoin('recordings', 'recordings.id', 'downloads.recording')
    .innerJoin('people', 'people.id', 'downloads.person')
    .select([
      'downloads.id',
      'downloads.person',
      'downloads.recording',
      'downloads.expiresAt',
      'people.suspendedAt',
      'recordings.status',
      'recordings.filename',
      'recordings.size',
      'recordings.sha256',
      'recordings.mediaType',
      'recordings.objectVersion',
    ])
    .where('downloads.token', '=', token)
    .executeTakeFirst()
