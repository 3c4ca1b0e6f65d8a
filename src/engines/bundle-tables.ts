import type { ColumnType, Generated, Selectable } from 'kysely'
import type { BundleId, CaseId, ClipId, EntryId, ExhibitId, JobId, PersonId, RecordingId, Sha256 } from '../base/ids.ts'

type At = ColumnType<Date, Date, Date>
type MaybeAt = ColumnType<Date | null, Date | null | undefined, Date | null>

/** The number of an exhibit on the schedules of its case. */
type ScheduleItemsTable = { case: CaseId; number: number; exhibit: ExhibitId; listedAt: At }

export type BundleState = 'owed' | 'working' | 'ready' | 'failed'
type BundlesTable = {
  id: BundleId
  case: CaseId
  /** Which one of its case it is, counted from 1. */
  schedule: number
  person: PersonId
  recipient: string
  purpose: string
  includeOriginals: boolean
  state: BundleState
  progress: Generated<number>
  /** A sentence for a person. */
  failure: string | null
  /** The same of a bundle that cannot be made yet. */
  waitsFor: ColumnType<string | null, string | null | undefined, string | null>
  size: number | null
  sha256: Sha256 | null
  /** Of the asking. */
  entry: EntryId
  job: JobId
  askedAt: At
  endedAt: MaybeAt
}
/** The words and the number of the moment at which the bundle was asked for. */
type BundleExhibitsTable = {
  bundle: BundleId
  exhibit: ExhibitId
  number: number
  reference: string
  description: string
  recording: RecordingId
  clip: ClipId | null
}

/** The signed head of each log that proofs in the bundle stand on. `note` has the cosignatures of when it was chosen. */
type BundleCheckpointsTable = { bundle: BundleId; log: number; size: number; note: string }

/** The tables of bundles, and of the schedules in them. */
export type BundleTables = {
  scheduleItems: ScheduleItemsTable
  bundles: BundlesTable
  bundleExhibits: BundleExhibitsTable
  bundleCheckpoints: BundleCheckpointsTable
}

export type BundleRow = Selectable<BundlesTable>
export type BundleExhibitRow = Selectable<BundleExhibitsTable>
