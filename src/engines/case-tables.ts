import type { ColumnType, Insertable } from 'kysely'
import type { CaseEventId, CaseId, ClipId, EntryId, ExhibitId, PersonId, RecordingId } from '../base/ids.ts'

type At = ColumnType<Date, Date, Date>
type MaybeAt = ColumnType<Date | null, Date | null | undefined, Date | null>

export type CaseStatus = 'open' | 'closed'
/** What a member may do in a case: an investigator changes it, disclosure reads it and exports bundles. */
export type MemberRole = 'investigator' | 'disclosure'
type CasesTable = {
  id: CaseId
  reference: string
  title: string
  status: CaseStatus
  openedAt: At
  closedAt: MaybeAt
}
type CaseMembersTable = { case: CaseId; person: PersonId; role: MemberRole; since: At }
export type Sensitivity = 'none' | 'sensitive'
/** `recording` is the clip's where the exhibit is a clip. A withdrawn one is history, and its reference stays taken. */
type ExhibitsTable = {
  id: ExhibitId
  case: CaseId
  recording: RecordingId
  clip: ClipId | null
  reference: string
  sensitivity: Sensitivity
  description: string
  addedAt: At
  addedBy: PersonId
  movedFrom: ExhibitId | null
  withdrawnAt: MaybeAt
  withdrawnBecause: string | null
}
export type CaseEventKind =
  | 'charged'
  | 'no_further_action'
  | 'acquitted'
  | 'convicted'
  | 'sentenced'
  | 'released'
  | 'closed'
/** `onDate` is a day, YYYY-MM-DD, in no time zone. One that was withdrawn is history and counts for nothing. */
type CaseEventsTable = {
  id: CaseEventId
  case: CaseId
  kind: CaseEventKind
  onDate: string
  note: string | null
  notedAt: At
  person: PersonId
  entry: EntryId
  withdrawnAt: MaybeAt
  withdrawnBecause: string | null
}

/** The tables of cases, and of what is in them. */
export type CaseTables = {
  cases: CasesTable
  caseMembers: CaseMembersTable
  exhibits: ExhibitsTable
  caseEvents: CaseEventsTable
}

export type NewExhibit = Insertable<ExhibitsTable>
export type NewCaseEvent = Insertable<CaseEventsTable>
