import { canonical } from '../base/canonical.ts'
import { hex, sha256 } from '../base/digest.ts'
import type { RecordingId } from '../base/ids.ts'
import { iso } from '../base/time.ts'
import type { Tx } from '../engines/postgres.ts'
import type { RecordingRow, UploadRow } from '../engines/tables.ts'
import { partKey, type SidecarClaims, type SidecarEntries, type SidecarEntry } from './sidecar.ts'
import { type Body, bodiesOf, type Facts, type Place } from './sidecar-queries.ts'

const isoOrNot = (at: Date | null): string | undefined => (at === null ? undefined : iso(at))

const recordingOf = (row: RecordingRow, officer: string | undefined): SidecarClaims['recording'] => ({
  dock: row.dock,
  camera: row.camera,
  officer,
  filename: row.filename,
  size: row.size,
  sha256: row.sha256 ?? undefined,
  recordedAt: iso(row.recordedAt),
  clockOffset: row.clockOffset ?? undefined,
  correctedAt: iso(row.correctedAt),
  receivedAt: iso(row.receivedAt),
  status: row.status,
  quarantinedBecause: row.quarantinedBecause ?? undefined,
  flags: row.flags,
  category: row.category ?? undefined,
  incident: row.incident ?? undefined,
  number: row.number ?? undefined,
  sequence: row.sequence ?? undefined,
  duration: row.duration ?? undefined,
  mediaType: row.mediaType ?? undefined,
  tracks: row.tracks,
  facts: row.facts,
  objectVersion: row.objectVersion ?? undefined,
  readmittedAt: isoOrNot(row.readmittedAt),
})

/** `declared` is what the dock said, word for word: the officer it believed in is among it. */
const uploadOf = (row: UploadRow): SidecarClaims['upload'] => ({
  id: row.id,
  state: row.state,
  kept: row.kept,
  size: row.size,
  received: row.received,
  sha256: row.sha256 ?? undefined,
  createdAt: iso(row.createdAt),
  declared: row.metadata,
})

/** All that is said of a recording but the entries. */
export const factsIn = (recording: RecordingRow, { upload, receipt, officer, clips, exhibits }: Facts) => ({
  recordingId: recording.id,
  recording: recordingOf(recording, officer),
  upload: uploadOf(upload),
  ...(receipt === undefined ? {} : { receipt }),
  clips,
  exhibits,
})

const entryOf = ({ id, origin: log, index }: Place, body: Body | undefined): SidecarEntry => {
  if (body === undefined)
    throw new Error(`entry ${id} is a leaf of the log and no longer in the database; run exhibit ledger audit`)
  const { entry, salt, parts, erased, leaf } = body
  return {
    id,
    log,
    index,
    ...(entry === null || salt === null
      ? { leaf: leaf.toString('hex') }
      : { entry: JSON.parse(entry), salt: salt.toString('hex'), parts }),
    ...(Object.keys(erased).length === 0 ? {} : { erased }),
  }
}

/** The entries that stand at these places, in this order. Throws where one is lost. */
export const entriesAt = async (tx: Tx, places: readonly Place[]): Promise<SidecarEntry[]> => {
  const ids = places.map(({ id }) => id)
  const bodies = await bodiesOf(tx, ids)
  return places.map((place) => entryOf(place, bodies.get(place.id)))
}

/** A part with these entries: the same entries give the same object. */
export const partWith = (recordingId: RecordingId, number: number, entries: SidecarEntry[]) => {
  const bytes = Buffer.from(canonical({ v: 1, recordingId, entries } satisfies SidecarEntries))
  const digest = sha256(bytes)
  const part = { key: partKey(recordingId, number, hex(digest)), sha256: hex(digest), entries: entries.length }
  return { bytes, digest, part }
}
