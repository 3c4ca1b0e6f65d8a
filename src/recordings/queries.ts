import { sql } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import type { CameraSerial, CaseId, Collar, RecordingId } from '../base/ids.ts'
import { officerThen } from '../docks/assignments.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { RecordingStatus } from '../engines/tables.ts'
import type { Person } from '../people/person.ts'
import { visibleTo } from '../people/visibility.ts'
import { type CatalogueRow, shownColumns } from './recording.ts'

/** A row's place in the order of the list: microseconds since 1970 as a whole number, then the id. */
export type Place = { micros: string; id: RecordingId }

export type Filters = {
  camera?: CameraSerial
  officer?: Collar
  category?: string
  incident?: string
  sequence?: string
  /** For its members; to others no recording is in it. */
  caseId?: CaseId
  /** `from` belongs to the interval, `to` does not. */
  from?: Date
  to?: Date
  statuses: readonly RecordingStatus[]
}

// A second object of the same file is nobody's to see.
const catalogue = (db: Db | Tx, person: Person) =>
  db
    .selectFrom('recordings')
    .select(shownColumns)
    .select(officerThen.as('officer'))
    .select((eb) =>
      jsonArrayFrom(
        eb
          .selectFrom('renditions')
          .select(['kind', 'state', 'progress', 'failure'])
          .whereRef('renditions.recording', '=', 'recordings.id')
          .orderBy('kind'),
      ).as('renditions'),
    )
    .where('duplicateOf', 'is', null)
    .where(visibleTo(person))

/** The recording, if this person may know of it. */
export const catalogueRow = async (db: Db | Tx, person: Person, id: RecordingId): Promise<CatalogueRow | undefined> =>
  await catalogue(db, person).where('id', '=', id).executeTakeFirst()

/** Recordings that this person may know of, newest first, after a place; `limit` rows at most. */
export const cataloguePage = async (
  db: Db | Tx,
  person: Person,
  filters: Filters,
  after: Place | undefined,
  limit: number,
): Promise<(CatalogueRow & { micros: string })[]> => {
  const { camera, officer, category, incident, sequence, caseId, from, to } = filters
  let query = catalogue(db, person)
    .select(sql<string>`(extract(epoch from recordings.recorded_at) * 1000000)::bigint::text`.as('micros'))
    .where('status', 'in', filters.statuses)
    .orderBy('recordedAt', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)
  if (camera !== undefined) query = query.where('camera', '=', camera)
  if (category !== undefined) query = query.where('category', '=', category)
  if (incident !== undefined) query = query.where('incident', '=', incident)
  if (sequence !== undefined) query = query.where('sequence', '=', sequence)
  if (from !== undefined) query = query.where('recordedAt', '>=', from)
  if (to !== undefined) query = query.where('recordedAt', '<', to)
  if (caseId !== undefined) {
    query = query.where(
      sql<boolean>`recordings.id = any(array(
        select exhibits.recording from exhibits join case_members using ("case")
        where exhibits."case" = ${caseId} and exhibits.withdrawn_at is null and case_members.person = ${person.id}
      ))`,
    )
  }
  if (officer !== undefined) {
    query = query.where(
      sql<boolean>`exists (
        select from assignments
        where assignments.camera = recordings.camera and assignments.officer = ${officer}
          and assignments.during @> recordings.corrected_at
      )`,
    )
  }
  if (after !== undefined) {
    // Seconds and the rest apart: an interval times a number is exact only up to 2^53.
    const at = sql`timestamptz 'epoch' + ${after.micros}::bigint / 1000000 * interval '1 second'
      + ${after.micros}::bigint % 1000000 * interval '1 microsecond'`
    query = query.where(sql<boolean>`(recordings.recorded_at, recordings.id) < (${at}, ${after.id}::uuid)`)
  }
  return await query.execute()
}

/** Whether there is such a recording, for anyone. */
export const recordingExists = async (db: Db, id: RecordingId): Promise<boolean> => {
  const query = db.selectFrom('recordings').select('id').where('id', '=', id).where('duplicateOf', 'is', null)
  return (await query.executeTakeFirst()) !== undefined
}

/** Ends the open request to delete a recording before its time, and answers what it was; undefined where there is none. */
export const endRequest = async (tx: Tx, recording: RecordingId, endedAt: Date) =>
  await tx
    .updateTable('deletionRequests')
    .set({ endedAt })
    .where('recording', '=', recording)
    .where('endedAt', 'is', null)
    .returning(['id', 'askedBy', 'approvedAt'])
    .executeTakeFirst()
