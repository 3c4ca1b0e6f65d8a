import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, expect, inject } from 'vitest'
import { DownloadView } from '../../src/downloads/schemas.ts'
import { entryOfLeaf } from '../../src/ledger/log/queries.ts'
import { isSequencingOwed } from '../../src/ledger/log/sequencer.ts'
import { lookAtLog } from '../../src/ledger/log/standing.ts'
import type { DockDriver } from '../dock-driver.ts'
import { type FaultyStore, faultyStore, refuses } from '../faulty-store.ts'
import { type TestInstallation, testInstallation } from '../installation.ts'
import { proveLog } from '../logged.ts'
import { longTest } from '../long.ts'
import { eventually } from '../system.ts'

const hour = 3600

let store: FaultyStore
let house: TestInstallation
let dock: DockDriver
beforeAll(async () => {
  store = await faultyStore(inject('prepared').s3.endpoint)
  house = await testInstallation(inject('prepared'), { S3_ENDPOINT: store.endpoint })
  await house.startApi()
  await house.startWorker()
  dock = await house.enrol()
})
afterAll(async () => {
  await house[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
})

const writes = ['begin', 'part', 'complete', 'put', 'put of the log', 'put of a sidecar'] as const

longTest(
  'for an hour the store refuses every write: footage is fetched all the same, entries wait and say so, and then the log catches up',
  {
    timeout: (hour + 600) * 1000,
  },
  async () => {
    const { config, db } = house.engines
    const footage = await dock.create(randomBytes(100_000))
    await dock.finish(footage)
    const { recordingId } = await house.proveCustody(dock, footage)
    const proofOf = async (entry: string) => await fetch(`${config.PUBLIC_URL}/api/v1/ledger/proofs/${entry}`)
    await eventually('the end of what is owed', async () =>
      (await isSequencingOwed(house.engines)) ? undefined : true,
    )
    const before = await proveLog(house.engines)

    for (const write of writes) store.on(write, refuses(503))
    let fetched = 0
    let slowest = 0
    for (const end = performance.now() + hour * 1000; performance.now() < end; await delay(2000)) {
      const began = performance.now()
      const view = Value.Parse(DownloadView, await house.askFor(`/recordings/${recordingId}/downloads`))
      const bytes = await (await fetch(view.url)).arrayBuffer()
      expect(bytes.byteLength).toBe(footage.bytes.length)
      fetched += 1
      slowest = Math.max(slowest, performance.now() - began)
    }
    const { size = 0, owed: waiting = 0 } = (await lookAtLog(house.engines)) ?? {}
    console.log(`${fetched} files fetched, the slowest in ${slowest.toFixed(0)} ms; ${waiting} entries wait`)
    expect(waiting).toBeGreaterThanOrEqual(fetched)
    expect(slowest).toBeLessThan(5000)
    const oldest = (await entryOfLeaf(db, 1, size)) ?? ''
    const owed = await proofOf(oldest)
    expect([owed.status, owed.headers.get('retry-after')]).toEqual([202, expect.stringMatching(/^\d+$/)])
    const ready = await fetch(`${config.PUBLIC_URL}/readyz`)
    expect(await ready.text()).toMatch(/entries wait, the oldest for \d+ s: is a worker at work/)

    store.heal()
    const healed = performance.now()
    await eventually(
      'the end of the backlog',
      async () => ((await isSequencingOwed(house.engines)) ? undefined : true),
      300,
    )
    console.log(
      `the log caught up ${((performance.now() - healed) / 1000).toFixed(1)} s after the store took writes again`,
    )
    expect((await proofOf(oldest)).status).toBe(200)
    expect(await proveLog(house.engines)).toBeGreaterThan(before + waiting - 1)
  },
)
