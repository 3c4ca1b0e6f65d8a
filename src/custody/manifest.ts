import type { CameraSerial, DockId, RecordingId, Sha256, UploadId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { cameraKnown, dockStillMay } from '../docks/queries.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import type { Actor } from '../ledger/entry.ts'
import { record } from '../ledger/record.ts'
import type { Uploader } from '../uploads/actions.ts'
import { announce, type KnownRecording, type KnownUpload, knownFiles, shortfallPage } from './queries.ts'

/** What stands of an announced file (design, section 4). `held` is in custody: only then may a camera be wiped. */
export type FileState =
  | { state: 'owed' }
  | { state: 'uploading'; upload: UploadId }
  | { state: 'verifying'; recording: RecordingId }
  | { state: 'held'; recording: RecordingId }
  | { state: 'quarantined'; recording: RecordingId }
  | { state: 'erased'; recording: RecordingId }

type File = { size: number; sha256: Sha256 }
const held = new Set(['verified', 'active', 'due', 'grace'])

/** The state of one file, from all that is known of its camera. */
export const fileState = (
  file: File,
  dock: DockId,
  known: { uploads: KnownUpload[]; recordings: KnownRecording[] },
): FileState => {
  const declared = known.recordings.filter((each) => each.duplicateOf === null && each.declared === file.sha256)
  const same = known.recordings.filter(
    (each) => each.duplicateOf === null && each.sha256 === file.sha256 && each.size === file.size,
  )
  // Also what was accepted under another digest than the camera declares.
  const taken = [...same, ...declared.filter((each) => each.size === file.size)]
  const inCustody = taken.find((each) => held.has(each.status))
  if (inCustody !== undefined) return { state: 'held', recording: inCustody.id }
  const erased = taken.find((each) => each.status === 'erased' && each.readmittedAt === null)
  if (erased !== undefined) return { state: 'erased', recording: erased.id }
  const uploads = known.uploads.filter((each) => each.sha256 === file.sha256 && each.size === file.size && !each.kept)
  const verifying = uploads.find((each) => each.state === 'stored' || each.state === 'completing')
  if (verifying !== undefined) return { state: 'verifying', recording: verifying.recording }
  const settled = disputed(declared)
  if (settled !== undefined) return { state: 'quarantined', recording: settled }
  const mine = uploads.find((each) => each.state === 'open' && each.dock === dock)
  return mine === undefined ? { state: 'owed' } : { state: 'uploading', upload: mine.id }
}

/** Two uploads that read back alike against one declaration: the declaration is wrong, and sending again proves nothing more. */
const disputed = (declared: KnownRecording[]): RecordingId | undefined => {
  const seen = new Set<string>()
  for (const each of declared) {
    if (each.status !== 'quarantined') continue
    if (each.sha256 === null || each.quarantinedBecause === 'parts-mismatch') continue
    if (each.quarantinedBecause === 'discarded') return each.id
    if (seen.has(each.sha256)) return each.id
    seen.add(each.sha256)
  }
  return undefined
}

const ofUpload = (upload: KnownUpload) => upload.sha256

/** Each recording under the digest it was declared with and the one it has. */
const groupRecordings = (recordings: KnownRecording[]): Map<Sha256, KnownRecording[]> => {
  const groups = new Map<Sha256, KnownRecording[]>()
  for (const each of recordings) {
    for (const digest of new Set([each.declared, each.sha256])) {
      if (digest === null) continue
      const group = groups.get(digest)
      if (group === undefined) groups.set(digest, [each])
      else group.push(each)
    }
  }
  return groups
}

export type Manifest = {
  camera: CameraSerial
  clock?: { camera: Date; dock: Date }
  storageFree?: number
  files: (File & { name: string; recordedAt: Date; number: number | null; sequence: string | null })[]
}

/** Records what a camera holds and answers what is owed of it. Throws `camera-unknown`. */
export const takeManifest = async (engines: Engines, dock: Uploader, manifest: Manifest): Promise<FileState[]> => {
  const { clock, config, db } = engines
  const clockOffset =
    manifest.clock === undefined ? null : (manifest.clock.camera.getTime() - manifest.clock.dock.getTime()) / 1000
  return await inTransaction(db, async (tx) => {
    await dockStillMay(tx, dock)
    await cameraKnown(tx, config, clock, manifest.camera)
    // In one order whoever announces, so that two manifests of one camera never wait for each other.
    const files = [...new Map(manifest.files.map((file) => [`${file.sha256} ${file.size}`, file]))]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([, file]) => file)
    await announce(tx, manifest.camera, dock.id, clockOffset, clock.now(), files)
    const known = await knownFiles(tx, manifest.camera, files)
    const byDigest = { uploads: Map.groupBy(known.uploads, ofUpload), recordings: groupRecordings(known.recordings) }
    const states = manifest.files.map((file) =>
      fileState(file, dock.id, {
        uploads: byDigest.uploads.get(file.sha256) ?? [],
        recordings: byDigest.recordings.get(file.sha256) ?? [],
      }),
    )
    const counts = Object.fromEntries(
      Map.groupBy(states, (each) => each.state)
        .entries()
        .map(([state, all]) => [state, all.length]),
    )
    await record(tx, clock, {
      operation: 'collection',
      action: 'manifest.announced',
      subject: { type: 'camera', id: manifest.camera },
      actor: { kind: 'dock', id: dock.id },
      detail: {
        files: manifest.files.length,
        counts,
        ...(clockOffset === null ? {} : { clockOffset }),
        ...(manifest.storageFree === undefined ? {} : { storageFree: manifest.storageFree }),
      },
    })
    return states
  })
}

/** Two different files announced under one name would make two answers that the dock could not tell apart. */
export const refuseRepeats = (files: { name: string }[]): void => {
  if (new Set(files.map((file) => file.name)).size < files.length)
    throw new Problem('bad-request', 'The manifest names a file twice.')
}

/** What a camera announced and never arrived, a page of it and one row more where there are more; looking is an entry. */
export const listShortfall = async (
  { db, clock }: Engines,
  actor: Actor,
  camera: CameraSerial,
  after: { at: Date; sha256: string } | undefined,
  limit: number,
) =>
  await inTransaction(db, async (tx) => {
    const rows = await shortfallPage(tx, camera, after, limit + 1)
    await record(tx, clock, {
      operation: 'consultation',
      action: 'camera.shortfall',
      subject: { type: 'camera', id: camera },
      actor,
      detail: { found: rows.slice(0, limit).map(({ sha256 }) => sha256) },
    })
    return rows
  })
