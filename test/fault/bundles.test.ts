import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import { newId } from '../../src/base/ids.ts'
import { bundleKey } from '../../src/bundles/bundle.ts'
import { askBundle, bundleRow, checkedBag, put, unpacked, zipIn } from '../bundled.ts'
import { aCase } from '../case-files.ts'
import { kept, someone } from '../catalogued.ts'
import { answersLate, type Fault, type FaultyStore, faultyStore, hangs } from '../faulty-store.ts'
import { actionsOn, digestOf } from '../footsteps.ts'
import { mib, type TestInstallation, testInstallation } from '../installation.ts'
import { longTest } from '../long.ts'
import { eventually } from '../system.ts'

let house: TestInstallation
let store: FaultyStore
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-killed-'))
  store = await faultyStore(inject('prepared').s3.endpoint)
  house = await testInstallation(inject('prepared'), { S3_ENDPOINT: store.endpoint, WORKER_JOBS: '1' })
})
afterAll(async () => {
  await house[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})
afterEach(async () => {
  store.heal()
  await house.killWorkers()
})

/** The store takes the first part, and never answers for the second. */
const secondHangs = (): Fault => {
  let passed = 0
  return (exchange) => {
    passed += 1
    return passed === 1 ? exchange.pass() : hangs(exchange)
  }
}

/** A bundle that is owed, of a recording of three parts. */
const owed = async () => {
  const { engines } = house
  const [asha, dora] = [await someone(engines, ['investigator']), await someone(engines, ['disclosure'])]
  const caseId = await aCase(engines, asha, [[dora, 'disclosure']])
  const recordingId = await kept(engines, randomBytes(40 * mib), { camera: `CAM-${newId()}` })
  const exhibit = await put(engines, asha, caseId, 'AB/1', { recordingId })
  return { recordingId, id: await askBundle(engines, dora, caseId, [exhibit]) }
}

const expectOneWhole = async ({ id, recordingId }: Awaited<ReturnType<typeof owed>>) => {
  const { engines } = house
  const row = await eventually('the bundle', async () => {
    const found = await bundleRow(engines, id)
    return found.state === 'ready' || found.state === 'failed' ? found : undefined
  })
  expect(row).toMatchObject({ state: 'ready', failure: null })
  const zip = await zipIn(engines, id)
  expect({ size: row.size, sha256: row.sha256 }).toEqual({
    size: zip?.length,
    sha256: digestOf(zip ?? Buffer.alloc(0)),
  })
  expect(await engines.store.list('derived', 'bundles/')).toContain(bundleKey(id))
  expect(await engines.store.multiparts('derived', bundleKey(id))).toEqual([])
  expect((await checkedBag(await unpacked(engines, id, folder))).wrong).toEqual([])
  expect((await actionsOn(engines, id)).filter((action) => action === 'bundle.made')).toHaveLength(1)
  expect((await actionsOn(engines, recordingId)).filter((action) => action === 'recording.disclosed')).toHaveLength(1)
}

test('kill -9 of the worker in the middle of a bundle leaves one whole bundle, and nothing of the first attempt', async () => {
  const bundle = await owed()
  const trap = store.on('part', secondHangs())
  const worker = await house.startWorker()
  await trap.met
  await eventually('the second part', async () => (trap.count() >= 2 ? true : undefined))
  expect(await bundleRow(house.engines, bundle.id)).toMatchObject({ state: 'working' })
  await worker.kill()
  store.heal()
  expect(await house.engines.store.multiparts('derived', bundleKey(bundle.id))).toHaveLength(1)
  await house.startWorker()
  await expectOneWhole(bundle)
})

longTest('kill -9 of the worker between the last byte and the publication leaves one whole bundle', async () => {
  const bundle = await owed()
  const trap = store.on('complete', answersLate(new Promise(() => undefined)), 1)
  const worker = await house.startWorker()
  await trap.met
  await eventually(
    'the object',
    async () => (await house.engines.store.facts('derived', bundleKey(bundle.id))) ?? undefined,
  )
  await worker.kill()
  expect(await bundleRow(house.engines, bundle.id)).toMatchObject({ state: 'working', sha256: null })
  store.heal()
  await house.startWorker()
  await expectOneWhole(bundle)
})
