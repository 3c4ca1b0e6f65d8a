import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { sql } from 'kysely'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readBack } from '../../src/custody/read-back.ts'
import { learnStorePromises, promisesInWords } from '../../src/engines/enforced.ts'
import { originalKey } from '../../src/uploads/upload.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { aDock, type Sent, sendFile, take } from '../footsteps.ts'

const bytes = Buffer.from('what the camera saw')
let engines: TestEngines
let sent: Sent
beforeAll(async () => {
  engines = await testEngines()
  sent = await sendFile(engines, await aDock(engines), bytes)
  await take(engines, sent.recording)
})
afterAll(async () => await engines[Symbol.asyncDispose]())

const asKept = async (): Promise<boolean> => {
  const { objectVersion, size } = await engines.db
    .selectFrom('recordings')
    .select(['objectVersion', 'size'])
    .where('id', '=', sent.recording)
    .executeTakeFirstOrThrow()
  const read = await readBack(engines.store, {
    recording: sent.recording,
    version: objectVersion ?? '',
    size,
    signal: new AbortController().signal,
    progress: () => undefined,
  })
  return read?.sha256 === sent.sha256
}

const at = () => ({
  Bucket: engines.config.S3_ORIGINALS,
  Key: engines.config.S3_KEY_PREFIX + originalKey(sent.recording),
})

test("writing over an original with the application's own credentials leaves the original as it was", async () => {
  await engines.store.client.send(new PutObjectCommand({ ...at(), Body: 'something else' }))
  expect(await asKept()).toBe(true)
})

test("deleting an original by its name with the application's own credentials leaves the original as it was", async () => {
  await engines.store.client.send(new DeleteObjectCommand(at()))
  expect(await asKept()).toBe(true)
})

const tamperings = [
  "update recordings set sha256 = repeat('0', 64)",
  "update recordings set object_version = 'another'",
  'update recordings set size = 1',
  "update recordings set filename = 'other.mp4'",
  'delete from recordings',
  "update receipts set jws = 'forged'",
  'delete from receipts',
]

test.each(tamperings)("the application's own database role cannot: %s", async (statement) => {
  await expect(sql.raw(statement).execute(engines.db)).rejects.toThrow(/write-once|permission denied/)
  expect(await asKept()).toBe(true)
})

test('not even the owner of the database changes what a receipt was signed over', async () => {
  const owner = new Client({ connectionString: engines.ownerUrl })
  await owner.connect()
  await expect(owner.query("update recordings set sha256 = repeat('0', 64)")).rejects.toThrow(/write-once/)
  await owner.end()
})

test('what the store enforces is learned by trying it, and told in words', async () => {
  const promises = await learnStorePromises(engines.config)
  expect(promises).toEqual({ versions: true, lock: true, digests: true, once: true })
  expect(promisesInWords(promises)).toContain('a locked version resists deletion')
})

test('a store that writes over what it was told to leave is found out, and told in words', async () => {
  // The store of these tests is such a one wherever it keeps versions.
  const promises = await learnStorePromises({ ...engines.config, S3_LEDGER: engines.config.S3_ORIGINALS })
  expect(promises).toMatchObject({ versions: true, once: false })
  expect(promisesInWords(promises)).toContain('NO WRITING ONCE')
})
