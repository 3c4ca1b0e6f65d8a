import { sql } from 'kysely'
import type { CaseId, ClipId, ExhibitId, PersonId, RecordingId } from '../base/ids.ts'
import type { NewExhibit, Sensitivity } from '../engines/case-tables.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { ClipState, RecordingStatus } from '../engines/tables.ts'
import type { Person } from '../people/person.ts'
import { visibleTo } from '../people/visibility.ts'

/** Holds a recording that this person may know of as it is until the transaction ends. */
export const shareRecording = async (
  tx: Tx,
  person: Person,
  id: RecordingId,
): Promise<{ status: RecordingStatus } | undefined> =>
  await tx
    .selectFrom('recordings')
    .select('status')
    .where('id', '=', id)
    .where('duplicateOf', 'is', null)
    .where(visibleTo(person))
    .forShare()
    .executeTakeFirst()

export const clipFacts = async (
  db: Db | Tx,
  id: ClipId,
): Promise<{ recording: RecordingId; state: ClipState } | undefined> =>
  await db.selectFrom('clips').select(['recording', 'state']).where('id', '=', id).executeTakeFirst()

/** Breaks the constraint `exhibit_reference` where the case has, or had, an exhibit under this reference. */
export const insertExhibit = async (tx: Tx, row: NewExhibit): Promise<void> => {
  await tx.insertInto('exhibits').values(row).execute()
}

/** An exhibit as it is changed, moved or withdrawn. */
export const exhibitForUpdate = async (tx: Tx, id: ExhibitId) =>
  await tx
    .selectFrom('exhibits')
    .select(['id', 'case', 'recording', 'clip', 'reference', 'sensitivity', 'description', 'withdrawnAt'])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirstOrThrow()

/** In which case it is, and of which recording: neither ever changes. */
export const exhibitPlace = async (
  tx: Tx,
  id: ExhibitId,
): Promise<{ case: CaseId; recording: RecordingId } | undefined> =>
  await tx.selectFrom('exhibits').select(['case', 'recording']).where('id', '=', id).executeTakeFirst()

export const updateExhibit = async (
  tx: Tx,
  id: ExhibitId,
  change: { sensitivity: Sensitivity; description: string },
): Promise<void> => {
  await tx.updateTable('exhibits').set(change).where('id', '=', id).execute()
}

export const markExhibitWithdrawn = async (tx: Tx, id: ExhibitId, at: Date, because: string): Promise<void> => {
  await tx.updateTable('exhibits').set({ withdrawnAt: at, withdrawnBecause: because }).where('id', '=', id).execute()
}

/** Exhibits with where they came from and went to; of another case only for its members. */
const exhibits = (tx: Tx, reader: PersonId) =>
  tx
    .selectFrom('exhibits')
    .innerJoin('people', 'people.id', 'exhibits.addedBy')
    .leftJoin('exhibits as origin', (join) =>
      join.onRef('origin.id', '=', 'exhibits.movedFrom').on(
        sql<boolean>`exists (
          select from case_members where case_members."case" = origin."case" and case_members.person = ${reader})`,
      ),
    )
    .leftJoin('exhibits as heir', (join) =>
      join.onRef('heir.movedFrom', '=', 'exhibits.id').on(
        sql<boolean>`exists (
          select from case_members where case_members."case" = heir."case" and case_members.person = ${reader})`,
      ),
    )
    .select(['exhibits.id', 'exhibits.case', 'exhibits.recording', 'exhibits.clip', 'exhibits.reference'])
    .select(['exhibits.sensitivity', 'exhibits.description', 'exhibits.addedAt', 'people.id as by'])
    .select(['people.name as byName', 'exhibits.withdrawnAt', 'exhibits.withdrawnBecause'])
    .select(['origin.id as fromId', 'origin.case as fromCase', 'origin.reference as fromReference'])
    .select(['heir.id as toId', 'heir.case as toCase', 'heir.reference as toReference'])

export const exhibitRow = async (tx: Tx, reader: PersonId, id: ExhibitId) =>
  await exhibits(tx, reader).where('exhibits.id', '=', id).executeTakeFirstOrThrow()

export type ExhibitRow = Awaited<ReturnType<typeof exhibitRow>>

/** One page of the exhibits of a case in the order they were added: either those in it or those withdrawn from it. */
export const pageOfExhibits = async (
  tx: Tx,
  reader: PersonId,
  id: CaseId,
  withdrawn: boolean,
  after: ExhibitId | undefined,
  limit: number,
): Promise<ExhibitRow[]> =>
  await exhibits(tx, reader)
    .where('exhibits.case', '=', id)
    .where('exhibits.withdrawnAt', withdrawn ? 'is not' : 'is', null)
    .where((eb) => (after === undefined ? eb.lit(true) : eb('exhibits.id', '>', after)))
    .orderBy('exhibits.id')
    .limit(limit + 1)
    .execute()
