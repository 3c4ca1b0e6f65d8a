import { type Insertable, sql } from 'kysely'
import type { ClipId, PersonId, RecordingId, Sha256 } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { ClipMethod, ClipProvenance, ClipRow, RecordingRow, Tables } from '../engines/tables.ts'
import type { Person } from '../people/person.ts'
import { holdPerson } from '../people/queries.ts'
import { visibleTo } from '../people/visibility.ts'

/** What a person who may know of the recording could cut of it. Its status stays what it is until the transaction ends. */
export const recordingToCut = async (tx: Tx, person: Person, id: RecordingId) =>
  await tx
    .selectFrom('recordings')
    .select(['status', 'flags', 'tracks', 'duration'])
    .where('id', '=', id)
    .where('duplicateOf', 'is', null)
    .where(visibleTo(person))
    .forShare()
    .executeTakeFirst()

/** Whether the recording is one that this person may know of. */
export const recordingIsKnown = async (tx: Tx, person: Person, id: RecordingId): Promise<boolean> => {
  const query = tx.selectFrom('recordings').select('id').where('id', '=', id).where('duplicateOf', 'is', null)
  return (await query.where(visibleTo(person)).executeTakeFirst()) !== undefined
}

/** Clips that are still to be cut. One whose job gave up waits for an administrator, and for nobody else. */
const open = sql<boolean>`clips.state in ('owed', 'working')
  and exists (select from jobs where jobs.id = clips.job and jobs.state in ('owed', 'working'))`

/** How many clips are owed to a person. Until the transaction ends nobody else asks in their name, nor suspends them. */
export const personToServe = async (tx: Tx, id: PersonId) => {
  const suspended = await holdPerson(tx, id)
  const { owed } = await tx
    .selectFrom('clips')
    .select((eb) => eb.fn.countAll<number>().as('owed'))
    .where('person', '=', id)
    .where(open)
    .executeTakeFirstOrThrow()
  return { suspended, owed }
}

export const insertClip = async (tx: Tx, clip: Insertable<Tables['clips']>): Promise<void> => {
  await tx.insertInto('clips').values(clip).execute()
}

const shown = (db: Db | Tx, person: Person) =>
  db
    .selectFrom('clips')
    .innerJoin('recordings', 'recordings.id', 'clips.recording')
    .innerJoin('people', 'people.id', 'clips.person')
    .innerJoin('jobs', 'jobs.id', 'clips.job')
    .leftJoin('entryBodies', 'entryBodies.id', 'clips.entry')
    .selectAll('clips')
    .select(['people.name', 'jobs.state as jobState'])
    .select(sql<string | null>`entry_bodies.parts -> 'purpose' ->> 'value'`.as('reason'))
    .where(visibleTo(person))

/** The clip, if its recording is one that this person may know of. */
export const clipShown = async (db: Db | Tx, person: Person, id: ClipId) =>
  await shown(db, person).where('clips.id', '=', id).executeTakeFirst()

export type ShownClip = NonNullable<Awaited<ReturnType<typeof clipShown>>>

/** A recording's clips, newest first, from the one after `before` on. */
export const clipsOf = async (
  tx: Tx,
  person: Person,
  recording: RecordingId,
  before: ClipId | undefined,
  limit: number,
): Promise<ShownClip[]> => {
  const query = shown(tx, person).where('clips.recording', '=', recording).orderBy('clips.id', 'desc').limit(limit)
  return await (before === undefined ? query : query.where('clips.id', '<', before)).execute()
}

export const clipById = async (db: Db | Tx, id: ClipId): Promise<ClipRow | undefined> =>
  await db.selectFrom('clips').selectAll().where('id', '=', id).executeTakeFirst()

/** Of which recording a clip is, for anyone. */
export const recordingOfClip = async (db: Db, id: ClipId): Promise<RecordingId | undefined> =>
  (await db.selectFrom('clips').select('recording').where('id', '=', id).executeTakeFirst())?.recording

/** Its status stays what it is until the transaction ends. */
export const recordingToPublishOf = async (
  tx: Tx,
  id: RecordingId,
): Promise<Pick<RecordingRow, 'status'> | undefined> =>
  await tx.selectFrom('recordings').select('status').where('id', '=', id).forShare().executeTakeFirst()

export const markWorking = async (tx: Tx, id: ClipId): Promise<void> => {
  const set = { state: 'working', progress: 0, failure: null } as const
  await tx.updateTable('clips').set(set).where('id', '=', id).where('state', 'in', ['owed', 'working']).execute()
}

export const noteProgress = async (db: Db, id: ClipId, progress: number): Promise<void> => {
  await db.updateTable('clips').set({ progress }).where('id', '=', id).where('state', '=', 'working').execute()
}

export type Cut = {
  attempt: number
  sha256: Sha256
  size: number
  duration: number
  frames: number
  method: ClipMethod
  provenance: ClipProvenance
}

/** False when it is no longer being cut. */
export const markReady = async (tx: Tx, id: ClipId, at: Date, { provenance, ...cut }: Cut): Promise<boolean> => {
  const { numUpdatedRows } = await tx
    .updateTable('clips')
    .set({ ...cut, provenance: JSON.stringify(provenance), state: 'ready', progress: 1, failure: null, endedAt: at })
    .where('id', '=', id)
    .where('state', '=', 'working')
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

export const markFailed = async (tx: Tx, id: ClipId, at: Date, failure: string): Promise<void> => {
  const set = { state: 'failed', failure, endedAt: at } as const
  await tx.updateTable('clips').set(set).where('id', '=', id).where('state', 'in', ['owed', 'working']).execute()
}

/** Makes the oldest clip of a person whose turn has not come due at once. */
export const bringForward = async (tx: Tx, person: PersonId): Promise<void> => {
  await sql`
    update jobs set due_at = now()
    where attempt = 0 and state = 'owed' and due_at > now() and id = (
      select jobs.id from clips join jobs on jobs.id = clips.job
      where clips.person = ${person} and clips.state = 'owed'
        and jobs.state = 'owed' and jobs.attempt = 0 and jobs.due_at > now()
      order by clips.id limit 1)`.execute(tx)
  await sql`select pg_notify('jobs', '')`.execute(tx)
}
