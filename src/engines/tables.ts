import type { ColumnType, Generated, Insertable, JSONColumnType, Selectable } from 'kysely'
import type { Json } from '../base/canonical.ts'
import type {
  BundleId,
  CameraSerial,
  ClipId,
  Collar,
  DockId,
  DownloadId,
  EntryId,
  JobId,
  PersonId,
  RecordingId,
  RenditionId,
  Sha256,
  UploadId,
  ViewingId,
} from '../base/ids.ts'
import type { BundleTables } from './bundle-tables.ts'
import type { CaseTables } from './case-tables.ts'
import type { LedgerTables } from './ledger-tables.ts'
import type { RetentionTables } from './retention-tables.ts'

/** A column that has a value from birth and may be left out on insert. */
type Born<T> = Generated<T>
type JsonOf<T> = JSONColumnType<T & object>
/** A time: read as Date, written as Date. */
type At = ColumnType<Date, Date, Date>
type MaybeAt = ColumnType<Date | null, Date | null | undefined, Date | null>

type PeopleTable = {
  id: PersonId
  issuer: string
  subject: string
  name: string
  collar: Collar | null
  /** As their last token named them. */
  roles: Born<string[]>
  firstSeenAt: At
  suspendedAt: MaybeAt
  /** When their last suspension was lifted. */
  resumedAt: MaybeAt
}
type OfficersTable = { collar: Collar; person: PersonId | null; firstSeenAt: At }

type DocksTable = {
  id: DockId
  name: string
  site: string
  publicKey: JsonOf<{ kty: string; crv: string; x: string }>
  thumbprint: string
  enrolledAt: At
  suspendedAt: MaybeAt
}
type CamerasTable = { serial: CameraSerial; model: string | null; confirmed: boolean; firstSeenAt: At }
/** `during` is a Postgres range literal: make it with `tstzrange(...)` in SQL. */
type AssignmentsTable = { camera: CameraSerial; officer: Collar; during: string }

export type JobState = 'owed' | 'working' | 'done' | 'skipped' | 'failed'
export type JobsTable = {
  id: JobId
  name: string
  payload: JsonOf<Record<string, Json>>
  cause: EntryId | null
  state: JobState
  attempt: Born<number>
  failures: Born<number>
  dueAt: At
  offeredAt: MaybeAt
  beatAt: MaybeAt
  progress: Born<number>
  said: string | null
  createdAt: At
  endedAt: MaybeAt
}

export type UploadState = 'open' | 'stored' | 'completing' | 'verified' | 'quarantined' | 'expired' | 'ended'
type UploadsTable = {
  id: UploadId
  dock: DockId
  recording: RecordingId
  camera: CameraSerial
  filename: string
  size: number
  sha256: Sha256 | null
  recordedAt: At
  metadata: JsonOf<Record<string, string>>
  partSize: number
  state: UploadState
  received: Born<number>
  kept: Born<boolean>
  writer: Born<number>
  multipart: string | null
  createdAt: At
  expiresAt: At
}
type UploadPartsTable = { upload: UploadId; number: number; size: number; sha256: Buffer; etag: string }
type UploadTailsTable = { upload: UploadId; start: number; size: number; sha256: Buffer; key: string }

export type RecordingStatus = 'received' | 'verified' | 'active' | 'quarantined' | 'due' | 'grace' | 'erased'
export type Track = {
  kind: 'video' | 'audio' | 'data' | 'subtitle'
  codec: string
  profile?: string
  width?: number
  height?: number
  frameRate?: number
  rotation?: number
  channels?: number
  sampleRate?: number
  packets?: number
}
export type RecordingFacts = {
  container?: string
  startTime?: number
  position?: { latitude: number; longitude: number; altitude?: number; source: string }
  truncatedBecause?: string
  notes?: string[]
}
type RecordingsTable = {
  id: RecordingId
  upload: UploadId
  dock: DockId
  camera: CameraSerial
  filename: string
  size: number
  sha256: Sha256 | null
  recordedAt: At
  clockOffset: number | null
  correctedAt: At
  receivedAt: At
  status: RecordingStatus
  quarantinedBecause: 'digest-mismatch' | 'parts-mismatch' | 'discarded' | null
  duplicateOf: RecordingId | null
  flags: Born<string[]>
  category: string | null
  incident: string | null
  number: number | null
  sequence: string | null
  duration: number | null
  tracks: ColumnType<Track[], string | undefined, string>
  facts: ColumnType<RecordingFacts, string | undefined, string>
  mediaType: string | null
  objectVersion: string | null
  /** When a supervisor let docks bring this erased file again. */
  readmittedAt: MaybeAt
}

type AnnouncementsTable = {
  camera: CameraSerial
  size: number
  sha256: Sha256
  dock: DockId
  name: string
  recordedAt: At
  number: number | null
  sequence: string | null
  clockOffset: number | null
  firstAt: At
  lastAt: At
}
type ReceiptsTable = { upload: UploadId; recording: RecordingId; jws: string; signedAt: At }
type DiscardsTable = {
  recording: RecordingId
  askedBy: PersonId
  reason: string
  askedAt: At
  approvedBy: PersonId | null
  approvedAt: MaybeAt
}
export type DownloadsTable = {
  id: DownloadId
  token: Buffer
  person: PersonId
  /** Of a clip, the recording it was cut from; null for a bundle. */
  recording: RecordingId | null
  clip: ClipId | null
  bundle: BundleId | null
  entry: EntryId
  madeAt: At
  expiresAt: At
}

export type RenditionKind = 'hls' | 'proxy' | 'poster' | 'storyboard'
export type RenditionState = 'owed' | 'working' | 'ready' | 'failed'
/** What a player has to know of it. Times in seconds, sizes in pixels. */
export type RenditionFacts = {
  /** It was to be made anew, and the job gave up: whoever tries again makes it. */
  givenUp?: true
  /** Whether the original's own packets are in it, or it was encoded anew. */
  method?: 'remux' | 'transcode'
  /** Its sound was made by itself, silent where there was none. */
  soundApart?: true
  /** Seconds of the recording's time at which it ends though the footage is to go on: what follows cannot be decoded. */
  shownTo?: number
  /** RFC 6381. */
  codecs?: string
  width?: number
  height?: number
  /** Of a storyboard: one picture every so many seconds, `columns` × `rows` to a sheet, each `width` × `height`. */
  interval?: number
  columns?: number
  rows?: number
  pictures?: number
}
type RenditionsTable = {
  id: RenditionId
  recording: RecordingId
  kind: RenditionKind
  state: RenditionState
  progress: Born<number>
  /** A sentence for a person; of one that is ready, why it could not be made anew. */
  failure: string | null
  sourceSha256: Sha256
  tool: string | null
  arguments: ColumnType<string[][], string | undefined, string>
  facts: ColumnType<RenditionFacts, string | undefined, string>
  size: number | null
  sha256: Sha256 | null
  owedAt: At
  endedAt: MaybeAt
}
/** `start` and `duration` in seconds of the recording's own time; what has none begins at 0 and lasts 0. */
type RenditionObjectsTable = {
  rendition: RenditionId
  number: number
  name: string
  start: number
  duration: number
  size: number
  sha256: Sha256
}

/** From `start` to `end`, in seconds of the recording's own time. */
export type WatchedRange = [start: number, end: number]
export type ViewingsTable = {
  id: ViewingId
  token: Buffer
  person: PersonId
  recording: RecordingId
  entry: EntryId
  openedAt: At
  expiresAt: At
  endedAt: MaybeAt
  /** Sorted; what touches is one range. */
  watched: ColumnType<WatchedRange[], string | undefined, string>
}

export type ClipState = 'owed' | 'working' | 'ready' | 'failed'
/** Whether the frames in the middle are the original's own, bit for bit, or all were encoded anew. */
export type ClipMethod = 'copied-middle' | 'encoded'
/** How a clip came about, for whoever has to rely on it. Times in seconds from the recording's first frame. */
export type ClipProvenance = {
  v: 1
  source: {
    recording: RecordingId
    sha256: Sha256
    size: number
    objectVersion: string
    /** What was read of the original, and what of it could be held against its digest. */
    read: 'whole' | 'in-part'
    bytesRead: number
    checked: string
  }
  asked: { start: number; end: number }
  /** `first` and `last`: when the first and the last frame begin. `end`: when the last one ends. */
  exact: { first: number; last: number; end: number; frames: number }
  method: ClipMethod
  /** Why nothing was copied. */
  because?: string
  copied?: { first: number; last: number; frames: number }
  sound: { method: 'encoded'; start: number } | null
  tool: string
  /** The exact words of each run of ffmpeg, in order. */
  arguments: string[][]
  checks: string[]
}
type ClipsTable = {
  id: ClipId
  recording: RecordingId
  person: PersonId
  /** Null once the recording was erased. */
  title: ColumnType<string | null, string, never>
  starts: number
  ends: number
  state: ClipState
  progress: Born<number>
  /** A sentence for a person. */
  failure: string | null
  /** The attempt of its job that made it: each writes an object of its own. */
  attempt: number | null
  sha256: Sha256 | null
  size: number | null
  /** Seconds. */
  duration: number | null
  frames: number | null
  method: ClipMethod | null
  /** Of an erased recording, no more than `v`, `source`, `asked` and `method`. */
  provenance: ColumnType<ClipProvenance | null, string | undefined, string>
  /** Of the asking. */
  entry: EntryId
  job: JobId
  askedAt: At
  endedAt: MaybeAt
}

/** Whose turn it is to make a recording's renditions, for as long as this attempt is at work. */
type RenditionTurnsTable = { recording: RecordingId; job: JobId; attempt: number }
/** An id under which objects may lie that no rendition shows. */
type RenditionLeftoversTable = { rendition: RenditionId; recording: RecordingId }

/** Every table, as the code sees it (camelCase; snake_case in SQL). */
export type Tables = {
  people: PeopleTable
  officers: OfficersTable
  docks: DocksTable
  cameras: CamerasTable
  assignments: AssignmentsTable
  jobs: JobsTable
  uploads: UploadsTable
  uploadParts: UploadPartsTable
  uploadTails: UploadTailsTable
  recordings: RecordingsTable
  announcements: AnnouncementsTable
  receipts: ReceiptsTable
  discards: DiscardsTable
  downloads: DownloadsTable
  renditions: RenditionsTable
  renditionObjects: RenditionObjectsTable
  renditionTurns: RenditionTurnsTable
  renditionLeftovers: RenditionLeftoversTable
  viewings: ViewingsTable
  clips: ClipsTable
} & LedgerTables &
  CaseTables &
  RetentionTables &
  BundleTables

export type UploadRow = Selectable<UploadsTable>
export type RecordingRow = Selectable<RecordingsTable>
export type RenditionRow = Selectable<RenditionsTable>
export type RenditionObjectRow = Selectable<RenditionObjectsTable>
export type ClipRow = Selectable<ClipsTable>
export type JobRow = Selectable<JobsTable>
export type NewUpload = Insertable<UploadsTable>
export type NewRecording = Insertable<RecordingsTable>
