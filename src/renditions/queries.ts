import { type Insertable, sql } from 'kysely'
import type { JobId, RecordingId, RenditionId, Sha256 } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { RenditionFacts, RenditionObjectRow, RenditionRow, Tables } from '../engines/tables.ts'

export const renditionsOf = async (db: Db | Tx, recording: RecordingId): Promise<RenditionRow[]> =>
  await db.selectFrom('renditions').selectAll().where('recording', '=', recording).execute()

/** Owes a rendition, unless there is one of its kind. */
export const insertOwed = async (tx: Tx, rendition: Insertable<Tables['renditions']>): Promise<void> => {
  await tx
    .insertInto('renditions')
    .values(rendition)
    .onConflict((conflict) => conflict.columns(['recording', 'kind']).doNothing())
    .execute()
}

/**
 * Every rendition of the recording is to be made anew, but for those that are owed or being made already; what there is
 * stays until then. Answers how many there are. Until the transaction ends nobody else asks for the same.
 */
export const oweAgain = async (tx: Tx, recording: RecordingId): Promise<number> => {
  const rows = await tx
    .selectFrom('renditions')
    .select('id')
    .where('recording', '=', recording)
    .orderBy('id')
    .forUpdate()
    .execute()
  await tx
    .updateTable('renditions')
    .set({ state: 'owed', progress: 0, failure: null })
    .where('recording', '=', recording)
    .where('state', 'in', ['ready', 'failed'])
    .execute()
  return rows.length
}

/**
 * Gives an attempt at a job, which holds that job, the turn to make a recording's renditions. False while another attempt
 * at work has it.
 */
export const takeTurn = async (tx: Tx, recording: RecordingId, job: JobId, attempt: number): Promise<boolean> => {
  const { rows } = await sql`
    insert into rendition_turns (recording, job, attempt) values (${recording}, ${job}, ${attempt})
    on conflict (recording) do update set job = excluded.job, attempt = excluded.attempt
      where rendition_turns.job = excluded.job or not exists (
        select from jobs
        where id = rendition_turns.job and jobs.attempt = rendition_turns.attempt and state = 'working')
    returning recording`.execute(tx)
  return rows.length > 0
}

/** Until the transaction ends, nobody learns whose turn it is. */
export const lockTurn = async (tx: Tx, recording: RecordingId): Promise<void> => {
  await tx.selectFrom('renditionTurns').select('job').where('recording', '=', recording).forUpdate().execute()
}

export const endTurn = async (tx: Tx, recording: RecordingId, job: JobId): Promise<void> => {
  await tx.deleteFrom('renditionTurns').where('recording', '=', recording).where('job', '=', job).execute()
}

/**
 * Takes the place of the one of its kind, and its objects' rows go: whoever still works at that one can add none. Throws
 * once the recording is hidden: nothing more is made of it.
 */
export const replace = async (tx: Tx, rendition: Insertable<Tables['renditions']>): Promise<void> => {
  const { recording, kind } = rendition
  const { status } = await tx
    .selectFrom('recordings')
    .select('status')
    .where('id', '=', recording)
    .forShare()
    .executeTakeFirstOrThrow()
  if (status !== 'active') throw new Error(`the recording is ${status}: nothing more is made of it`)
  await tx.deleteFrom('renditions').where('recording', '=', recording).where('kind', '=', kind).execute()
  await tx.insertInto('renditions').values(rendition).execute()
}

export const insertObjects = async (db: Db, objects: RenditionObjectRow[]): Promise<void> => {
  await db.insertInto('renditionObjects').values(objects).execute()
}

export const shortenObject = async (db: Db, rendition: RenditionId, number: number, by: number): Promise<void> => {
  await db
    .updateTable('renditionObjects')
    .set((eb) => ({ duration: eb('duration', '-', by) }))
    .where('rendition', '=', rendition)
    .where('number', '=', number)
    .where('duration', '>', by)
    .execute()
}

export const objectsOf = async (db: Db | Tx, rendition: RenditionId): Promise<RenditionObjectRow[]> =>
  await db.selectFrom('renditionObjects').selectAll().where('rendition', '=', rendition).orderBy('number').execute()

/** How long the footage really plays, as far as that was found out by making it playable. */
export const secondsShown = async (db: Db | Tx, recording: RecordingId): Promise<number | null> => {
  const { seconds } = await db
    .selectFrom('renditions')
    .innerJoin('renditionObjects', 'renditionObjects.rendition', 'renditions.id')
    .select((eb) => eb.fn.sum<number | null>('renditionObjects.duration').as('seconds'))
    .where('recording', '=', recording)
    .where('kind', '=', 'hls')
    .where('state', '=', 'ready')
    .executeTakeFirstOrThrow()
  return seconds === null ? null : Number(seconds)
}

export const noteProgress = async (db: Db, rendition: RenditionId, progress: number): Promise<void> => {
  await db.updateTable('renditions').set({ progress }).where('id', '=', rendition).execute()
}

export type Finished = { size: number; sha256: Sha256; tool: string; arguments: string[][]; facts: RenditionFacts }

/** False when another took its place meanwhile. */
export const markReady = async (tx: Tx, id: RenditionId, at: Date, finished: Finished): Promise<boolean> => {
  const { size, sha256, tool, facts } = finished
  const { numUpdatedRows } = await tx
    .updateTable('renditions')
    .set({ state: 'ready', progress: 1, failure: null, size, sha256, tool, endedAt: at })
    .set({ arguments: JSON.stringify(finished.arguments), facts: JSON.stringify(facts) })
    .where('id', '=', id)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

export const markFailed = async (
  tx: Tx,
  id: RenditionId,
  at: Date,
  failure: string,
  facts: RenditionFacts,
): Promise<void> => {
  const set = { state: 'failed', failure, endedAt: at, facts: JSON.stringify(facts) } as const
  await tx.updateTable('renditions').set(set).where('id', '=', id).execute()
}
