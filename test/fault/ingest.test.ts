import { randomBytes } from 'node:crypto'
import { ListPartsCommand } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { completeObject } from '../../src/uploads/completion.ts'
import { originalKey } from '../../src/uploads/upload.ts'
import type { DockDriver, Footage } from '../dock-driver.ts'
import { answersLate, arrivesInPart, arrivesLate, type FaultyStore, faultyStore, readsInPart } from '../faulty-store.ts'
import { mib, type TestInstallation, testInstallation } from '../installation.ts'
import { longTest, someOf } from '../long.ts'
import type { TestProcess } from '../processes.ts'
import { eventually } from '../system.ts'

let house: TestInstallation
let api: TestProcess
let dock: DockDriver
let store: FaultyStore
beforeAll(async () => {
  store = await faultyStore(inject('prepared').s3.endpoint)
  house = await testInstallation(inject('prepared'), { S3_ENDPOINT: store.endpoint, WORKER_JOBS: '1' })
  api = await house.startApi()
  dock = await house.enrol()
})
afterAll(async () => {
  await house[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
})
afterEach(async () => {
  store.heal()
  await house.killWorkers()
})

const never = new Promise<void>(() => undefined)

const uploadOf = async ({ id }: Footage) =>
  await house.engines.db.selectFrom('uploads').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

/** Waits until the store holds this many parts of it. */
const storedParts = async (footage: Footage, count: number): Promise<void> => {
  const { client, bucketNames } = house.engines.store
  const { multipart, recording } = await uploadOf(footage)
  const Key = house.engines.config.S3_KEY_PREFIX + originalKey(recording)
  const asked = { Bucket: bucketNames.originals, Key, UploadId: multipart ?? '' }
  await eventually(`${count} parts in the store`, async () => {
    const { Parts = [] } = await client.send(new ListPartsCommand(asked))
    return Parts.length >= count ? true : undefined
  })
}

const acknowledged = async (footage: Footage, bytes: number): Promise<true> =>
  await eventually(`${bytes} acknowledged bytes`, async () =>
    (await uploadOf(footage)).received >= bytes ? true : undefined,
  )

/** The job that takes the last file into custody. */
const newestJob = async () =>
  await house.engines.db
    .selectFrom('jobs')
    .select(['state', 'attempt', 'failures'])
    .where('name', '=', 'take-into-custody')
    .orderBy('id', 'desc')
    .executeTakeFirstOrThrow()

/** Begins a file of 23 MiB: 6 MiB are acknowledged, and of a second request 12 MiB have been sent. */
const begunUpload = async (checksum: boolean) => {
  const footage = await dock.create(randomBytes(23 * mib + 7))
  expect((await dock.patch(footage, { from: 0, to: 6 * mib, checksum }))?.status).toBe(204)
  const sending = await dock.begin(footage, { from: 6 * mib, checksum })
  await sending.write(footage.bytes.subarray(6 * mib, 18 * mib))
  return { footage, sending, rest: footage.bytes.subarray(18 * mib) }
}

describe('kill -9 of the api', () => {
  test('during a PATCH with a digest loses nothing that was acknowledged, and the upload goes on', async () => {
    const { footage, sending } = await begunUpload(true)
    await storedParts(footage, 3)
    await api.kill()
    expect(await sending.answer).toBe(undefined)
    const [restarted] = await Promise.all([house.startApi(), house.startWorker()])
    api = restarted
    expect(await dock.head(footage)).toBe(6 * mib)
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })

  test('during a PATCH without a digest keeps every part that was stored, and the upload goes on', async () => {
    const { footage, sending } = await begunUpload(false)
    await acknowledged(footage, 15 * mib)
    await api.kill()
    expect(await sending.answer).toBe(undefined)
    const [restarted] = await Promise.all([house.startApi(), house.startWorker()])
    api = restarted
    expect(await dock.head(footage)).toBe(15 * mib)
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })

  test.for(
    someOf(1, [
      { what: 'a part is half way to the store', checksum: false, to: 12 * mib },
      { what: 'a part goes straight on to the store', checksum: true, to: 5 * mib },
    ]),
  )('while $what leaves the upload as it was', async ({ checksum, to }) => {
    const footage = await dock.create(randomBytes(12 * mib))
    const trap = store.on('part', arrivesInPart(mib, never), 1)
    const sending = await dock.begin(footage, { from: 0, to, checksum })
    await sending.write(footage.bytes.subarray(0, to - 1))
    await trap.met
    await api.kill()
    expect(await sending.answer).toBe(undefined)
    const [restarted] = await Promise.all([house.startApi(), house.startWorker()])
    api = restarted
    expect(await dock.head(footage)).toBe(0)
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })
})

describe('kill -9 of a worker', () => {
  test.for(
    someOf(2, [
      { when: 'before it completes the object', lay: () => store.on('complete', arrivesLate(never), 1) },
      {
        when: 'after the store completed it and before anybody knows',
        lay: () => store.on('complete', answersLate(never), 1),
      },
      { when: 'while it reads the object back', lay: () => store.on('read', readsInPart(30 * mib, never), 1) },
    ]),
  )('$when leaves the job to another worker, which gives one receipt', async ({ lay }) => {
    const footage = await dock.create(randomBytes(60 * mib))
    const trap = lay()
    const [worker] = await Promise.all([house.startWorker(), dock.finish(footage)])
    await trap.met
    await worker.kill()
    await house.startWorker()
    await house.proveCustody(dock, footage)
    expect(await newestJob()).toMatchObject({ state: 'done', attempt: 2, failures: 1 })
  })

  test('in the moment in which the store completes the object leaves one object all the same', async () => {
    const footage = await dock.create(randomBytes(30 * mib))
    const gate = Promise.withResolvers<void>()
    const trap = store.on('complete', arrivesLate(gate.promise), 1)
    const [worker] = await Promise.all([house.startWorker(), dock.finish(footage)])
    await trap.met
    gate.resolve()
    await worker.kill()
    await house.startWorker()
    await house.proveCustody(dock, footage)
  })
})

describe('two workers at once', () => {
  test('make one recording of a file that two docks sent, and each dock gets its receipt for it', async () => {
    const other = await house.enrol()
    const bytes = randomBytes(7 * mib)
    const gate = Promise.withResolvers<void>()
    const reading = store.on('read', readsInPart(mib, gate.promise), 2)
    const one = await dock.create(bytes)
    const two = await other.create(bytes, { camera: one.camera })
    await Promise.all([house.startWorker(), house.startWorker(), dock.finish(one), other.finish(two)])
    await eventually('both read it back', async () => (reading.count() === 2 ? true : undefined))
    gate.resolve()
    await Promise.all([dock.receipt(one), other.receipt(two)])
    const claims = [await house.proveCustody(dock, one), await house.proveCustody(other, two)]
    expect(claims[0]?.recordingId).toBe(claims[1]?.recordingId)
  })
})

describe('an attempt that was given up and goes on all the same', () => {
  test.for(someOf(1, ['parts', 'complete'] as const))(
    'and the next, at "%s" by then, find the same one object',
    async (until) => {
      const footage = await dock.create(randomBytes(7 * mib))
      await dock.finish(footage)
      const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
      const slow = store.on('complete', arrivesLate(gates[0].promise), 1)
      const early = completeObject(house.engines, footage.id)
      await slow.met
      const next = store.on(until, arrivesLate(gates[1].promise), 1)
      const late = completeObject(house.engines, footage.id)
      await next.met
      gates[0].resolve()
      const made = await early
      gates[1].resolve()
      expect(await late).toEqual(made)
      await house.startWorker()
      await house.proveCustody(dock, footage)
    },
  )
})

describe('SIGTERM', () => {
  const inTime = () => house.engines.config.STOP_SECONDS * 1000 + 500

  test('lets the api finish a PATCH in flight, and then it is gone', async () => {
    const { footage, sending, rest } = await begunUpload(true)
    await storedParts(footage, 3)
    const stopped = api.stop()
    await api.says('stopping')
    await sending.write(rest)
    sending.end()
    expect((await sending.answer)?.status).toBe(204)
    const { code, ms } = await stopped
    expect(code).toBe(0)
    expect(ms).toBeLessThan(inTime())
    const [restarted] = await Promise.all([house.startApi(), house.startWorker()])
    api = restarted
    await house.proveCustody(dock, footage)
  })

  longTest('ends a PATCH that does not end by itself in time to say so, and it is resumed', async () => {
    const { footage, sending } = await begunUpload(false)
    await acknowledged(footage, 15 * mib)
    const { code, ms } = await api.stop()
    expect(code).toBe(0)
    expect(ms).toBeLessThan(inTime())
    const reply = await sending.answer
    expect(reply?.status).toBe(503)
    expect(reply?.text).toContain('"code":"stopping"')
    expect(reply?.headers['retry-after']).toMatch(/^[1-9]\d*$/)
    const [restarted] = await Promise.all([house.startApi(), house.startWorker()])
    api = restarted
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })

  longTest('does not wait for a store that stands still', async () => {
    const footage = await dock.create(randomBytes(6 * mib))
    const trap = store.on('part', arrivesLate(never))
    const sending = await dock.begin(footage, { from: 0, checksum: true })
    await sending.write(footage.bytes)
    sending.end()
    await trap.met
    const { code, ms } = await api.stop()
    expect(code).toBe(0)
    expect(ms).toBeLessThan(inTime())
    expect((await sending.answer)?.text).toContain('"code":"stopping"')
    trap.lift()
    const [restarted] = await Promise.all([house.startApi(), house.startWorker()])
    api = restarted
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })

  test('makes a worker hand its job back, and another has it at once', async () => {
    const footage = await dock.create(randomBytes(7 * mib))
    const trap = store.on('read', readsInPart(mib, never), 1)
    const [worker] = await Promise.all([house.startWorker(), dock.finish(footage)])
    await trap.met
    const { code, ms } = await worker.stop()
    expect(code).toBe(0)
    expect(ms).toBeLessThan(inTime())
    expect(await newestJob()).toMatchObject({ state: 'owed', failures: 0 })
    await house.startWorker()
    await house.proveCustody(dock, footage)
  })
})
