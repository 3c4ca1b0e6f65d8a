import { randomBytes } from 'node:crypto'
import { compactVerify, importJWK } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CameraSerial } from '../../src/base/ids.ts'
import { acceptRecording, approveDiscardOf, askDiscard, clearRecording } from '../../src/custody/disputes.ts'
import { takeManifest } from '../../src/custody/manifest.ts'
import { uploadReceipt } from '../../src/custody/receipts.ts'
import type { Uploader } from '../../src/uploads/actions.ts'
import { clearUpload } from '../../src/uploads/completion.ts'
import { originalKey } from '../../src/uploads/upload.ts'
import { expireUploads, keepUpload, removeExpiredParts } from '../../src/uploads/worklist.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { actionsOn, aDock, aPerson, codeOf, digestOf, sendFile, take } from '../footsteps.ts'

const clock = {
  ahead: 0,
  now: () => new Date(Date.now() + clock.ahead),
  instant: () => Temporal.Instant.fromEpochMilliseconds(Date.now() + clock.ahead),
}
let engines: TestEngines
let dock: Uploader
beforeAll(async () => {
  engines = await testEngines({ clock })
  dock = await aDock(engines)
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const recordingOf = async (id: string) =>
  await engines.db
    .selectFrom('recordings')
    .selectAll()
    .where('upload', '=', id as never)
    .executeTakeFirstOrThrow()

const stateOf = async (
  bytes: Buffer,
  { camera = 'CAM-1', declared = digestOf(bytes), by = dock, name = 'a.mp4' } = {},
) => {
  const file = {
    name,
    size: bytes.length,
    sha256: declared as ReturnType<typeof digestOf>,
    recordedAt: new Date('2026-11-20T08:00:00Z'),
    number: null,
    sequence: null,
  }
  const [state] = await takeManifest(engines, by, { camera: camera as CameraSerial, files: [file] })
  return state?.state
}

const receiptOf = async (upload: Parameters<typeof uploadReceipt>[2], by = dock) => {
  const answer = await uploadReceipt(engines, { kind: 'dock', dock: by }, upload)
  if (!('jws' in answer)) throw new Error('no receipt yet')
  const verified = await compactVerify(answer.jws, await importJWK(engines.receiptKey.publicJwk, 'EdDSA'))
  expect(verified.protectedHeader).toEqual({ alg: 'EdDSA', typ: 'exhibit-receipt+jwt', kid: engines.receiptKey.kid })
  return JSON.parse(new TextDecoder().decode(verified.payload))
}

test('a file is owed, then verifying, then held, and its receipt says what was read back', async () => {
  const bytes = randomBytes(300_000)
  expect(await stateOf(bytes)).toBe('owed')
  const { upload, recording, sha256 } = await sendFile(engines, dock, bytes)
  expect(await stateOf(bytes)).toBe('verifying')
  expect(await uploadReceipt(engines, { kind: 'dock', dock }, upload)).toEqual({ owed: true })
  await take(engines, recording)
  expect(await stateOf(bytes)).toBe('held')
  const claims = await receiptOf(upload)
  expect(claims).toMatchObject({
    uploadId: upload,
    recordingId: recording,
    camera: 'CAM-1',
    size: bytes.length,
    sha256,
    filename: 'BWC_0001.MP4',
  })
  const entry = await engines.db
    .selectFrom('entries')
    .selectAll()
    .where('id', '=', claims.entryId)
    .executeTakeFirstOrThrow()
  expect(entry.leaf.toString('hex')).toBe(claims.leaf)
  expect(await actionsOn(engines, recording)).toEqual(['recording.verified', 'recording.examined'])
  expect(await recordingOf(upload)).toMatchObject({ status: 'active', sha256, flags: ['unplayable'] })
})

test('taking a recording into custody again changes nothing and signs nothing', async () => {
  const { upload, recording } = await sendFile(engines, dock, randomBytes(1000))
  await take(engines, recording)
  const before = await receiptOf(upload)
  expect(await take(engines, recording)).toMatchObject({ outcome: 'skipped' })
  expect(await receiptOf(upload)).toEqual(before)
})

test('a recording whose examination was cut off is only examined when the job comes again', async () => {
  const { upload, recording } = await sendFile(engines, dock, randomBytes(1000))
  let fences = 0
  const cut = take(engines, recording, {
    fence: async () => {
      if (++fences === 3) throw new Error('the worker was killed')
    },
  })
  await expect(cut).rejects.toThrow('killed')
  expect((await recordingOf(upload)).status).toBe('verified')
  const receipt = await receiptOf(upload)
  await take(engines, recording)
  expect((await recordingOf(upload)).status).toBe('active')
  expect(await receiptOf(upload)).toEqual(receipt)
})

test('the same file sent twice is one recording, and both receipts name it', async () => {
  const bytes = randomBytes(2000)
  const first = await sendFile(engines, dock, bytes)
  const second = await sendFile(engines, dock, bytes)
  await take(engines, first.recording)
  await take(engines, second.recording)
  expect((await receiptOf(second.upload)).recordingId).toBe(first.recording)
  expect(await recordingOf(second.upload)).toMatchObject({ duplicateOf: first.recording })
  await clearRecording(engines, second.recording)
  expect(await engines.store.versions('originals', originalKey(second.recording))).toEqual([])
  expect(await engines.store.versions('originals', originalKey(first.recording))).toHaveLength(1)
})

test('the same file sent from two docks at once is one recording, and each dock gets its receipt', async () => {
  const bytes = randomBytes(2000)
  const other = await aDock(engines)
  const [first, second] = await Promise.all([sendFile(engines, dock, bytes), sendFile(engines, other, bytes)])
  await Promise.all([take(engines, first.recording), take(engines, second.recording)])
  const one = (await receiptOf(first.upload)).recordingId
  expect((await receiptOf(second.upload, other)).recordingId).toBe(one)
  const rows = await engines.db
    .selectFrom('recordings')
    .select('duplicateOf')
    .where('sha256', '=', digestOf(bytes))
    .execute()
  expect(rows.filter((row) => row.duplicateOf === null)).toHaveLength(1)
})

test('a camera that moved to another dock starts anew there, and the first verified ends the other upload', async () => {
  const bytes = randomBytes(6_000_000)
  const other = await aDock(engines)
  const begun = await sendFile(engines, dock, bytes, { upTo: 5_500_000 })
  expect(await stateOf(bytes)).toBe('uploading')
  expect(await stateOf(bytes, { by: other })).toBe('owed')
  const { recording } = await sendFile(engines, other, bytes)
  await take(engines, recording)
  expect(await stateOf(bytes)).toBe('held')
  expect(
    (await engines.db.selectFrom('uploads').select('state').where('id', '=', begun.upload).executeTakeFirstOrThrow())
      .state,
  ).toBe('ended')
  await clearUpload(engines, begun.upload)
  expect(await engines.store.list('staging', `uploads/${begun.upload}/`)).toEqual([])
})

test('a different file under the same name is a second recording', async () => {
  const one = await sendFile(engines, dock, randomBytes(500), { name: 'same.mp4' })
  const two = await sendFile(engines, dock, randomBytes(500), { name: 'same.mp4' })
  await take(engines, one.recording)
  await take(engines, two.recording)
  expect((await recordingOf(two.upload)).duplicateOf).toBeNull()
})

test('a file that is not what was declared is quarantined, gets no receipt and is owed once more', async () => {
  const bytes = randomBytes(1000)
  const declared = digestOf(randomBytes(1))
  const { upload, recording } = await sendFile(engines, dock, bytes, { declared })
  await take(engines, recording)
  expect(await recordingOf(upload)).toMatchObject({
    status: 'quarantined',
    quarantinedBecause: 'digest-mismatch',
    sha256: digestOf(bytes),
  })
  expect(await codeOf(uploadReceipt(engines, { kind: 'dock', dock }, upload))).toBe('quarantined')
  expect(await stateOf(bytes, { declared })).toBe('owed')
  expect(await engines.store.versions('originals', originalKey(recording))).toHaveLength(1)
})

test('a second upload that reads back the same ends the sending, and a supervisor accepts it under the digest that was read', async () => {
  const bytes = randomBytes(1000)
  const declared = digestOf(randomBytes(1))
  const first = await sendFile(engines, dock, bytes, { declared })
  await take(engines, first.recording)
  const second = await sendFile(engines, dock, bytes, { declared })
  await take(engines, second.recording)
  expect(await stateOf(bytes, { declared })).toBe('quarantined')
  const supervisor = await aPerson(engines, 'supervisor')
  await acceptRecording(engines, supervisor, first.recording, 'the camera computes digests wrongly')
  expect(await uploadReceipt(engines, { kind: 'dock', dock }, first.upload)).toEqual({ owed: true })
  await take(engines, first.recording)
  expect(await receiptOf(first.upload)).toMatchObject({ sha256: digestOf(bytes) })
  expect((await recordingOf(first.upload)).flags).toContain('digest_disputed')
  expect((await receiptOf(second.upload)).recordingId).toBe(first.recording)
  expect(await stateOf(bytes, { declared })).toBe('held')
})

test('a quarantined recording is discarded by two people only, and then the dock stops sending it', async () => {
  const bytes = randomBytes(1000)
  const declared = digestOf(randomBytes(1))
  const { recording, upload } = await sendFile(engines, dock, bytes, { declared })
  await take(engines, recording)
  const [asker, other] = [await aPerson(engines, 'supervisor'), await aPerson(engines, 'supervisor')]
  expect(await codeOf(approveDiscardOf(engines, other, recording, 'r'))).toBe('conflict')
  await askDiscard(engines, asker, recording, 'test footage')
  expect(await codeOf(approveDiscardOf(engines, asker, recording, 'r'))).toBe('same-person')
  await approveDiscardOf(engines, other, recording, 'test footage')
  await clearRecording(engines, recording)
  expect(await engines.store.versions('originals', originalKey(recording))).toEqual([])
  expect(await stateOf(bytes, { declared })).toBe('quarantined')
  expect(await codeOf(uploadReceipt(engines, { kind: 'dock', dock }, upload))).toBe('quarantined')
  expect(await actionsOn(engines, recording)).toEqual([
    'recording.quarantined',
    'recording.discard-asked',
    'recording.discarded',
  ])
})

test('evidence is never cleared by the job that clears duplicates', async () => {
  const { recording } = await sendFile(engines, dock, randomBytes(100))
  await take(engines, recording)
  expect(await clearRecording(engines, recording)).toBe(false)
  expect(await engines.store.versions('originals', originalKey(recording))).toHaveLength(1)
})

test('bytes that the store damaged after it acknowledged them are found at read-back', async () => {
  const bytes = randomBytes(3000)
  const { recording, upload } = await sendFile(engines, dock, bytes, { declared: null })
  const row = await engines.db
    .selectFrom('uploads')
    .select('multipart')
    .where('id', '=', upload)
    .executeTakeFirstOrThrow()
  const other = randomBytes(3000)
  const { createHash } = await import('node:crypto')
  const etag = await engines.store.putPart('originals', originalKey(recording), row.multipart ?? '', {
    number: 1,
    body: other,
    sha256: createHash('sha256').update(other).digest(),
  })
  await engines.db.updateTable('uploadParts').set({ etag }).where('upload', '=', upload).execute()
  await take(engines, recording)
  expect(await recordingOf(upload)).toMatchObject({ status: 'quarantined', quarantinedBecause: 'parts-mismatch' })
})

test('an upload whose parts the store lost is quarantined and owed again, not retried for ever', async () => {
  const bytes = randomBytes(3000)
  const { recording, upload } = await sendFile(engines, dock, bytes)
  const row = await engines.db
    .selectFrom('uploads')
    .select('multipart')
    .where('id', '=', upload)
    .executeTakeFirstOrThrow()
  await engines.store.abortMultipart('originals', originalKey(recording), row.multipart ?? '')
  await take(engines, recording)
  expect((await recordingOf(upload)).status).toBe('quarantined')
  expect(await stateOf(bytes)).toBe('owed')
})

test('an upload cut off for good can be kept by a supervisor as truncated, is read back, and gets no receipt', async () => {
  const bytes = randomBytes(9_000_000)
  const { upload, recording } = await sendFile(engines, dock, bytes, { upTo: 8_000_001 })
  const supervisor = { kind: 'person', id: 'supervisor' } as const
  expect(await codeOf(keepUpload(engines, supervisor, upload, 'r'))).toBe('conflict')
  clock.ahead = 169 * 3_600_000
  expect(await expireUploads(engines)).toBeGreaterThan(0)
  clock.ahead = 0
  expect(await stateOf(bytes)).toBe('owed')
  await keepUpload(engines, supervisor, upload, 'the camera was destroyed')
  await take(engines, recording)
  expect(await recordingOf(upload)).toMatchObject({
    status: 'active',
    size: 8_000_001,
    sha256: digestOf(bytes.subarray(0, 8_000_001)),
  })
  expect((await recordingOf(upload)).flags).toContain('truncated')
  expect(await codeOf(uploadReceipt(engines, { kind: 'dock', dock }, upload))).toBe('upload-incomplete')
  expect(await stateOf(bytes)).toBe('owed')
})

test('what nobody kept is removed only after the second period, with an entry', async () => {
  const bytes = randomBytes(6_000_000)
  const { upload } = await sendFile(engines, dock, bytes, { upTo: 5_500_000 })
  clock.ahead = 169 * 3_600_000
  await expireUploads(engines)
  expect(await removeExpiredParts(engines)).toBe(0)
  clock.ahead = (169 + 721) * 3_600_000
  expect(await removeExpiredParts(engines)).toBeGreaterThan(0)
  clock.ahead = 0
  await clearUpload(engines, upload)
  expect(await actionsOn(engines, upload)).toEqual(['upload.created', 'upload.expired', 'upload.parts-removed'])
  expect(await stateOf(bytes)).toBe('owed')
})

test('a hole in the numbers of a camera is flagged, and no longer once the missing file arrives', async () => {
  const camera = 'CAM-GAP'
  const one = await sendFile(engines, dock, randomBytes(10), { camera, number: 1 })
  const three = await sendFile(engines, dock, randomBytes(11), { camera, number: 3 })
  await take(engines, one.recording)
  await take(engines, three.recording)
  expect((await recordingOf(one.upload)).flags).not.toContain('sequence_gap')
  expect((await recordingOf(three.upload)).flags).toContain('sequence_gap')
  const two = await sendFile(engines, dock, randomBytes(12), { camera, number: 2 })
  await take(engines, two.recording)
  expect((await recordingOf(three.upload)).flags).not.toContain('sequence_gap')
})

test.each(['2001-01-01T00:00:00Z', '2090-06-01T00:00:00Z'])(
  'a clock in %s is flagged and never refused',
  async (at) => {
    const { upload, recording } = await sendFile(engines, dock, randomBytes(100), { recordedAt: new Date(at) })
    await take(engines, recording)
    expect((await recordingOf(upload)).flags).toContain('clock_implausible')
  },
)

test('a camera whose clock is off is flagged, and the corrected time is kept beside the recorded one', async () => {
  const bytes = randomBytes(100)
  const file = {
    name: 'drift.mp4',
    size: bytes.length,
    sha256: digestOf(bytes),
    recordedAt: new Date('2026-11-20T08:00:00Z'),
    number: null,
    sequence: null,
  }
  const clocks = { camera: new Date('2026-11-20T10:02:00Z'), dock: new Date('2026-11-20T10:00:00Z') }
  await takeManifest(engines, dock, { camera: 'CAM-D' as CameraSerial, clock: clocks, files: [file] })
  const { upload, recording } = await sendFile(engines, dock, bytes, { camera: 'CAM-D' })
  await take(engines, recording)
  const row = await recordingOf(upload)
  expect(row).toMatchObject({ clockOffset: 120, correctedAt: new Date('2026-11-20T07:58:00Z') })
  expect(row.flags).toContain('clock_drift')
})

test('a file of no bytes is taken into custody, and its receipt says so', async () => {
  const { upload, recording } = await sendFile(engines, dock, Buffer.alloc(0))
  await take(engines, recording)
  expect(await receiptOf(upload)).toMatchObject({ size: 0, sha256: digestOf(Buffer.alloc(0)) })
})
