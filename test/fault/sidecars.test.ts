import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest'
import type { RecordingId } from '../../src/base/ids.ts'
import { oweSidecars } from '../../src/custody/owe-sidecars.ts'
import { entriesInPart, sidecarKey } from '../../src/custody/sidecar.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { beginLog } from '../../src/ledger/log/log.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { eraseFromEntry } from '../../src/ledger/record.ts'
import { startPurge } from '../../src/retention/purges.ts'
import { kept } from '../catalogued.ts'
import { type Fault, type FaultyStore, faultyStore, hangs } from '../faulty-store.ts'
import { type TestInstallation, testInstallation } from '../installation.ts'
import { someOf } from '../long.ts'
import { inForce, keepers, locksOver, statusOf } from '../retained.ts'
import { besides, soundSidecar, tell } from '../sidecars.ts'
import { eventually } from '../system.ts'

let house: TestInstallation
let store: FaultyStore
beforeAll(async () => {
  store = await faultyStore(inject('prepared').s3.endpoint)
  house = await testInstallation(inject('prepared'), {
    S3_ENDPOINT: store.endpoint,
    // What hangs goes on hanging until its worker is killed.
    S3_TIMEOUT_SECONDS: '60',
  })
  await beginLog(house.engines)
  await inForce(house.engines, await keepers(house.engines), {
    category: null,
    trigger: 'recorded',
    period: 'P1D',
    grace: 'PT2S',
  })
})
afterAll(async () => {
  await house[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
})
afterEach(async () => {
  store.heal()
  await house.killWorkers()
})

/** A request of this kind for what is beside this original is never answered. */
const hangsAt =
  (id: RecordingId, wanted: string, name: string, reached: () => void): Fault =>
  (exchange) => {
    const { method = '', url = '' } = exchange.request
    if (method !== wanted || !url.includes(`${id}.sidecar.`) || !url.includes(name)) return exchange.pass()
    reached()
    return hangs(exchange)
  }

/** Waits until the sidecar holds so many entries, and no job is left to do. */
const untilKept = async (id: RecordingId, entries: number) =>
  await eventually(
    'that the sidecar is kept',
    async () => {
      // Workers look for what is new every 30 s.
      await oweSidecars(house.engines, AbortSignal.timeout(5000))
      if (!(await isIdle())) return undefined
      const there = (await besides(house.engines, id)).includes(sidecarKey(id))
      return there && (await soundSidecar(house.engines, id)).leaves.size === entries ? true : undefined
    },
    60,
  )

const isIdle = async (): Promise<boolean> => {
  const { db } = house.engines
  const open = await db.selectFrom('jobs').select('id').where('state', 'in', ['owed', 'working']).execute()
  return open.length === 0
}

const noneFailed = async () => {
  const failed = await house.engines.db
    .selectFrom('jobs')
    .select(['name', 'said'])
    .where('state', '=', 'failed')
    .execute()
  expect(failed).toEqual([])
}

/** A recording with so many entries, which are leaves. */
const told = async (count: number, recordedAt = new Date()): Promise<RecordingId> => {
  const id = await kept(house.engines, randomBytes(100), { recordedAt })
  await tell(house.engines, id, count)
  // A worker that was killed may hold the lease of publishing for 15 s.
  await house.engines.db.updateTable('logs').set({ publisher: null, leasedUntil: null }).execute()
  await sequence(house.engines)
  await oweSidecars(house.engines, AbortSignal.timeout(5000))
  return id
}

test.for(
  someOf(1, [
    { what: 'before any of it was stored', at: '.json', left: 0 },
    { what: 'when the older entries were stored', at: '.jws', left: 1 },
  ]),
)(
  'kill -9 of the worker that writes a sidecar, $what, leaves it owed, and another worker writes it',
  async ({ at, left }) => {
    const id = await told(entriesInPart + 3)
    const met = Promise.withResolvers<void>()
    store.on('put of a sidecar', hangsAt(id, 'PUT', at, met.resolve))
    const worker = await house.startWorker()
    await met.promise
    await worker.kill()
    store.heal()
    expect(await besides(house.engines, id)).toHaveLength(left)
    await house.startWorker()
    await untilKept(id, entriesInPart + 3)
    expect(await besides(house.engines, id)).toHaveLength(2)
    await noneFailed()
  },
)

test('kill -9 of the worker before it deleted what was erased leaves that owed, and another worker deletes it', async () => {
  const { engines } = house
  const id = await told(entriesInPart + 3)
  await house.startWorker()
  await untilKept(id, entriesInPart + 3)
  await house.killWorkers()
  const before = await besides(engines, id)
  const [first] = (await soundSidecar(engines, id)).leaves.keys()
  if (first === undefined) throw new Error('a sidecar without entries')
  const act = { action: 'entry.part-erased', actor: { kind: 'service', id: 'exhibit' } } as const
  await inTransaction(engines.db, async (tx) => await eraseFromEntry(tx, engines.clock, first, 'body', act))
  await sequence(engines)
  const met = Promise.withResolvers<void>()
  store.on('other', hangsAt(id, 'DELETE', '.json', met.resolve))
  const worker = await house.startWorker()
  await met.promise
  await worker.kill()
  store.heal()
  expect(await besides(engines, id)).toHaveLength(3)
  await house.startWorker()
  await untilKept(id, entriesInPart + 4)
  const after = await besides(engines, id)
  expect(after).toHaveLength(2)
  expect(after.filter((key) => before.includes(key))).toHaveLength(1)
  expect((await soundSidecar(engines, id)).leaves.get(first)).toBeDefined()
  await noneFailed()
})

test('kill -9 of the worker that writes a sidecar while the recording is to be erased ends in an erasure that leaves none', async () => {
  const { engines } = house
  const id = await told(3, new Date(Date.now() - 9 * 86_400_000))
  const first = await house.startWorker()
  await untilKept(id, 3)
  const hiding = await startPurge(engines, null)
  const ended = async (purge: typeof hiding) =>
    await eventually('the end of the purge', async () => {
      const row = await engines.db
        .selectFrom('purges')
        .select(['state', 'failed'])
        .where('id', '=', purge)
        .executeTakeFirst()
      return row?.state === 'done' ? row : undefined
    })
  await ended(hiding)
  await first.stop()
  await locksOver(engines)
  await tell(engines, id)
  await sequence(engines)

  const met = Promise.withResolvers<void>()
  store.on('put of a sidecar', hangsAt(id, 'PUT', '.jws', met.resolve))
  const worker = await house.startWorker()
  await met.promise
  const erasing = await startPurge(engines, null)
  await eventually('that the erasure waits for the sidecar', async () => {
    const { rows } = await sql`
      select from pg_stat_activity where wait_event_type = 'Lock' and query like '%for update%'
        and datname = current_database()`.execute(engines.db)
    return rows.length > 0 ? true : undefined
  })
  await worker.kill()
  store.heal()
  await house.startWorker()
  expect(await ended(erasing)).toMatchObject({ failed: 0 })
  await eventually('the end of all jobs', async () => ((await isIdle()) ? true : undefined), 60)
  expect(await statusOf(engines, id)).toBe('erased')
  expect(await besides(engines, id)).toEqual([])
  await noneFailed()
})
