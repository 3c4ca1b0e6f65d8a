import { type Insertable, sql } from 'kysely'
import type { JobId, RecordingId, RenditionId, Sha256 } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { RenditionFacts, RenditionObjectRow, RenditionRow, Tables } from '../engines/tables.ts'

export const renditionsOf = async (db: Db | Tx, recording: RecordingId): Promise<RenditionRow[]> =>
  await db.selectFrom('renditions').selectAll().where('recording', '=', recording).execute()

/** All of it is there: one that is owed once more stays as it is until its successor takes its place. */
export const whole = sql<boolean>`(renditions.state = 'ready' or renditions.state = 'owed' and renditions.sha256 is not null)`

/** Owes a rendition, unless there is one of its kind. */
export const insertOwed = async (tx: Tx, rendition: Insertable<Tables['renditions']>): Promise<void> => {
  await tx
    .insertInto('renditions')
    .values(rendition)
    .onConflict((conflict) => conflict.columns(['recording', 'kind']).doNothing())
    .execute()
}

const owedAnew = { state: 'owed', progress: 0, failure: null, facts: sql<string>`facts - 'givenUp'` } as const

/** What was to be made anew when a job gave up is owed once more. */
export const oweGivenUp = async (tx: Tx, recording: RecordingId): Promise<void> => {
  const given = tx.updateTable('renditions').where('recording', '=', recording).where('state', '=', 'ready')
  await given.set(owedAnew).where(sql<boolean>`facts ? 'givenUp'`).execute()
}

/**
 * Every rendition of the recording is to be made anew, but for those that are owed or being made already; what there is
 * stays until then. Answers how many there are. Until the transaction ends nobody else asks for the same.
 */
export const oweAgain = async (tx: Tx, recording: RecordingId, at: Date): Promise<number> => {
  const rows = await tx
    .selectFrom('renditions')
    .select('id')
    .where('recording', '=', recording)
    .orderBy('id')
    .forUpdate()
    .execute()
  await tx
    .updateTable('renditions')
    .set({ ...owedAnew, owedAt: at })
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

/** Throws once the recording is hidden, and keeps it from being hidden until the transaction ends. */
const refuseHidden = async (tx: Tx, recording: RecordingId): Promise<void> => {
  const { status } = await tx
    .selectFrom('recordings')
    .select('status')
    .where('id', '=', recording)
    .forShare()
    .executeTakeFirstOrThrow()
  if (status !== 'active') throw new Error(`the recording is ${status}: nothing more is made of it`)
}

/**
 * Takes the place of the one of its kind, and its objects' rows go: whoever still works at that one can add none, and what
 * it stored is left over. Throws once the recording is hidden: nothing more is made of it.
 */
export const replace = async (tx: Tx, rendition: Insertable<Tables['renditions']>): Promise<void> => {
  await refuseHidden(tx, rendition.recording)
  await exchange(tx, rendition)
}

/** Answers the id of the one that was there. */
const exchange = async (tx: Tx, rendition: Insertable<Tables['renditions']>): Promise<RenditionId | undefined> => {
  const { recording, kind } = rendition
  const old = await tx
    .deleteFrom('renditions')
    .where('recording', '=', recording)
    .where('kind', '=', kind)
    .returning('id')
    .executeTakeFirst()
  if (old !== undefined) await noteLeftover(tx, recording, old.id)
  await tx.insertInto('renditions').values(rendition).execute()
  return old?.id
}

/**
 * Notes that one begins to be made beside the one that is watched. Until it takes its place, what it stored is left over.
 * Throws once the recording is hidden.
 */
export const beginBeside = async (tx: Tx, recording: RecordingId, id: RenditionId): Promise<void> => {
  await refuseHidden(tx, recording)
  await noteLeftover(tx, recording, id)
}

/** Throws once nothing may be stored for one that is made beside another: its attempt is over, or the recording hidden. */
export const refuseGivenUp = async (db: Db, recording: RecordingId, id: RenditionId): Promise<void> => {
  const wanted = await db
    .selectFrom('renditionLeftovers')
    .innerJoin('recordings', 'recordings.id', 'renditionLeftovers.recording')
    .select('rendition')
    .where('rendition', '=', id)
    .where('recordings.id', '=', recording)
    .where('recordings.status', '=', 'active')
    .executeTakeFirst()
  if (wanted === undefined) throw new Error('nothing more is made of this rendition')
}

/**
 * The one made beside `old` takes its place, with all its objects, and what `old` had is left over. Throws once the recording
 * is hidden.
 */
export const takePlace = async (
  tx: Tx,
  old: RenditionId,
  rendition: Insertable<Tables['renditions']> & { id: RenditionId },
  objects: RenditionObjectRow[],
): Promise<void> => {
  await refuseHidden(tx, rendition.recording)
  if ((await exchange(tx, rendition)) !== old) throw new Error('what it was to take the place of is gone')
  await tx.deleteFrom('renditionLeftovers').where('rendition', '=', rendition.id).execute()
  for (let at = 0; at < objects.length; at += rowsAtOnce) await insertObjects(tx, objects.slice(at, at + rowsAtOnce))
}

/** Of one statement: a protocol message holds so many values and no more. */
const rowsAtOnce = 1000

const noteLeftover = async (tx: Tx, recording: RecordingId, rendition: RenditionId): Promise<void> => {
  await tx.insertInto('renditionLeftovers').values({ recording, rendition }).execute()
}

/** What earlier attempts left of a recording's renditions. */
export const leftoversOf = async (tx: Tx, recording: RecordingId): Promise<RenditionId[]> => {
  const rows = await tx
    .selectFrom('renditionLeftovers')
    .select('rendition')
    .where('recording', '=', recording)
    .execute()
  return rows.map(({ rendition }) => rendition)
}

/** Leftovers of recordings whose renditions no attempt makes: one that begins later makes them under other ids. */
export const leftoversNobodyMakes = async (db: Db, limit: number) =>
  await db
    .selectFrom('renditionLeftovers')
    .selectAll()
    .where(
      sql<boolean>`not exists (
        select from rendition_turns join jobs on jobs.id = job and jobs.attempt = rendition_turns.attempt
        where rendition_turns.recording = rendition_leftovers.recording and state = 'working')`,
    )
    .limit(limit)
    .execute()

export const forgetLeftover = async (db: Db, rendition: RenditionId): Promise<void> => {
  await db.deleteFrom('renditionLeftovers').where('rendition', '=', rendition).execute()
}

export const insertObjects = async (db: Db | Tx, objects: RenditionObjectRow[]): Promise<void> => {
  await db.insertInto('renditionObjects').values(objects).execute()
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
    .where(whole)
    .executeTakeFirstOrThrow()
  return seconds === null ? null : Number(seconds)
}

export const noteProgress = async (db: Db, rendition: RenditionId, progress: number): Promise<void> => {
  const open = db.updateTable('renditions').where('id', '=', rendition).where('state', 'in', ['owed', 'working'])
  await open.set({ progress }).execute()
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

/** The one that is there stays as it is, and says why no other took its place. */
export const keepOld = async (tx: Tx, id: RenditionId, failure: string): Promise<void> => {
  await tx
    .updateTable('renditions')
    .set({ state: 'ready', progress: 1, failure })
    .where('id', '=', id)
    .where('sha256', 'is not', null)
    .execute()
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

/** It did not come out of the original's own packets, and is owed still: it will be encoded anew. */
export const oweEncoded = async (tx: Tx, id: RenditionId): Promise<void> => {
  const set = { state: 'owed', progress: 0, failure: null, facts: JSON.stringify({ method: 'remux' }) } as const
  await tx.updateTable('renditions').set(set).where('id', '=', id).execute()
}

/** Ends what is owed or being made of a recording: what is whole stays, and says why; the rest failed. */
export const markGivenUp = async (
  tx: Tx,
  recording: RecordingId,
  at: Date,
  why: { anew: string; first: string },
): Promise<void> => {
  const open = tx.updateTable('renditions').where('recording', '=', recording).where('state', 'in', ['owed', 'working'])
  const facts = sql<string>`facts || '{"givenUp": true}'`
  await open.set({ state: 'ready', progress: 1, failure: why.anew, facts }).where('sha256', 'is not', null).execute()
  await open
    .set({ state: 'failed', failure: why.first, endedAt: at, facts: '{}' })
    .where('sha256', 'is', null)
    .execute()
}
