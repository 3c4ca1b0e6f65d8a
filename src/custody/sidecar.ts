import type { Json } from '../base/canonical.ts'
import type { ClipId, EntryId, ExhibitId, RecordingId, Sha256 } from '../base/ids.ts'
import type { SealedParts } from '../engines/ledger-tables.ts'
import { originalKey } from '../uploads/upload.ts'

/** So many entries are kept in one object. A signed sidecar holds the newest of them, and names the objects of those before. */
export const entriesInPart = 1000

export const sidecarType = 'exhibit-sidecar+jwt'

/** Begins the key, in the bucket `derived`, of all that is kept beside an original; nothing else begins so. */
export const sidecarPrefix = (recording: RecordingId): string => `${originalKey(recording)}.sidecar.`

export const sidecarKey = (recording: RecordingId): string => `${sidecarPrefix(recording)}jws`

/** Its bytes are its name, so that what is there is right, and never written over. `number` counts from 1. */
export const partKey = (recording: RecordingId, number: number, sha256: Sha256): string =>
  `${sidecarPrefix(recording)}${number}.${sha256}.json`

/**
 * An entry about the recording, its upload, or an entry of these that was erased, as it is kept and disclosed; and which leaf
 * of which log it is. Of one whose body was erased there is the leaf data alone.
 */
export type SidecarEntry = {
  id: EntryId
  log: string
  index: number
  entry?: Json
  /** Hex. */
  salt?: string
  parts?: SealedParts
  /** Of each part that was erased, or of `body`, the entry of its erasure. */
  erased?: Record<string, EntryId>
  /** Hex. */
  leaf?: string
}

/** An object with the entries before those in the sidecar, the oldest first. */
export type SidecarPart = { key: string; sha256: Sha256; entries: number }

/** What a sidecar states. Members without a value are left out. */
export type SidecarClaims = {
  v: 1
  iss: string
  /** Seconds since 1970. */
  iat: number
  recordingId: RecordingId
  recording: { [member: string]: Json | undefined }
  upload: { [member: string]: Json | undefined }
  /** Where one was signed. */
  receipt?: string
  clips: ClipId[]
  exhibits: ExhibitId[]
  earlier: SidecarPart[]
  entries: SidecarEntry[]
}

/** What a part holds. */
export type SidecarEntries = { v: 1; recordingId: RecordingId; entries: SidecarEntry[] }
