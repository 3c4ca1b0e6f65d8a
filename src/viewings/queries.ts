import { type Insertable, sql } from 'kysely'
import type { PersonId, RecordingId, RenditionId, ViewingId } from '../base/ids.ts'
import { officerThen } from '../docks/assignments.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import { noRoom } from '../engines/scratch.ts'
import type { RenditionKind, ViewingsTable, WatchedRange } from '../engines/tables.ts'
import type { Person } from '../people/person.ts'
import { holdPerson } from '../people/queries.ts'
import { visibleTo } from '../people/visibility.ts'
import { thumbnailName } from '../renditions/commands.ts'
import { whole } from '../renditions/queries.ts'
import { seenStatuses } from './viewing.ts'

/** What a person who may know of the recording could watch of it. */
export const recordingToView = async (tx: Tx, person: Person, id: RecordingId) =>
  await tx
    .selectFrom('recordings')
    .select(['status', 'flags'])
    .where('id', '=', id)
    .where('duplicateOf', 'is', null)
    .where(visibleTo(person))
    .executeTakeFirst()

/** Whether a job that is to make the recording playable waits for room in the scratch folder. */
export const waitsForRoom = async (tx: Tx, id: RecordingId): Promise<boolean> => {
  const jobs = tx.selectFrom('jobs').select('id').where('state', '=', 'owed').where('said', 'like', `${noRoom}%`)
  return (await jobs.where(sql`payload ->> 'recordingId'`, '=', id).executeTakeFirst()) !== undefined
}

/** Of these recordings, those that the person may see, and where their small pictures are. */
export const thumbnailsOf = async (db: Db, person: Person, ids: RecordingId[]) =>
  await db
    .selectFrom('recordings')
    .innerJoin('renditions', 'renditions.recording', 'recordings.id')
    .innerJoin('renditionObjects', 'renditionObjects.rendition', 'renditions.id')
    .select(['recordings.id as recording', 'renditions.id as rendition', 'renditions.state', 'renditions.sha256'])
    .where('recordings.id', 'in', ids)
    .where('recordings.status', 'in', seenStatuses)
    .where('duplicateOf', 'is', null)
    .where('kind', '=', 'poster')
    .where('renditionObjects.name', '=', thumbnailName)
    .where(visibleTo(person))
    .orderBy('recordings.id')
    .execute()

/** Renditions that move, in the order they are preferred. */
export const movingRenditions = async (db: Db | Tx, recording: RecordingId) =>
  await db
    .selectFrom('renditions')
    .select(['id', 'kind', 'state', 'progress', 'failure', 'facts', 'sha256'])
    .select(
      sql<boolean>`exists (select from rendition_objects where rendition = renditions.id and number = 0)
        and exists (select from rendition_objects where rendition = renditions.id and number > 0)`.as('begun'),
    )
    .where('recording', '=', recording)
    .where('kind', 'in', ['hls', 'proxy'])
    .orderBy('kind')
    .execute()

/** Until the transaction ends nobody else opens a viewing in this person's name, nor suspends them. */
export const personToWatch = async (tx: Tx, id: PersonId, now: Date) => {
  const suspended = await holdPerson(tx, id)
  const { open } = await tx
    .selectFrom('viewings')
    .select((eb) => eb.fn.countAll<number>().as('open'))
    .where('person', '=', id)
    .where('endedAt', 'is', null)
    .where('expiresAt', '>', now)
    .executeTakeFirstOrThrow()
  return { suspended, open }
}

export const insertViewing = async (tx: Tx, viewing: Insertable<ViewingsTable>): Promise<void> => {
  await tx.insertInto('viewings').values(viewing).execute()
}

const viewings = (db: Db) =>
  db
    .selectFrom('viewings')
    .innerJoin('recordings', 'recordings.id', 'viewings.recording')
    .innerJoin('people', 'people.id', 'viewings.person')
    .select([
      'viewings.id',
      'viewings.person',
      'viewings.recording',
      'viewings.openedAt',
      'viewings.expiresAt',
      'viewings.endedAt',
      'viewings.watched',
      'people.suspendedAt',
      'people.resumedAt',
      'recordings.status',
    ])

/** What stands behind a token, as it is now. */
export const viewingByToken = async (db: Db, token: Buffer) =>
  await viewings(db).where('viewings.token', '=', token).executeTakeFirst()

export type ViewingRow = NonNullable<Awaited<ReturnType<typeof viewingByToken>>>

/** The same with one object of one rendition, in one question; its members are null where there is no such object. */
export const viewingWithObject = async (db: Db, token: Buffer, kind: RenditionKind, name: string) =>
  await viewings(db)
    .leftJoin('renditions', (join) =>
      join.onRef('renditions.recording', '=', 'viewings.recording').on('renditions.kind', '=', kind),
    )
    .leftJoin('renditionObjects', (join) =>
      join.onRef('renditionObjects.rendition', '=', 'renditions.id').on('renditionObjects.name', '=', name),
    )
    .select([
      'renditions.id as rendition',
      'renditions.state',
      'renditions.sha256',
      'renditions.failure',
      'renditionObjects.number',
      'renditionObjects.name',
      'renditionObjects.start',
      'renditionObjects.duration',
      'renditionObjects.size',
    ])
    .where('viewings.token', '=', token)
    .executeTakeFirst()

/** What the person who watches is told. The reason is read from the entry: erased there, it is nowhere. */
export const viewingFacts = async (db: Db, id: ViewingId) =>
  await db
    .selectFrom('viewings')
    .innerJoin('recordings', 'recordings.id', 'viewings.recording')
    .innerJoin('people', 'people.id', 'viewings.person')
    .leftJoin('entryBodies', 'entryBodies.id', 'viewings.entry')
    .select([
      'viewings.id',
      'viewings.recording',
      'viewings.openedAt',
      'viewings.expiresAt',
      'viewings.endedAt',
      'viewings.watched',
      'people.id as person',
      'people.name',
      'recordings.camera',
      'recordings.filename',
      'recordings.recordedAt',
      'recordings.correctedAt',
      'recordings.duration',
      'recordings.flags',
      'recordings.tracks',
    ])
    .select([sql<string | null>`entry_bodies.parts -> 'purpose' ->> 'value'`.as('reason'), officerThen.as('officer')])
    .select(
      sql<boolean>`exists (
        select from renditions where recording = viewings.recording and kind = 'storyboard' and ${whole})`.as(
        'storyboard',
      ),
    )
    .where('viewings.id', '=', id)
    .executeTakeFirst()

/** The still rendition of this kind, and the names of its objects in order. */
export const stillRendition = async (db: Db, recording: RecordingId, kind: 'poster' | 'storyboard') => {
  const rendition = await db
    .selectFrom('renditions')
    .select(['id', 'state', 'sha256', 'facts'])
    .where('recording', '=', recording)
    .where('kind', '=', kind)
    .executeTakeFirst()
  return rendition === undefined ? undefined : { ...rendition, names: await namesOf(db, rendition.id) }
}

const namesOf = async (db: Db, rendition: RenditionId): Promise<string[]> => {
  const rows = await piecesQuery(db, rendition).execute()
  return rows.map(({ name }) => name)
}

const piecesQuery = (db: Db, rendition: RenditionId) =>
  db
    .selectFrom('renditionObjects')
    .select(['number', 'name', 'start', 'duration'])
    .where('rendition', '=', rendition)
    .orderBy('number')

export const piecesOf = async (db: Db, rendition: RenditionId) => await piecesQuery(db, rendition).execute()

/** Bits a second of the segment that has the most. */
export const peakOf = async (db: Db, rendition: RenditionId): Promise<number> => {
  const { peak } = await db
    .selectFrom('renditionObjects')
    .select(sql<number | null>`max(size * 8 / duration)`.as('peak'))
    .where('rendition', '=', rendition)
    .where('number', '>', 0)
    .where('duration', '>', 0)
    .executeTakeFirstOrThrow()
  return peak ?? 0
}

export type WatchedWrite = {
  viewing: Pick<ViewingRow, 'id' | 'watched'>
  /** When it would have expired as the request that writes began. */
  seen: Date
  changed: WatchedRange[]
  now: Date
  expiresAt: Date
}

/**
 * Writes what of each viewing was watched, where it is open and nobody else wrote meanwhile, and how long it lives on, where
 * nobody else has said so since the request began: in one statement. Answers the viewings that it wrote; each may be there
 * once.
 */
export const writeWatched = async (db: Db, writes: readonly WatchedWrite[]): Promise<Set<ViewingId>> => {
  const rows = writes.map(({ viewing: { id, watched }, seen, changed, now, expiresAt }) => ({
    id,
    watched,
    seen: seen.toISOString(),
    changed,
    now: now.toISOString(),
    expiresAt: expiresAt.toISOString(),
  }))
  const written = await sql<{ id: ViewingId }>`
    with asked as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as given (id uuid, watched jsonb, seen timestamptz, changed jsonb, now timestamptz, "expiresAt" timestamptz)
    ), held as (
      -- In one order everywhere: another api may be writing some of the same.
      select viewings.id from viewings join asked on asked.id = viewings.id order by viewings.id for update of viewings
    )
    update viewings set watched = asked.changed,
      -- Whoever watched meanwhile did as much, and whoever left meanwhile is gone.
      expires_at = case when viewings.expires_at = asked.seen then asked."expiresAt" else viewings.expires_at end
    from asked join held on held.id = asked.id
    where viewings.id = asked.id and viewings.ended_at is null and viewings.expires_at > asked.now
      and viewings.watched = asked.watched
    returning viewings.id`.execute(db)
  return new Set(written.rows.map(({ id }) => id))
}

/** An open viewing expires at this time, unless it does so before. */
export const endSooner = async (db: Db, id: ViewingId, at: Date): Promise<void> => {
  const open = db.updateTable('viewings').where('id', '=', id).where('endedAt', 'is', null)
  await open.set({ expiresAt: at }).where('expiresAt', '>', at).execute()
}

// Expired, or its person suspended since it was opened, or its recording no longer to be seen.
const overAt = (now: Date) => sql<boolean>`(
  viewings.expires_at <= ${now}
  or exists (select from people where people.id = viewings.person
    and (people.suspended_at is not null or people.resumed_at >= viewings.opened_at))
  or exists (select from recordings where recordings.id = viewings.recording
    and recordings.status not in (${sql.join([...seenStatuses])}))
)`

/** Open viewings that are over, `limit` at most. */
export const viewingsOver = async (db: Db, now: Date, limit: number): Promise<ViewingId[]> => {
  const rows = await db
    .selectFrom('viewings')
    .select('id')
    .where('endedAt', 'is', null)
    .where(overAt(now))
    .limit(limit)
    .execute()
  return rows.map(({ id }) => id)
}

/** Ends a viewing, unless it has ended already; with `onlyIfOver`, unless someone watches on. Undefined when nothing was done. */
export const endViewing = async (tx: Tx, id: ViewingId, now: Date, { onlyIfOver }: { onlyIfOver: boolean }) => {
  const ending = tx.updateTable('viewings').set({ endedAt: now }).where('id', '=', id).where('endedAt', 'is', null)
  return await (onlyIfOver ? ending.where(overAt(now)) : ending)
    .returning(['recording', 'person', 'entry', 'watched'])
    .executeTakeFirst()
}
