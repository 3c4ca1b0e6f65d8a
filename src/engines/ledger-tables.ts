import type { ColumnType, Generated, JSONColumnType, Selectable } from 'kysely'
import type { Json } from '../base/canonical.ts'
import type { EntryId, RecordingId } from '../base/ids.ts'

type At = ColumnType<Date, Date, Date>
type MaybeAt = ColumnType<Date | null, Date | null | undefined, Date | null>
type Made<T> = ColumnType<T, never, never>

export type SealedParts = Partial<
  Record<'actor' | 'purpose' | 'recipient' | 'policy' | 'detail', { value: Json; salt: string }>
>

type EntriesTable = { id: EntryId; leaf: Buffer }
type EntryBodiesTable = {
  id: EntryId
  entry: string | null
  salt: Buffer | null
  parts: JSONColumnType<SealedParts>
  /** Of each part that was erased, or of `body`, the entry of its erasure. */
  erased: Made<Record<string, EntryId>>
  at: Made<string | null>
  operation: Made<string | null>
  action: Made<string | null>
  outcome: Made<string | null>
  subjectType: Made<string | null>
  subjectId: Made<string | null>
  actorKind: Made<string | null>
  actorId: Made<string | null>
}
/** Of entries about footage: what was erased of them, and about what they were. `part` may be `body`. */
type EntryErasuresTable = { erasure: EntryId; entry: EntryId; part: string; subjectType: string; subjectId: string }
type RefusalsTable = {
  actor: string
  action: string
  subject: string
  since: At
  repeats: Generated<number>
  firstEntry: EntryId
  facts: JSONColumnType<Record<string, Json>>
}
type ReceiptKeysTable = { kid: string; jwk: JSONColumnType<Record<string, Json>>; fromAt: At; toAt: MaybeAt }

/** A log of its own origin and key. The one without an end is the one that grows. */
type LogsTable = {
  number: number
  origin: string
  jwk: JSONColumnType<Record<string, Json>>
  fromAt: At
  toAt: MaybeAt
  /** Why nothing is sequenced, in words for an operator. */
  halted: string | null
  publisher: string | null
  leasedUntil: MaybeAt
  /** At this size every partial tile whose full one was there had been deleted. */
  cleanedSize: Generated<number>
}
type LeavesTable = { log: number; index: number; entry: EntryId | null }
type LostLeavesTable = { log: number; index: number; leaf: Buffer }
type CheckpointsTable = { log: number; size: number; root: Buffer; note: string; at: At }
type CosignaturesTable = { log: number; size: number; witness: string; line: string; at: At }
type WitnessSizesTable = { witness: string; log: number; size: number }

/** Of each log, the next leaf to look at for what it says of recordings. */
type SidecarPositionsTable = { log: number; next: number }
/** `log` and `index`: of the newest leaf that the sidecar in the store holds; null where there is none. */
type SidecarsTable = {
  recording: RecordingId
  owed: boolean
  log: number | null
  index: number | null
  signedAt: MaybeAt
}

export type LedgerTables = {
  entries: EntriesTable
  entryBodies: EntryBodiesTable
  entryErasures: EntryErasuresTable
  refusals: RefusalsTable
  receiptKeys: ReceiptKeysTable
  logs: LogsTable
  leaves: LeavesTable
  lostLeaves: LostLeavesTable
  unsequenced: { entry: EntryId }
  checkpoints: CheckpointsTable
  cosignatures: CosignaturesTable
  witnessSizes: WitnessSizesTable
  sidecarPositions: SidecarPositionsTable
  sidecars: SidecarsTable
}

export type LogRow = Selectable<LogsTable>
export type CheckpointRow = Selectable<CheckpointsTable>
