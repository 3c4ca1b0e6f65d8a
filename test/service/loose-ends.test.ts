import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CameraSerial, RecordingId, UploadId } from '../../src/base/ids.ts'
import { Problem } from '../../src/base/problem.ts'
import { acceptRecording, approveDiscardOf, askDiscard, clearRecording } from '../../src/custody/disputes.ts'
import { takeManifest } from '../../src/custody/manifest.ts'
import { recordingReceipt, uploadReceipt } from '../../src/custody/receipts.ts'
import type { Engines } from '../../src/engines/engines.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { appendToUpload, terminateUpload, type Uploader, uploadOfDock } from '../../src/uploads/actions.ts'
import { clearUpload, completeObject } from '../../src/uploads/completion.ts'
import { makeIngest } from '../../src/uploads/ingest.ts'
import { setState } from '../../src/uploads/queries.ts'
import { originalKey, stagingPrefix } from '../../src/uploads/upload.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { actionsOn, aDock, aPerson, codeOf, digestOf, sendFile, take } from '../footsteps.ts'

let engines: TestEngines
let dock: Uploader
beforeAll(async () => {
  engines = await testEngines({ env: { UPLOAD_PART_MIB: '5' } })
  dock = await aDock(engines)
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const rowOf = async (id: RecordingId) =>
  await engines.db.selectFrom('recordings').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

const uploadRow = async (id: UploadId) =>
  await engines.db.selectFrom('uploads').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

const manifest = async (bytes: Buffer, declared = digestOf(bytes), more: object = {}) => {
  const file = {
    name: 'a.mp4',
    size: bytes.length,
    sha256: declared,
    recordedAt: new Date('2026-11-20T08:00:00Z'),
    number: null,
    sequence: null,
  }
  const [state] = await takeManifest(engines, dock, { camera: 'CAM-1' as CameraSerial, files: [file], ...more })
  return state?.state
}

const multipartsAt = async (id: RecordingId): Promise<string[]> => {
  const { Uploads = [] } = await engines.store.client.send(
    new ListMultipartUploadsCommand({
      Bucket: engines.config.S3_ORIGINALS,
      Prefix: engines.config.S3_KEY_PREFIX + originalKey(id),
    }),
  )
  return Uploads.flatMap(({ UploadId }) => (UploadId === undefined ? [] : [UploadId]))
}

/** The same engines with one call to the store done differently. */
const withStore = (over: Partial<Engines['store']>): Engines => ({ ...engines, store: { ...engines.store, ...over } })

test.each([
  ['9999-12-31T23:59:59Z', '0001-01-01T00:00:00Z', '0001-01-01T00:00:00Z'],
  ['0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z', '9999-12-31T23:59:59Z'],
])('clocks thousands of years apart (%s, %s) keep no footage out', async (camera, dockClock, recordedAt) => {
  const bytes = randomBytes(100)
  await manifest(bytes, digestOf(bytes), { clock: { camera: new Date(camera), dock: new Date(dockClock) } })
  const { recording, upload } = await sendFile(engines, dock, bytes, { recordedAt: new Date(recordedAt) })
  await take(engines, recording)
  expect((await rowOf(recording)).flags).toEqual(expect.arrayContaining(['clock_drift', 'clock_implausible']))
  expect(await uploadReceipt(engines, { kind: 'dock', dock }, upload)).toHaveProperty('jws')
})

test('a quarantined file gets no receipt because another file reads the same', async () => {
  const bytes = randomBytes(1000)
  const declared = digestOf(randomBytes(1))
  const wrong = await sendFile(engines, dock, bytes, { declared })
  await take(engines, wrong.recording)
  const right = await sendFile(engines, dock, bytes)
  await take(engines, right.recording)
  expect(await codeOf(uploadReceipt(engines, { kind: 'dock', dock }, wrong.upload))).toBe('quarantined')
  expect(await rowOf(wrong.recording)).toMatchObject({ status: 'quarantined', duplicateOf: null })
  await acceptRecording(engines, await aPerson(engines, 'supervisor'), wrong.recording, 'the same file')
  await take(engines, wrong.recording)
  expect(await uploadReceipt(engines, { kind: 'dock', dock }, wrong.upload)).toHaveProperty('jws')
  expect((await rowOf(wrong.recording)).duplicateOf).toBe(right.recording)
})

test('discarding what the store damaged does not keep the camera from sending the file again', async () => {
  const bytes = randomBytes(1000)
  const { recording, upload } = await sendFile(engines, dock, bytes)
  const { multipart } = await uploadRow(upload)
  await engines.store.abortMultipart('originals', originalKey(recording), multipart ?? '')
  await take(engines, recording)
  const [asker, other] = [await aPerson(engines, 'supervisor'), await aPerson(engines, 'supervisor')]
  await askDiscard(engines, asker, recording, 'damaged')
  await approveDiscardOf(engines, other, recording, 'damaged')
  expect(await manifest(bytes)).toBe('owed')
})

test('pieces in staging go when a worker was cut off between the receipt and clearing them', async () => {
  const bytes = randomBytes(100_000)
  const { recording, upload } = await sendFile(engines, dock, bytes)
  await engines.store.put('staging', `${stagingPrefix(upload)}0-99`, bytes, Buffer.from(digestOf(bytes), 'hex'))
  const away = withStore({
    list: async () => {
      throw new Problem('store-unavailable')
    },
  })
  expect(await codeOf(take(away, recording))).toBe('store-unavailable')
  expect((await rowOf(recording)).status).toBe('verified')
  await take(engines, recording)
  expect(await engines.store.list('staging', stagingPrefix(upload))).toEqual([])
})

test('pieces in staging go when a worker was cut off after quarantining', async () => {
  const bytes = randomBytes(100_000)
  const { recording, upload } = await sendFile(engines, dock, bytes, { declared: digestOf(randomBytes(1)) })
  await engines.store.put('staging', `${stagingPrefix(upload)}0-99`, bytes, Buffer.from(digestOf(bytes), 'hex'))
  const away = withStore({
    list: async () => {
      throw new Problem('store-unavailable')
    },
  })
  expect(await codeOf(take(away, recording))).toBe('store-unavailable')
  expect(await take(engines, recording)).toMatchObject({ outcome: 'skipped' })
  expect(await engines.store.list('staging', stagingPrefix(upload))).toEqual([])
})

test('a multipart upload begun while the dock gives the upload up is not left in the store', async () => {
  const bytes = randomBytes(1000)
  const { recording, upload } = await sendFile(engines, dock, bytes, { upTo: 0 })
  await engines.db.updateTable('uploads').set({ multipart: null }).where('id', '=', upload).execute()
  for (const each of await multipartsAt(recording))
    await engines.store.abortMultipart('originals', originalKey(recording), each)
  const racing = withStore({
    startMultipart: async (...asked) => {
      const made = await engines.store.startMultipart(...asked)
      await terminateUpload(engines, makeIngest(engines), dock, upload)
      await clearUpload(engines, upload)
      return made
    },
  })
  const append = { offset: 0, length: 1, checksum: undefined, body: Readable.from([bytes.subarray(0, 1)]) }
  expect(await codeOf(appendToUpload(racing, makeIngest(racing), dock, upload, append))).toBe('gone')
  expect(await multipartsAt(recording)).toEqual([])
})

test('a multipart upload that a crash left unknown goes once the object is in custody', async () => {
  const { recording } = await sendFile(engines, dock, randomBytes(1000))
  const at = { Bucket: engines.config.S3_ORIGINALS, Key: engines.config.S3_KEY_PREFIX + originalKey(recording) }
  await engines.store.client.send(new CreateMultipartUploadCommand(at))
  expect(await multipartsAt(recording)).toHaveLength(2)
  await take(engines, recording)
  expect(await multipartsAt(recording)).toEqual([])
})

test('a part that the store no longer has as it was acknowledged is quarantined and owed again, and nothing of it stays after a discard', async () => {
  const bytes = randomBytes(1000)
  const { recording, upload } = await sendFile(engines, dock, bytes)
  await engines.db
    .updateTable('uploadParts')
    .set({ etag: '"00000000000000000000000000000000"' })
    .where('upload', '=', upload)
    .execute()
  await take(engines, recording)
  expect(await rowOf(recording)).toMatchObject({ status: 'quarantined', quarantinedBecause: 'parts-mismatch' })
  expect(await manifest(bytes)).toBe('owed')
  expect(await multipartsAt(recording)).toHaveLength(1)
  const [asker, other] = [await aPerson(engines, 'supervisor'), await aPerson(engines, 'supervisor')]
  await askDiscard(engines, asker, recording, 'damaged')
  await approveDiscardOf(engines, other, recording, 'damaged')
  await clearRecording(engines, recording)
  expect(await multipartsAt(recording)).toEqual([])
})

test('an upload ended elsewhere while its bytes are on their way is gone, not an error of ours', async () => {
  const bytes = randomBytes(1000)
  const { upload } = await sendFile(engines, dock, bytes, { upTo: 0 })
  const racing = withStore({
    putPart: async (...asked) => {
      await terminateUpload(engines, makeIngest(engines), dock, upload)
      await clearUpload(engines, upload)
      return await engines.store.putPart(...asked)
    },
  })
  const append = { offset: 0, length: bytes.length, checksum: undefined, body: Readable.from([bytes]) }
  expect(await codeOf(appendToUpload(racing, makeIngest(racing), dock, upload, append))).toBe('gone')
})

test('a worker that fell behind does not take a verified upload back to completing', async () => {
  const { upload } = await sendFile(engines, dock, randomBytes(1000))
  const { db } = engines
  const [concluded, seen] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const other = inTransaction(db, async (tx) => {
    await setState(tx, upload, 'verified')
    concluded.resolve()
    await seen.promise
  })
  await concluded.promise
  const late = completeObject(engines, upload)
  const waiting = sql<{ n: number }>`select count(*)::int as n from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`
  await expect.poll(async () => (await waiting.execute(db)).rows[0]?.n).toBe(1)
  seen.resolve()
  await Promise.all([other, late])
  expect((await uploadRow(upload)).state).toBe('verified')
})

test.each([
  "update recordings set status = 'received'",
  "update recordings set status = 'quarantined', quarantined_because = 'discarded'",
  "update recordings set duplicate_of = (select id from recordings order by id limit 1), status = 'active'",
])('not even the application takes footage out of custody by: %s', async (statement) => {
  const { recording } = await sendFile(engines, dock, randomBytes(1000))
  await take(engines, recording)
  await expect(sql.raw(`${statement} where id = '${recording}'`).execute(engines.db)).rejects.toThrow(/write-once/)
})

test("a dock that asks for another dock's upload or its receipt is refused with an entry", async () => {
  const { upload } = await sendFile(engines, dock, randomBytes(1000))
  const other = await aDock(engines)
  expect(await codeOf(uploadOfDock(engines, other, upload))).toBe('not-found')
  expect(await codeOf(uploadReceipt(engines, { kind: 'dock', dock: other }, upload))).toBe('not-found')
  expect((await actionsOn(engines, upload)).slice(-2)).toEqual(['upload.write', 'receipt.read'])
})

test('a person who reads a receipt, or may not know of it, leaves an entry', async () => {
  const { recording, upload } = await sendFile(engines, dock, randomBytes(1000))
  await take(engines, recording)
  const supervisor = { kind: 'person', person: await aPerson(engines, 'supervisor') } as const
  const officer = { kind: 'person', person: await aPerson(engines, 'officer') } as const
  expect(await recordingReceipt(engines, supervisor, recording)).toHaveProperty('jws')
  expect(await uploadReceipt(engines, supervisor, upload)).toHaveProperty('jws')
  expect(await codeOf(recordingReceipt(engines, officer, recording))).toBe('not-found')
  expect((await actionsOn(engines, recording)).slice(-3)).toEqual(['receipt.read', 'receipt.read', 'receipt.read'])
})

test('an upload whose parts the store lost on the way is ended with an entry, and the file is owed anew', async () => {
  const bytes = randomBytes(12_000_000)
  const { upload, recording } = await sendFile(engines, dock, bytes, { upTo: 6_000_000 })
  const { multipart } = await uploadRow(upload)
  await engines.store.abortMultipart('originals', originalKey(recording), multipart ?? '')
  const { received } = await uploadRow(upload)
  const append = { offset: received, length: bytes.length - received, checksum: undefined }
  const body = Readable.from([bytes.subarray(received)], { objectMode: false })
  expect(await codeOf(appendToUpload(engines, makeIngest(engines), dock, upload, { ...append, body }))).toBe('gone')
  expect((await uploadRow(upload)).state).toBe('ended')
  expect(await actionsOn(engines, upload)).toEqual(['upload.created', 'upload.lost-by-store'])
  expect(await manifest(bytes)).toBe('owed')
})
