import { type Insertable, sql } from 'kysely'
import type { JobId } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { Offer } from '../engines/queue.ts'
import type { JobRow, JobState, JobsTable } from '../engines/tables.ts'
import { laneOf } from './catalogue.ts'

// Leases, due times and offers are all measured by the database's clock, the one that every worker shares.

type NewJob = Omit<Insertable<JobsTable>, 'state' | 'dueAt'>

export const insertJob = async (tx: Tx, job: NewJob, dueAt: Date | undefined): Promise<void> => {
  await tx
    .insertInto('jobs')
    .values({ ...job, state: 'owed', dueAt: dueAt ?? sql<Date>`now()` })
    .execute()
}

/** Makes work that is owed, and that nobody has begun, due at once. False where there is none like it. */
export const hasten = async (tx: Tx, name: string, payload: string): Promise<boolean> => {
  const { rows } = await sql`
    update jobs set due_at = least(due_at, now())
    where state = 'owed' and name = ${name} and payload = ${payload}::jsonb
    returning id`.execute(tx)
  if (rows.length > 0) await tellRelays(tx)
  return rows.length > 0
}

export type TakenJob = Pick<JobRow, 'id' | 'name' | 'payload' | 'cause' | 'attempt' | 'failures'> & {
  /** Its last attempt fell silent while at work, which counts as a failure. */
  wasSilent: boolean
}

/** Takes a job that is owed and due, or one at work whose heartbeat stopped. Of several callers at once one gets it. */
export const takeJob = async (
  db: Db,
  id: JobId,
  names: readonly string[],
  leaseSeconds: number,
): Promise<TakenJob | undefined> => {
  const { rows } = await sql<TakenJob>`
    update jobs set
      state = 'working', attempt = attempt + 1, failures = failures + (state = 'working')::int,
      beat_at = clock_timestamp(), offered_at = null, progress = 0
    where id = ${id} and name = any(${names})
      and ((state = 'owed' and due_at <= clock_timestamp())
        or (state = 'working' and beat_at < clock_timestamp() - make_interval(secs => ${leaseSeconds})))
    returning new.id, new.name, new.payload, new.cause, new.attempt, new.failures, old.state = 'working' as was_silent`.execute(
    db,
  )
  return rows[0]
}

/** Says that this attempt is alive. False when it holds the job no more. */
export const beat = async (db: Db, id: JobId, attempt: number, progress: number): Promise<boolean> => {
  const held = await db
    .updateTable('jobs')
    .set({ beatAt: sql<Date>`clock_timestamp()`, progress })
    .where('id', '=', id)
    .where('attempt', '=', attempt)
    .where('state', '=', 'working')
    .returning('id')
    .executeTakeFirst()
  return held !== undefined
}

/** The same in a transaction, which keeps every other attempt out until it ends. */
export const holdJob = async (tx: Tx, id: JobId, attempt: number): Promise<boolean> => {
  const held = await tx
    .selectFrom('jobs')
    .select('id')
    .where('id', '=', id)
    .where('attempt', '=', attempt)
    .where('state', '=', 'working')
    .forUpdate()
    .executeTakeFirst()
  if (held === undefined) return false
  await tx.updateTable('jobs').set({ beatAt: sql<Date>`clock_timestamp()` }).where('id', '=', id).execute()
  return true
}

export type LastWord = { state: 'done' | 'skipped' | 'failed'; said: string | null; progress: number; failures: number }

/** Ends the job, if this attempt still holds it. */
export const endJob = async (db: Db, id: JobId, attempt: number, last: LastWord, endedAt: Date): Promise<boolean> => {
  const held = await db
    .updateTable('jobs')
    .set({ ...last, endedAt })
    .where('id', '=', id)
    .where('attempt', '=', attempt)
    .where('state', '=', 'working')
    .returning('id')
    .executeTakeFirst()
  return held !== undefined
}

export type OwedAgain = { inSeconds: number; failures: number; said: string | null; progress: number }

/** Owes the job once more, if this attempt still holds it. */
export const oweAgain = async (db: Db, id: JobId, attempt: number, again: OwedAgain): Promise<boolean> => {
  const { inSeconds, ...facts } = again
  const held = await db
    .updateTable('jobs')
    .set({ ...facts, state: 'owed', offeredAt: null, dueAt: sql<Date>`now() + make_interval(secs => ${inSeconds})` })
    .where('id', '=', id)
    .where('attempt', '=', attempt)
    .where('state', '=', 'working')
    .returning('id')
    .executeTakeFirst()
  return held !== undefined
}

/** Wakes the relays, as the trigger on an insert does. */
export const tellRelays = async (db: Db): Promise<void> => {
  await sql`select pg_notify('jobs', '')`.execute(db)
}

/**
 * Marks as offered, and answers, at most `limit` jobs that are due and were not offered yet, or so long ago that the queue
 * must have forgotten them; and the same of jobs at work whose heartbeat stopped. No two callers get the same one.
 */
export const claimOffers = async (
  db: Db,
  { leaseSeconds, againSeconds, limit }: { leaseSeconds: number; againSeconds: number; limit: number },
): Promise<Offer[]> => {
  const { rows } = await sql<{ id: JobId; attempt: number; name: string }>`
    update jobs set offered_at = clock_timestamp()
    where id in (
      select id from jobs
      where ((state = 'owed' and due_at <= clock_timestamp())
          or (state = 'working' and beat_at < clock_timestamp() - make_interval(secs => ${leaseSeconds})))
        and (offered_at is null or offered_at < clock_timestamp() - make_interval(secs => ${againSeconds}))
      order by due_at limit ${limit}
      for update skip locked)
    returning id, attempt, name`.execute(db)
  return rows.map(({ name, ...offer }) => ({ ...offer, lane: laneOf(name) }))
}

/** The queue did not take these offers. */
export const withdrawOffers = async (db: Db, offers: readonly Offer[]): Promise<void> => {
  await db
    .updateTable('jobs')
    .set({ offeredAt: null })
    .where(
      'id',
      'in',
      offers.map((offer) => offer.id),
    )
    .where('state', '=', 'owed')
    .execute()
}

/** The queue may have lost every offer that nobody took yet. One that it still holds is not delivered twice. */
export const forgetOffers = async (db: Db): Promise<void> => {
  await db
    .updateTable('jobs')
    .set({ offeredAt: null })
    .where('state', 'in', ['owed', 'working'])
    .where('offeredAt', 'is not', null)
    .execute()
}

/** Newest first, from the one after `before` on. */
export const newestJobs = async (
  db: Db,
  { state, before, limit }: { state: JobState | undefined; before: JobId | undefined; limit: number },
): Promise<JobRow[]> => {
  let query = db.selectFrom('jobs').selectAll().orderBy('id', 'desc').limit(limit)
  if (state !== undefined) query = query.where('state', '=', state)
  if (before !== undefined) query = query.where('id', '<', before)
  return await query.execute()
}

export const jobForUpdate = async (tx: Tx, id: JobId): Promise<JobRow | undefined> =>
  await tx.selectFrom('jobs').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()

/** Owes a failed job anew, with every attempt before it. Its caller holds the row. */
export const reviveJob = async (tx: Tx, id: JobId): Promise<JobRow> =>
  await tx
    .updateTable('jobs')
    .set({ state: 'owed', failures: 0, dueAt: sql<Date>`now()`, offeredAt: null, endedAt: null, progress: 0 })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirstOrThrow()
