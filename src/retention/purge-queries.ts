import { type Insertable, sql } from 'kysely'
import type { BundleId, EntryId, JobId, PersonId, PurgeId, RecordingId, UploadId } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { PurgeItemRow, PurgeRow, SealedPart } from '../engines/retention-tables.ts'
import type { Tables } from '../engines/tables.ts'

/** Makes the purge, unless one is under way: then it answers undefined. */
export const insertPurge = async (tx: Tx, purge: Insertable<Tables['purges']>): Promise<PurgeId | undefined> => {
  const row = await tx
    .insertInto('purges')
    .values(purge)
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst()
  return row?.id
}

export const purgeUnderWay = async (db: Db | Tx): Promise<PurgeId | undefined> =>
  (await db.selectFrom('purges').select('id').where('state', 'in', ['running', 'braked']).executeTakeFirst())?.id

const shown = (db: Db | Tx) =>
  db
    .selectFrom('purges')
    .leftJoin('jobs', 'jobs.id', 'purges.job')
    .selectAll('purges')
    .select(['jobs.state as jobState', 'jobs.said as jobSaid'])

/** A purge, and how its job stands. */
export const purgeShown = async (db: Db | Tx, id: PurgeId) =>
  await shown(db).where('purges.id', '=', id).executeTakeFirst()

export type ShownPurge = NonNullable<Awaited<ReturnType<typeof purgeShown>>>

/** Newest first, from the one after `before` on. */
export const purgesPage = async (db: Db | Tx, before: PurgeId | undefined, limit: number): Promise<ShownPurge[]> => {
  const query = shown(db).orderBy('purges.id', 'desc').limit(limit)
  return await (before === undefined ? query : query.where('purges.id', '<', before)).execute()
}

/** The purge that is under way no more, though it says so: its job gave up. */
export const purgeGivenUp = async (db: Db | Tx): Promise<ShownPurge | undefined> =>
  await shown(db).where('purges.state', '=', 'running').where('jobs.state', '=', 'failed').executeTakeFirst()

export const purgeById = async (db: Db | Tx, id: PurgeId): Promise<PurgeRow | undefined> =>
  await db.selectFrom('purges').selectAll().where('id', '=', id).executeTakeFirst()

export const purgeForUpdate = async (tx: Tx, id: PurgeId): Promise<PurgeRow | undefined> =>
  await tx.selectFrom('purges').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()

export const startedSince = async (db: Db, at: Date): Promise<boolean> => {
  const query = db.selectFrom('purges').select('id').where('startedAt', '>=', at).limit(1)
  return (await query.executeTakeFirst()) !== undefined
}

/** Whether there was anything at that time that a purge could have looked for. */
export const wasAnythingToDo = async (db: Db, at: Date): Promise<boolean> => {
  const { rows } = await sql<{ any: boolean }>`
    select exists (select from policies where state = 'approved' and approved_at < ${at})
      or exists (select from deletion_requests where approved_at < ${at} and ended_at is null)
      or exists (select from purge_items where state in ('hiding', 'grace', 'erasing') and hidden_at < ${at}) as any`.execute(
    db,
  )
  return rows[0]?.any === true
}

type Changes = Partial<
  Pick<PurgeRow, 'state' | 'allowed' | 'batch' | 'held' | 'failed' | 'said' | 'releasedAt' | 'endedAt'> & {
    releasedBy: PersonId
    job: JobId
  }
>
export const changePurge = async (tx: Tx, id: PurgeId, changes: Changes): Promise<void> => {
  await tx.updateTable('purges').set(changes).where('id', '=', id).execute()
}

/** Counts one that is hidden, under the purge's row; false where the purge may hide no more, and nothing is to be hidden. */
export const countHidden = async (tx: Tx, id: PurgeId): Promise<boolean> => {
  const { numUpdatedRows } = await tx
    .updateTable('purges')
    .set((eb) => ({ hidden: eb('hidden', '+', 1) }))
    .where('id', '=', id)
    .where('state', '=', 'running')
    .whereRef('hidden', '<', 'allowed')
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Holds a purge as it is until the transaction ends; false where it was stopped, and nothing more is to be erased by it. */
export const mayErase = async (tx: Tx, id: PurgeId): Promise<boolean> => {
  const query = tx.selectFrom('purges').select('id').where('id', '=', id).where('state', 'in', ['running', 'done'])
  return (await query.forShare().executeTakeFirst()) !== undefined
}

export const countErased = async (tx: Tx, id: PurgeId): Promise<void> => {
  await tx
    .updateTable('purges')
    .set((eb) => ({ erased: eb('erased', '+', 1) }))
    .where('id', '=', id)
    .execute()
}

export const insertItem = async (tx: Tx, item: Insertable<Tables['purgeItems']>): Promise<void> => {
  await tx.insertInto('purgeItems').values(item).execute()
}

export const setStatus = async (tx: Tx, id: RecordingId, status: 'verified' | 'active' | 'grace'): Promise<void> => {
  await tx.updateTable('recordings').set({ status }).where('id', '=', id).execute()
}

/** Items that the store does not protect yet, though they are hidden. */
export const unprotectedItems = async (
  db: Db,
  after: RecordingId | undefined,
  limit: number,
): Promise<PurgeItemRow[]> => {
  const query = db.selectFrom('purgeItems').selectAll().where('state', '=', 'hiding').orderBy('recording').limit(limit)
  return await (after === undefined ? query : query.where('recording', '>', after)).execute()
}

/**
 * Items whose grace is over, those whose erasure was cut off, and those whose case was opened again or whose request was
 * withdrawn, whether the store protects them or not; longest hidden first.
 */
export const itemsToErase = async (
  db: Db,
  by: Date,
  after: { at: string; recording: RecordingId } | undefined,
  limit: number,
) => {
  let query = db
    .selectFrom('purgeItems')
    .select(['purge', 'recording'])
    .select(sql<string>`grace_until::text`.as('at'))
    .where((eb) =>
      eb.or([
        eb('state', '=', 'erasing'),
        eb.and([eb('state', 'in', ['hiding', 'grace']), eb.or([eb('graceUntil', '<=', by), inOpenCase, requestOver])]),
      ]),
    )
    .orderBy('graceUntil')
    .orderBy('recording')
    .limit(limit)
  if (after !== undefined)
    query = query.where(sql<boolean>`(grace_until, recording) > (${after.at}::timestamptz, ${after.recording}::uuid)`)
  return await query.execute()
}

export const itemForUpdate = async (tx: Tx, recording: RecordingId): Promise<PurgeItemRow | undefined> =>
  await tx
    .selectFrom('purgeItems')
    .selectAll()
    .where('recording', '=', recording)
    .where('state', 'in', ['hiding', 'grace', 'erasing'])
    .forUpdate()
    .executeTakeFirst()

const inOpenCase = sql<boolean>`exists (
  select from exhibits join cases on cases.id = exhibits."case"
  where exhibits.recording = purge_items.recording and exhibits.withdrawn_at is null and cases.status = 'open')`

const requestOver = sql<boolean>`exists (
  select from deletion_requests where id = purge_items.request and ended_at is not null)`

type Item = Pick<PurgeItemRow, 'purge' | 'recording'>
type ItemChanges = Partial<Omit<PurgeItemRow, 'purge' | 'recording' | 'previous' | 'hiddenAt' | 'graceUntil'>>

export const changeItem = async (db: Db | Tx, { purge, recording }: Item, changes: ItemChanges): Promise<void> => {
  await db
    .updateTable('purgeItems')
    .set(changes)
    .where('purge', '=', purge)
    .where('recording', '=', recording)
    .execute()
}

/** The store protects it now, if it is still hidden. */
export const markProtected = async (db: Db, { purge, recording }: Item, lockedUntil: Date | null): Promise<void> => {
  await db
    .updateTable('purgeItems')
    .set({ state: 'grace', lockedUntil, said: null })
    .where('purge', '=', purge)
    .where('recording', '=', recording)
    .where('state', '=', 'hiding')
    .execute()
}

/** Nothing of it is made any more, and whoever still makes some cannot note it. */
export const dropRenditions = async (tx: Tx, recording: RecordingId): Promise<void> => {
  await tx.deleteFrom('renditions').where('recording', '=', recording).execute()
}

/** From what a clip was cut, and which range was asked for: all that is left of how it came about. */
const clipOrigin = ['v', 'source', 'asked', 'method']

/**
 * What is left of an erased recording: ids, digest, times, and what another file of the camera is held against. What was
 * read out of the footage, and what the dock and whoever had clips cut said about it, goes.
 */
export const leaveTombstone = async (tx: Tx, id: RecordingId, upload: UploadId): Promise<void> => {
  await tx
    .updateTable('recordings')
    .set({
      status: 'erased',
      incident: null,
      sequence: null,
      duration: null,
      mediaType: null,
      tracks: '[]',
      facts: '{}',
    })
    .where('id', '=', id)
    .execute()
  await tx.updateTable('uploads').set({ metadata: '{}' }).where('id', '=', upload).execute()
  await sql`
    update clips set title = null, provenance = case when provenance is not null then (
      select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(provenance) where key = any(${clipOrigin})) end
    where recording = ${id}`.execute(tx)
}

export const insertErasure = async (tx: Tx, erasure: Insertable<Tables['erasures']>): Promise<void> => {
  await tx.insertInto('erasures').values(erasure).execute()
}

export const erasureOf = async (db: Db | Tx, recording: RecordingId) =>
  await db.selectFrom('erasures').selectAll().where('recording', '=', recording).executeTakeFirst()

/** What tells of retention itself: the authority of an erasure, which outlives it. */
const authority = [
  'recording.held',
  'recording.hold-released',
  'recording.hidden',
  'recording.restored',
  'recording.erased',
  'recording.erasure-begun',
  'recording.erasure-failed',
  'recording.deletion-asked',
  'recording.deletion-approved',
  'recording.deletion-withdrawn',
]

/** The parts, of these kinds, that entries about the recording, its upload and its clips still have. */
export const sealedAbout = async (
  tx: Tx,
  recording: RecordingId,
  upload: UploadId,
  parts: readonly SealedPart[],
): Promise<{ id: EntryId; part: SealedPart }[]> => {
  if (parts.length === 0) return []
  const { rows } = await sql<{ id: EntryId; part: SealedPart }>`
    select b.id, part from entry_bodies b, unnest(${[...parts]}::text[]) as part
    where b.parts ? part and b.action <> all(${authority})
      and b.subject_id in (
        select ${recording}::text union all select ${upload}::text
        union all select id::text from clips where recording = ${recording})
    order by b.id, part`.execute(tx)
  return rows
}

export const databaseNow = async (db: Db): Promise<Date> => {
  const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db)
  if (rows[0] === undefined) throw new Error('the database does not know the time')
  return rows[0].now
}

/** Bundles that were made with a recording's footage in them, or were to be. */
export const bundlesWith = async (db: Db, recording: RecordingId): Promise<BundleId[]> => {
  const rows = await db
    .selectFrom('bundleExhibits')
    .select('bundle')
    .distinct()
    .where('recording', '=', recording)
    .execute()
  return rows.map(({ bundle }) => bundle)
}
