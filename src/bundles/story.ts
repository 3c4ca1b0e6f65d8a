import type { Json } from '../base/canonical.ts'
import type {
  BundleId,
  CameraSerial,
  CaseId,
  ClipId,
  Collar,
  EntryId,
  ExhibitId,
  RecordingId,
  Sha256,
} from '../base/ids.ts'
import type { SealedParts } from '../engines/ledger-tables.ts'
import type { ClipProvenance } from '../engines/tables.ts'
import type { KeyDocument } from '../ledger/keys/key-document.ts'

/** Every `path` is relative to the bundle's one top folder, with slashes, in ASCII: `data/exhibits/AB_1/BWC_0001.mp4`. */
export type BundleFile = { path: string; size: number; sha256: Sha256 }

/**
 * A file of an exhibit. `made` says how it came about: `original` is the camera's own file, bit for bit; `clip` an exact
 * excerpt; `viewing-copy` the recording once more for a browser, which is never evidence.
 */
export type MediaFile = BundleFile & { made: 'original' | 'clip' | 'viewing-copy'; mediaType: string }

/** A recording as the catalogue knows it. Times are RFC 3339 in UTC; what is not known is null. */
export type SourceFacts = {
  recording: RecordingId
  camera: CameraSerial
  /** The collar number of whom the camera was assigned to when it recorded. */
  officer: Collar | null
  /** By the camera's clock; `clockOffset` seconds is how far that one was ahead when the camera was docked. */
  recordedAt: string
  clockOffset: number | null
  receivedAt: string
  /** Seconds. */
  duration: number | null
  /** As the dock gave it: data, never a path. */
  filename: string
  mediaType: string
  size: number
  sha256: Sha256
  flags: string[]
  incident: string | null
}

/** The tool that made a file, and the exact words it was run with. */
export type ToolRun = { tool: string; arguments: string[][] }

/** What stands in `provenance.json` beside the media of each exhibit. */
export type Provenance = {
  v: 1
  bundle: BundleId
  case: { id: CaseId; reference: string }
  exhibit: { id: ExhibitId; reference: string; item: number; kind: 'recording' | 'clip'; description: string }
  source: SourceFacts & { receipt: string | null }
  /** Of a clip alone: how it was cut. */
  clip: ({ id: ClipId; size: number; sha256: Sha256 } & ClipProvenance) | null
  /** Each file in the folder but this one; `is` and `isNot` in words. */
  files: (MediaFile & { is: string; isNot: string; run: ToolRun | null })[]
}

/**
 * One thing that happened to an exhibit, in plain words; `entry` is the path of the ledger's entry that says so, and `leaf`
 * where it stands in the log: index and size under the signed head.
 */
export type StoryLine = {
  at: string
  words: string
  entry: string | null
  leaf: { index: number; size: number } | null
}

export type ExhibitStory = {
  /** Its number on the schedules of the case, for ever. */
  item: number
  reference: string
  /** `data/exhibits/AB_1`. */
  folder: string
  kind: 'recording' | 'clip'
  description: string
  /** The evidence itself. */
  media: MediaFile
  /** Where a browser does not play the media: what it plays instead. */
  viewingCopy: MediaFile | null
  /** Of a clip, where it was asked for: the recording it was cut from. */
  original: MediaFile | null
  /** Whether a browser is expected to play `media` by itself. Where it does not and there is no copy, nothing plays. */
  playable: boolean
  provenance: Provenance
  provenancePath: string
  /** Of `continuity.pdf`. */
  statementPath: string
  /** Of the recording, or of the clip's recording; null where none was signed, since only a part of the file arrived. */
  receipt: string | null
  /** Oldest first. */
  story: StoryLine[]
}

/** A line of the schedule of non-sensitive material (MG6C). The prosecutor fills in what is empty. */
export type ScheduleItem = {
  item: number
  reference: string
  description: string
  /** What the material holds, from the catalogue. */
  content: string
  /** Where it is held. */
  location: string
  /** The range of the recording that it is, in words; the whole of it for a recording. */
  range: string
  evidence: string
  sha256: Sha256
  /** The day on which it was first listed, YYYY-MM-DD. */
  listed: string
}

/** As `proofs/entries/<n>.entry.json` holds it: `entry` is the ledger's, whose canonical JSON is under `salt` its leaf. */
export type DisclosedEntry = { entry: { [member: string]: Json | undefined }; salt: string; parts: SealedParts }

/** Everything that provenance, schedules, README and page are made from. What is not known is null, never left out. */
export type BundleStory = {
  v: 1
  bundle: {
    id: BundleId
    /** The one top folder of the ZIP. */
    folder: string
    askedAt: string
    recipient: string
    purpose: string
    includeOriginals: boolean
    /** Which schedule of its case this is, counted from 1. */
    schedule: number
    /** The entry of its being asked for. */
    entry: EntryId
  }
  case: { id: CaseId; reference: string; title: string }
  /** In the order of the schedule. */
  exhibits: ExhibitStory[]
  schedule: ScheduleItem[]
  /** Every payload file (under `data/`) but the page itself, in the order of the manifest. */
  manifest: BundleFile[]
  receipts: { path: string; recording: RecordingId; jws: string }[]
  /** Each with its proof (C2SP tlog-proof@v1), whose checkpoint is one of those here. */
  entries: ({ path: string; proof: { path: string; text: string } } & DisclosedEntry)[]
  /** That of the newest log first. */
  checkpoints: { path: string; note: string }[]
  keys: KeyDocument
}

export const pagePath = 'data/index.html'
export const keysPath = 'proofs/keys.json'

/** Where the n-th disclosed entry is, counted from 1, and its proof. */
export const entryPath = (n: number): string => `proofs/entries/${n}.entry.json`
export const proofPath = (n: number): string => `proofs/entries/${n}.tlog-proof`

/** The head of the newest log; of one that was left before, that log's number is in the name. */
export const checkpointPath = (left?: number): string =>
  left === undefined ? 'proofs/checkpoint' : `proofs/checkpoint-${left}`
