import { type Insertable, sql } from 'kysely'
import type { BundleId, CaseId, ExhibitId, JobId, PersonId, RecordingId, Sha256 } from '../base/ids.ts'
import { isGivenUp } from '../custody/queries.ts'
import type { BundleExhibitRow, BundleRow, BundleTables } from '../engines/bundle-tables.ts'
import type { CheckpointRow, LogRow } from '../engines/ledger-tables.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import { holdPerson } from '../people/queries.ts'
import { whole } from '../renditions/queries.ts'
import type { Disclosable, Wanted } from './bundle.ts'

/** The recordings behind exhibits of a case, in the one order in which they are locked. */
export const recordingsBehind = async (tx: Tx, id: CaseId, exhibits: readonly ExhibitId[]): Promise<RecordingId[]> => {
  const query = tx.selectFrom('exhibits').select('recording').distinct().where('case', '=', id)
  return (await query.where('id', 'in', exhibits).orderBy('recording').execute()).map(({ recording }) => recording)
}

/** Holds recordings as they are until the transaction ends. Call it before the case is locked. */
export const shareRecordings = async (tx: Tx, ids: readonly RecordingId[]): Promise<void> => {
  if (ids.length === 0) return
  await tx.selectFrom('recordings').select('id').where('id', 'in', ids).orderBy('id').forShare().execute()
}

/** Exhibits of a case, as what they are now. Those that are asked for by id stay so until the transaction ends. */
const disclosable = (db: Db | Tx, id: CaseId) =>
  db
    .selectFrom('exhibits')
    .innerJoin('recordings', 'recordings.id', 'exhibits.recording')
    .leftJoin('clips', 'clips.id', 'exhibits.clip')
    .select(['exhibits.id', 'exhibits.case', 'exhibits.reference', 'exhibits.sensitivity', 'exhibits.description'])
    .select(['exhibits.withdrawnAt', 'exhibits.recording', 'exhibits.clip', 'recordings.status', 'recordings.size'])
    .select(['clips.state as clipState', 'clips.starts', 'clips.ends', 'clips.size as clipSize'])
    .where('exhibits.case', '=', id)

type Row = Awaited<ReturnType<ReturnType<typeof disclosable>['execute']>>[number]

const asDisclosable = (row: Row): Disclosable => ({
  exhibit: row.id,
  case: row.case,
  reference: row.reference,
  sensitivity: row.sensitivity,
  withdrawnAt: row.withdrawnAt,
  recording: row.recording,
  status: row.status,
  clip:
    row.clipState === null
      ? null
      : {
          state: row.clipState,
          range: row.starts === null || row.ends === null ? null : { start: row.starts, end: row.ends },
        },
})

/** What was asked for, in the order of the references; whoever would withdraw or change one waits for the transaction. */
export const exhibitsToDisclose = async (tx: Tx, id: CaseId, exhibits: readonly ExhibitId[]) => {
  const query = disclosable(tx, id).where('exhibits.id', 'in', exhibits).orderBy('exhibits.addedAt')
  const rows = await query.orderBy('exhibits.id').forShare('exhibits').execute()
  const wanted: (Wanted & { row: Row })[] = []
  for (const row of rows) {
    const givenUp = await isGivenUp(tx, row.recording, row.status)
    wanted.push({ ...asDisclosable(row), givenUp, row })
  }
  return wanted
}

/** The exhibits in bundles of a case, as what they are now, each with its bundle. Nothing is locked. */
export const exhibitsInside = async (db: Db | Tx, id: CaseId, bundles: readonly BundleId[]) => {
  if (bundles.length === 0) return []
  const query = disclosable(db, id).innerJoin('bundleExhibits', 'bundleExhibits.exhibit', 'exhibits.id')
  const rows = await query
    .select('bundleExhibits.bundle')
    .where('bundleExhibits.bundle', 'in', bundles)
    .orderBy('bundleExhibits.number')
    .execute()
  return rows.map((row) => ({ ...asDisclosable(row), bundle: row.bundle, recording: row.recording }))
}

/** The sensitive exhibits that stand in the case, out of these recordings. */
export const sensitiveOf = async (
  db: Db | Tx,
  id: CaseId,
  recordings: readonly RecordingId[],
): Promise<Disclosable[]> => {
  if (recordings.length === 0) return []
  const query = disclosable(db, id).where('exhibits.recording', 'in', recordings)
  const rows = await query.where('sensitivity', '=', 'sensitive').where('withdrawnAt', 'is', null).execute()
  return rows.map(asDisclosable)
}

/** The first of these recordings whose form that a browser plays is not there and is being made, since less than a day. */
export const stillRendering = async (
  db: Db,
  ids: readonly RecordingId[],
  since: Date,
): Promise<RecordingId | undefined> => {
  if (ids.length === 0) return undefined
  const query = db.selectFrom('renditions').select('recording').where('recording', 'in', ids).where('kind', '=', 'hls')
  const open = query.where('state', 'in', ['owed', 'working']).where((eb) => eb.not(whole))
  const found = await open.where('owedAt', '>', since).executeTakeFirst()
  return found?.recording
}

/** How many bundles are owed to a person. Until the transaction ends nobody else asks in their name, nor suspends them. */
export const personToServe = async (tx: Tx, id: PersonId) => {
  const suspended = await holdPerson(tx, id)
  const { owed } = await tx
    .selectFrom('bundles')
    .innerJoin('jobs', 'jobs.id', 'bundles.job')
    .select((eb) => eb.fn.countAll<number>().as('owed'))
    .where('person', '=', id)
    .where('bundles.state', 'in', ['owed', 'working'])
    // One whose job gave up waits for an administrator, and for nobody else.
    .where('jobs.state', 'in', ['owed', 'working'])
    .executeTakeFirstOrThrow()
  return { suspended, owed }
}

/** The next schedule of a case. Its caller holds the case. */
export const nextSchedule = async (tx: Tx, id: CaseId): Promise<number> => {
  const query = tx.selectFrom('bundles').select((eb) => eb.fn.max<number | null>('schedule').as('last'))
  return ((await query.where('case', '=', id).executeTakeFirstOrThrow()).last ?? 0) + 1
}

/** The numbers of exhibits on the schedules of their case: those that have none get the next. Its caller holds the case. */
export const numbersOf = async (
  tx: Tx,
  id: CaseId,
  exhibits: readonly ExhibitId[],
  at: Date,
): Promise<Map<ExhibitId, number>> => {
  const items = await tx.selectFrom('scheduleItems').select(['number', 'exhibit']).where('case', '=', id).execute()
  const known = new Map(items.map(({ exhibit, number }) => [exhibit, number]))
  let last = items.reduce((most, { number }) => Math.max(most, number), 0)
  const fresh = exhibits
    .filter((exhibit) => !known.has(exhibit))
    .map((exhibit) => {
      last += 1
      known.set(exhibit, last)
      return { case: id, number: last, exhibit, listedAt: at }
    })
  if (fresh.length > 0) await tx.insertInto('scheduleItems').values(fresh).execute()
  return known
}

export const insertBundle = async (
  tx: Tx,
  bundle: Insertable<BundleTables['bundles']>,
  exhibits: BundleExhibitRow[],
): Promise<void> => {
  await tx.insertInto('bundles').values(bundle).execute()
  await tx.insertInto('bundleExhibits').values(exhibits).execute()
}

export const bundleById = async (db: Db | Tx, id: BundleId): Promise<BundleRow | undefined> =>
  await db.selectFrom('bundles').selectAll().where('id', '=', id).executeTakeFirst()

const shown = (tx: Tx) =>
  tx
    .selectFrom('bundles')
    .innerJoin('people', 'people.id', 'bundles.person')
    .innerJoin('jobs', 'jobs.id', 'bundles.job')
    .selectAll('bundles')
    .select(['people.name', 'jobs.state as jobState'])
    .select(
      sql<{ id: ExhibitId; reference: string; item: number }[]>`(
        select json_agg(json_build_object('id', exhibit, 'reference', reference, 'item', number) order by number)
        from bundle_exhibits where bundle = bundles.id)`.as('exhibits'),
    )
    .select(
      sql<string[]>`(
        select coalesce(json_agg(distinct bundle_exhibits.reference), '[]')
        from bundle_exhibits join recordings on recordings.id = bundle_exhibits.recording
        where bundle = bundles.id and recordings.status = 'erased')`.as('erased'),
    )

export const bundleShown = async (tx: Tx, id: BundleId) =>
  await shown(tx).where('bundles.id', '=', id).executeTakeFirstOrThrow()

export type ShownBundle = Awaited<ReturnType<typeof bundleShown>>

/** The bundles of a case, newest first, from the one after `before` on. */
export const bundlesOf = async (
  tx: Tx,
  id: CaseId,
  before: BundleId | undefined,
  limit: number,
): Promise<ShownBundle[]> => {
  const query = shown(tx).where('bundles.case', '=', id).orderBy('bundles.id', 'desc').limit(limit)
  return await (before === undefined ? query : query.where('bundles.id', '<', before)).execute()
}

/** Makes the oldest bundle of a person whose turn has not come due at once. */
export const bringForward = async (tx: Tx, person: PersonId): Promise<void> => {
  await sql`
    update jobs set due_at = now()
    where attempt = 0 and state = 'owed' and due_at > now() and id = (
      select jobs.id from bundles join jobs on jobs.id = bundles.job
      where bundles.person = ${person} and bundles.state = 'owed'
        and jobs.state = 'owed' and jobs.attempt = 0 and jobs.due_at > now()
      order by bundles.id limit 1)`.execute(tx)
  await sql`select pg_notify('jobs', '')`.execute(tx)
}

/** It is owed by another job from now on, since it waits for something. */
export const setWaiting = async (tx: Tx, id: BundleId, job: JobId, waitsFor: string): Promise<void> => {
  const set = { job, waitsFor, state: 'owed', progress: 0 } as const
  await tx.updateTable('bundles').set(set).where('id', '=', id).where('state', 'in', ['owed', 'working']).execute()
}

/** A signed head that proofs in a bundle stand on; `jwk` is of the log's key. */
export type Chosen = Pick<CheckpointRow, 'log' | 'size' | 'root' | 'note' | 'at'> & Pick<LogRow, 'origin' | 'jwk'>

/** The heads that were chosen for a bundle, that of the newest log first; none until they are. */
export const chosenCheckpoints = async (db: Db | Tx, id: BundleId): Promise<Chosen[]> =>
  await db
    .selectFrom('bundleCheckpoints')
    .innerJoin('logs', 'logs.number', 'bundleCheckpoints.log')
    .innerJoin('checkpoints', (join) =>
      join
        .onRef('checkpoints.log', '=', 'bundleCheckpoints.log')
        .onRef('checkpoints.size', '=', 'bundleCheckpoints.size'),
    )
    .select(['bundleCheckpoints.log', 'bundleCheckpoints.size', 'bundleCheckpoints.note'])
    .select(['logs.origin', 'logs.jwk', 'checkpoints.at', 'checkpoints.root'])
    .where('bundle', '=', id)
    .orderBy('bundleCheckpoints.log', 'desc')
    .execute()

/** Of the newest checkpoints with so many leaves, the one that most witnesses cosigned; of several the newest. */
export const mostCosigned = async (
  db: Db,
  log: number,
  leaves: number,
): Promise<{ size: number; cosigned: number } | undefined> => {
  const { rows } = await sql<{ size: number; cosigned: number }>`
    select size, (select count(*)::int from cosignatures as c where c.log = newest.log and c.size = newest.size) as cosigned
    from (
      select log, size from checkpoints where log = ${log} and size >= ${leaves} order by size desc limit 1000
    ) as newest
    order by cosigned desc, size desc limit 1`.execute(db)
  return rows[0]
}

/** When a log first had a checkpoint with so many leaves. */
export const coveredSince = async (db: Db, log: number, leaves: number): Promise<Date | undefined> => {
  const query = db.selectFrom('checkpoints').select('at').where('log', '=', log).where('size', '>=', leaves)
  return (await query.orderBy('size').limit(1).executeTakeFirst())?.at
}

/** From now on it is being made. `chosen` is given by the first attempt alone, and every other one uses the same. */
export const markWorking = async (
  tx: Tx,
  id: BundleId,
  chosen: readonly { log: number; size: number; note: string }[],
): Promise<void> => {
  const set = { state: 'working', progress: 0, failure: null, waitsFor: null } as const
  const rows = chosen.map(({ log, size, note }) => ({ bundle: id, log, size, note }))
  if (rows.length > 0) await tx.insertInto('bundleCheckpoints').values(rows).execute()
  await tx.updateTable('bundles').set(set).where('id', '=', id).where('state', 'in', ['owed', 'working']).execute()
}

export const noteProgress = async (db: Db, id: BundleId, progress: number): Promise<void> => {
  await db.updateTable('bundles').set({ progress }).where('id', '=', id).where('state', '=', 'working').execute()
}

/** False when it is no longer being made. */
export const markReady = async (
  tx: Tx,
  id: BundleId,
  at: Date,
  made: { size: number; sha256: Sha256 },
): Promise<boolean> => {
  const { numUpdatedRows } = await tx
    .updateTable('bundles')
    .set({ ...made, state: 'ready', progress: 1, failure: null, endedAt: at })
    .where('id', '=', id)
    .where('state', '=', 'working')
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

export const markFailed = async (tx: Tx, id: BundleId, at: Date, failure: string): Promise<void> => {
  const set = { state: 'failed', failure, waitsFor: null, endedAt: at } as const
  await tx.updateTable('bundles').set(set).where('id', '=', id).where('state', 'in', ['owed', 'working']).execute()
}
