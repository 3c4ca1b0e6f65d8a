import { type Insertable, sql } from 'kysely'
import type { HoldId, PersonId, RecordingId } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { Tables } from '../engines/tables.ts'

export const insertHold = async (tx: Tx, hold: Insertable<Tables['holds']>): Promise<void> => {
  await tx.insertInto('holds').values(hold).execute()
}

export const holdById = async (db: Db | Tx, id: HoldId) =>
  await db.selectFrom('holds').selectAll().where('id', '=', id).executeTakeFirst()

export const releaseRow = async (tx: Tx, id: HoldId, releasedBy: PersonId, releasedAt: Date): Promise<boolean> => {
  const { numUpdatedRows } = await tx
    .updateTable('holds')
    .set({ releasedBy, releasedAt })
    .where('id', '=', id)
    .where('releasedAt', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Newest first. The reason is read from the entry: erased there, it is nowhere. */
export const holdsPage = async (db: Db | Tx, recording: RecordingId, before: HoldId | undefined, limit: number) => {
  const query = db
    .selectFrom('holds')
    .leftJoin('entryBodies', 'entryBodies.id', 'holds.entry')
    .selectAll('holds')
    .select(sql<string | null>`entry_bodies.parts -> 'purpose' ->> 'value'`.as('reason'))
    .where('recording', '=', recording)
    .orderBy('holds.id', 'desc')
    .limit(limit)
  return await (before === undefined ? query : query.where('holds.id', '<', before)).execute()
}

export type HoldShown = Awaited<ReturnType<typeof holdsPage>>[number]

/** Whether a hold on the recording is in force. */
export const isHeld = async (db: Db | Tx, recording: RecordingId): Promise<boolean> => {
  const query = db.selectFrom('holds').select('id').where('recording', '=', recording).where('releasedAt', 'is', null)
  return (await query.executeTakeFirst()) !== undefined
}

/** What became of the recording since it was hidden, while that is not over. */
export const openItem = async (db: Db | Tx, recording: RecordingId) =>
  await db
    .selectFrom('purgeItems')
    .selectAll()
    .where('recording', '=', recording)
    .where('state', 'in', ['hiding', 'grace', 'erasing'])
    .executeTakeFirst()
