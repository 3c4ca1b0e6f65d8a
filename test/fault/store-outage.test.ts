import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import type { DockDriver, Reply } from '../dock-driver.ts'
import { cutsAnswer, type FaultyStore, faultyStore, flips, hangs, isFenced, refuses } from '../faulty-store.ts'
import { mib, type TestInstallation, testInstallation } from '../installation.ts'
import { someOf } from '../long.ts'

let house: TestInstallation
let dock: DockDriver
let store: FaultyStore
beforeAll(async () => {
  store = await faultyStore(inject('prepared').s3.endpoint)
  house = await testInstallation(inject('prepared'), { S3_ENDPOINT: store.endpoint })
  await Promise.all([house.startApi(), house.startWorker()])
  dock = await house.enrol()
})
afterAll(async () => {
  await house[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
})

afterEach(() => store.heal())

const expectUnavailable = (reply: Reply | undefined): void => {
  expect(reply?.text).toContain('"code":"store-unavailable"')
  expect(reply?.status).toBe(503)
  expect(reply?.headers['retry-after']).toMatch(/^[1-9]\d*$/)
}

const file = () => randomBytes(11 * mib + 3)

describe('a store that refuses to work', () => {
  test('for a moment is not noticed by the dock', async () => {
    const footage = await dock.create(file())
    const traps = [
      store.on('begin', refuses(503), 2),
      store.on('part', refuses(503), 3),
      store.on('put', refuses(503), 2),
    ]
    const reply = await dock.patch(footage, { from: 0, to: 6 * mib, checksum: true })
    expect(reply?.status).toBe(204)
    expect(traps.map((trap) => trap.count())).toEqual([2, 3, 2])
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })

  test.for(
    someOf(2, [
      { what: '503', fault: refuses(503), checksum: true, from: 5 * mib },
      { what: '507, being full,', fault: refuses(507), checksum: true, from: 2 * mib },
      { what: '503', fault: refuses(503), checksum: false, from: 2 * mib },
      { what: 'a page of its proxy', fault: isFenced, checksum: true, from: 2 * mib },
    ]),
  )(
    'with $what for good makes the dock wait where it stands (digest: $checksum)',
    async ({ fault, checksum, from }) => {
      const footage = await dock.create(file())
      expect((await dock.patch(footage, { from: 0, to: from, checksum }))?.status).toBe(204)
      const trap = store.on('anything', fault)
      expectUnavailable(await dock.patch(footage, { from, checksum }))
      expect(await dock.head(footage)).toBe(from)
      trap.lift()
      await dock.finish(footage)
      await house.proveCustody(dock, footage)
    },
  )

  test('by never answering makes the dock wait after S3_TIMEOUT_SECONDS', async () => {
    const footage = await dock.create(file())
    const trap = store.on('part', hangs)
    const began = performance.now()
    expectUnavailable(await dock.patch(footage, { from: 0, checksum: true }))
    const { S3_TIMEOUT_SECONDS: seconds } = house.engines.config
    expect(performance.now() - began).toBeGreaterThan(seconds * 1000)
    expect(performance.now() - began).toBeLessThan(seconds * 2000)
    trap.lift()
    expect(await dock.head(footage)).toBe(0)
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })

  test('when the object is to be completed and read back makes the receipt wait, and nothing else', async () => {
    const footage = await dock.create(file())
    const traps = [store.on('complete', refuses(503), 20), store.on('read', refuses(503), 20)]
    await dock.finish(footage)
    await traps[0]?.met
    traps[0]?.lift()
    await traps[1]?.met
    traps[1]?.lift()
    await house.proveCustody(dock, footage)
  })
})

describe('a byte that changes on the way to the store', () => {
  test('once is refused there and sent again, unnoticed by the dock', async () => {
    const footage = await dock.create(file())
    const traps = [store.on('part', flips, 1), store.on('put', flips, 1)]
    const reply = await dock.patch(footage, { from: 0, to: 6 * mib, checksum: true })
    expect(reply?.status).toBe(204)
    expect(traps.map((trap) => trap.count())).toEqual([1, 1])
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })

  test.for(someOf(1, [true, false]))('every time leaves nothing acknowledged (digest: %s)', async (checksum) => {
    const footage = await dock.create(file())
    const trap = store.on('part', flips)
    expectUnavailable(await dock.patch(footage, { from: 0, checksum }))
    expect(await dock.head(footage)).toBe(0)
    trap.lift()
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })
})

describe('a request that is exactly one part, which goes straight on to the store', () => {
  const part = { from: 0, to: 5 * mib, checksum: true }

  test.for(
    someOf(2, [
      { what: 'answers 503', fault: refuses(503), times: 2 },
      { what: 'gets a changed byte', fault: flips, times: 1 },
      { what: 'stores the part and is not heard', fault: cutsAnswer(0), times: 1 },
    ]),
  )('is not noticed to fail when the store $what', async ({ fault, times }) => {
    const footage = await dock.create(file())
    const trap = store.on('part', fault, times)
    expect((await dock.patch(footage, part))?.status).toBe(204)
    expect(trap.count()).toBe(times)
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })

  test.for([
    { what: 'answers 503', fault: refuses(503) },
    { what: 'gets changed bytes', fault: flips },
    { what: 'never answers', fault: hangs },
  ])('leaves the offset where it was when the store $what for good', async ({ fault }) => {
    const footage = await dock.create(file())
    const trap = store.on('part', fault)
    expectUnavailable(await dock.patch(footage, part))
    expect(await dock.head(footage)).toBe(0)
    trap.lift()
    await dock.finish(footage)
    await house.proveCustody(dock, footage)
  })
})

describe('a connection to the store that breaks', () => {
  test('after a part was stored and before the api heard so is not noticed by the dock', async () => {
    const footage = await dock.create(file())
    const trap = store.on('part', cutsAnswer(0), 1)
    expect((await dock.patch(footage, { from: 0, checksum: true }))?.status).toBe(204)
    expect(trap.count()).toBe(1)
    await house.proveCustody(dock, footage)
  })

  test('after the object was completed and before the worker heard so leaves one object', async () => {
    const footage = await dock.create(file())
    const trap = store.on('complete', cutsAnswer(0), 1)
    await dock.finish(footage)
    await trap.met
    await house.proveCustody(dock, footage)
  })

  test('in the middle of the read-back is no reason for quarantine', async () => {
    const footage = await dock.create(file())
    const trap = store.on('read', cutsAnswer(5 * mib), 2)
    await dock.finish(footage)
    await trap.met
    await house.proveCustody(dock, footage)
    expect(trap.count()).toBe(2)
  })
})
