import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import type { PurgeId, RecordingId } from '../../src/base/ids.ts'
import { restore } from '../../src/retention/decisions.ts'
import { startPurge } from '../../src/retention/purges.ts'
import { kept } from '../catalogued.ts'
import { type Fault, type FaultyStore, faultyStore, hangs } from '../faulty-store.ts'
import { actionsOn, codeOf } from '../footsteps.ts'
import { type TestInstallation, testInstallation } from '../installation.ts'
import { someOf } from '../long.ts'
import { derived, inForce, type Keepers, keepers, locksOver, statusOf, stored } from '../retained.ts'
import { eventually } from '../system.ts'

let house: TestInstallation
let store: FaultyStore
let people: Keepers
beforeAll(async () => {
  store = await faultyStore(inject('prepared').s3.endpoint)
  house = await testInstallation(inject('prepared'), { S3_ENDPOINT: store.endpoint, WORKER_JOBS: '1' })
  people = await keepers(house.engines)
  await inForce(house.engines, people, { category: null, trigger: 'recorded', period: 'P1D', grace: 'PT2S' })
})
afterAll(async () => {
  await house[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
})
afterEach(async () => {
  store.heal()
  await house.killWorkers()
})

const overdue = async (): Promise<RecordingId> => {
  const id = await kept(house.engines, randomBytes(1000), { recordedAt: new Date(Date.now() - 9 * 86_400_000) })
  await derived(house.engines, id, ['init.mp4', '00001.m4s', '00002.m4s', '00003.m4s'])
  return id
}

const ended = async (id: PurgeId) =>
  await eventually('the end of the purge', async () => {
    const { state, hidden, erased, failed } = await house.engines.db
      .selectFrom('purges')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    return state === 'done' ? { hidden, erased, failed } : undefined
  })

const itemState = async (id: RecordingId) =>
  (
    await house.engines.db
      .selectFrom('purgeItems')
      .select('state')
      .where('recording', '=', id)
      .executeTakeFirstOrThrow()
  ).state

/** Of such requests the store takes so many, and never answers the next. */
const hangsAfter = (count: number, applies: (method: string, url: string) => boolean, reached: () => void): Fault => {
  let passed = 0
  return (exchange) => {
    const { method = '', url = '' } = exchange.request
    if (!applies(method, url)) return exchange.pass()
    passed += 1
    if (passed <= count) return exchange.pass()
    reached()
    return hangs(exchange)
  }
}

const isDelete = (method: string) => method === 'DELETE'

describe('kill -9 of the worker', () => {
  test.for(
    someOf(1, [
      { what: 'when the original went and more is there', deleted: 1, left: 5 },
      { what: 'before the first object went', deleted: 0, left: 6 },
    ]),
  )('in the middle of an erasure, $what, leaves it begun, and another worker ends it', async ({ deleted, left }) => {
    const { engines } = house
    const id = await overdue()
    const worker = await house.startWorker()
    expect(await ended(await startPurge(engines, null))).toMatchObject({ hidden: 1, failed: 0 })
    await locksOver(engines)
    const met = Promise.withResolvers<void>()
    store.on('other', hangsAfter(deleted, isDelete, met.resolve))
    const purge = await startPurge(engines, null)
    await met.promise
    await worker.kill()
    expect([await itemState(id), await statusOf(engines, id)]).toEqual(['erasing', 'grace'])
    expect(await stored(engines, id)).toHaveLength(left)
    expect(await codeOf(restore(engines, people.supervisor, id, 'to have it back'))).toBe('conflict')
    store.heal()
    await house.startWorker()
    expect(await ended(purge)).toEqual({ hidden: 0, erased: 1, failed: 0 })
    expect([await itemState(id), await statusOf(engines, id)]).toEqual(['erased', 'erased'])
    expect(await stored(engines, id)).toEqual([])
    const proof = await engines.db
      .selectFrom('erasures')
      .select('objects')
      .where('recording', '=', id)
      .executeTakeFirstOrThrow()
    // With the sidecar, where the worker had written it by then.
    expect([6, 7]).toContain(proof.objects)
    expect((await actionsOn(engines, id)).filter((action) => action === 'recording.erased')).toHaveLength(1)
  })

  test('before the store protects what was just hidden leaves it hidden, to be restored, and another worker protects it', async () => {
    const { engines } = house
    const [id, other] = [await overdue(), await overdue()]
    const met = Promise.withResolvers<void>()
    const isLock = (method: string, url: string) => method === 'PUT' && url.includes('retention')
    store.on('put', hangsAfter(0, isLock, met.resolve))
    const worker = await house.startWorker()
    const purge = await startPurge(engines, null)
    await met.promise
    await worker.kill()
    expect([await itemState(id), await statusOf(engines, id)]).toEqual(['hiding', 'grace'])
    expect(await codeOf(restore(engines, people.supervisor, other, 'to have it back'))).toBe('accepted')
    store.heal()
    await house.startWorker()
    expect(await ended(purge)).toMatchObject({ hidden: 2, erased: 0 })
    expect([await itemState(id), await statusOf(engines, other)]).toEqual(['grace', 'active'])
    expect(await stored(engines, other)).toHaveLength(6)
  })
})
