import type { Insertable } from 'kysely'
import type { PersonId, RecordingId, RequestId } from '../base/ids.ts'
import type { Tx } from '../engines/postgres.ts'
import type { Tables } from '../engines/tables.ts'

export const requestForUpdate = async (tx: Tx, recording: RecordingId) =>
  await tx
    .selectFrom('deletionRequests')
    .selectAll()
    .where('recording', '=', recording)
    .where('endedAt', 'is', null)
    .forUpdate()
    .executeTakeFirst()

export const insertRequest = async (tx: Tx, request: Insertable<Tables['deletionRequests']>): Promise<void> => {
  await tx.insertInto('deletionRequests').values(request).execute()
}

export const approveRequest = async (tx: Tx, id: RequestId, approvedBy: PersonId, approvedAt: Date): Promise<void> => {
  await tx.updateTable('deletionRequests').set({ approvedBy, approvedAt }).where('id', '=', id).execute()
}

export const markReadmitted = async (tx: Tx, id: RecordingId, readmittedAt: Date): Promise<void> => {
  await tx.updateTable('recordings').set({ readmittedAt }).where('id', '=', id).execute()
}
