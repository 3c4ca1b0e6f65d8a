import type { ColumnType, Generated, Selectable } from 'kysely'
import type {
  EntryId,
  HoldId,
  JobId,
  PersonId,
  PolicyId,
  PurgeId,
  RecordingId,
  RequestId,
  SimulationId,
} from '../base/ids.ts'

type At = ColumnType<Date, Date, Date>
type MaybeAt = ColumnType<Date | null, Date | null | undefined, Date | null>
/** A person who may not have acted yet. */
type MaybePerson = ColumnType<PersonId | null, PersonId | null | undefined, PersonId>

/** The job it waits for. */
type Job = ColumnType<JobId | null, JobId | null | undefined, JobId>

/** What a period counts from: the recording itself, or the day of an event of its cases. */
export type Trigger =
  | 'recorded'
  | 'charged'
  | 'no_further_action'
  | 'acquitted'
  | 'convicted'
  | 'sentenced'
  | 'released'
  | 'closed'
export type HoldKind = 'legal' | 'complaint' | 'disclosure' | 'subject_access' | 'other' | 'restored'
export type SealedPart = 'actor' | 'purpose' | 'recipient' | 'policy' | 'detail'

type PolicyState = 'draft' | 'approved' | 'superseded'
/** `category` is null for recordings that have none. Durations in ISO 8601. */
type PoliciesTable = {
  id: PolicyId
  category: string | null
  version: number
  trigger: Trigger
  period: string
  grace: string
  /** The sealed parts of entries about a recording whose salts its erasure destroys. */
  sealed: SealedPart[]
  state: PolicyState
  draftedBy: PersonId
  draftedAt: At
  approvedBy: MaybePerson
  approvedAt: MaybeAt
  supersededAt: MaybeAt
}

export type SimulationState = 'owed' | 'working' | 'ready'
type Count = { count: number; bytes: number }
export type SimulationCounts = Record<'due' | 'sooner' | 'later' | 'atOnce' | 'held', Count>
type SimulationsTable = {
  id: SimulationId
  policy: PolicyId
  state: SimulationState
  counts: ColumnType<SimulationCounts, string, string>
  job: Job
  askedBy: PersonId
  askedAt: At
  endedAt: MaybeAt
}
/** A recording whose date the draft changes; null means keep. */
type SimulationItemsTable = {
  simulation: SimulationId
  recording: RecordingId
  size: number
  oldAt: MaybeAt
  newAt: MaybeAt
}
type SimulationSightsTable = { simulation: SimulationId; person: PersonId; seenAt: At }

type HoldsTable = {
  id: HoldId
  recording: RecordingId
  kind: HoldKind
  /** A day, YYYY-MM-DD. */
  reviewOn: string | null
  placedBy: PersonId
  placedAt: At
  entry: EntryId
  releasedBy: MaybePerson
  releasedAt: MaybeAt
}

type DeletionRequestsTable = {
  id: RequestId
  recording: RecordingId
  askedBy: PersonId
  askedAt: At
  approvedBy: MaybePerson
  approvedAt: MaybeAt
  endedAt: MaybeAt
}

/** `failed`: its job gave up, and another purge took its place. `abandoned`: a person gave it up. */
type PurgeState = 'running' | 'braked' | 'done' | 'failed' | 'abandoned'
/** `allowed`: how many it may hide before it brakes. `batch`: how many more it found due when it braked. */
type PurgesTable = {
  id: PurgeId
  state: PurgeState
  allowed: number
  batch: number | null
  hidden: Generated<number>
  erased: Generated<number>
  held: Generated<number>
  failed: Generated<number>
  /** A sentence for a person. */
  said: string | null
  job: Job
  startedBy: PersonId | null
  startedAt: At
  releasedBy: MaybePerson
  releasedAt: MaybeAt
  endedAt: MaybeAt
}

/**
 * What became of a recording since it was hidden: `hiding` until the store protects it, `grace`, then `erasing`, from which
 * there is no way back, and `erased`; or `restored`.
 */
type PurgeItemState = 'hiding' | 'grace' | 'erasing' | 'erased' | 'restored'
type PurgeItemsTable = {
  purge: PurgeId
  recording: RecordingId
  policy: PolicyId | null
  request: RequestId | null
  state: PurgeItemState
  /** Its status before. */
  previous: 'verified' | 'active'
  hiddenAt: At
  graceUntil: At
  lockedUntil: MaybeAt
  /** How many the store held, versions counted, before the first was deleted. */
  objects: number | null
  /** Why it was not erased yet; a sentence for a person. */
  said: string | null
  endedAt: MaybeAt
}

type ErasuresTable = {
  recording: RecordingId
  purge: PurgeId
  erasedAt: At
  objects: number
  entry: EntryId
  jws: string
}

export type RetentionTables = {
  policies: PoliciesTable
  simulations: SimulationsTable
  simulationItems: SimulationItemsTable
  simulationSights: SimulationSightsTable
  holds: HoldsTable
  deletionRequests: DeletionRequestsTable
  purges: PurgesTable
  purgeItems: PurgeItemsTable
  erasures: ErasuresTable
}

export type PolicyRow = Selectable<PoliciesTable>
export type SimulationRow = Selectable<SimulationsTable>
export type PurgeRow = Selectable<PurgesTable>
export type PurgeItemRow = Selectable<PurgeItemsTable>
