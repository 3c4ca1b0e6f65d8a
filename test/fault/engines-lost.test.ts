import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startGateway } from '../../src/engines/embedded/gateway.ts'
import { startPostgres } from '../../src/engines/embedded/postgres.ts'
import { startRedis } from '../../src/engines/embedded/redis.ts'
import { type DatabaseRelay, databaseRelay } from '../database-relay.ts'
import type { DockDriver, Reply } from '../dock-driver.ts'
import { prepareServers } from '../engines.ts'
import { arrivesInPart, type FaultyStore, faultyStore, readsInPart } from '../faulty-store.ts'
import { mib, type TestInstallation, testInstallation } from '../installation.ts'
import { someOf } from '../long.ts'
import type { TestProcess } from '../processes.ts'
import { startEmbedded } from '../servers.ts'
import { eventually } from '../system.ts'

let own: Awaited<ReturnType<typeof startEmbedded>>
let house: TestInstallation
let worker: TestProcess
let database: DatabaseRelay
let dock: DockDriver
let store: FaultyStore
const start = () => ({ dataDir: own.dataDir, log: () => undefined, endWithParent: true })
const startDatabase = async () => await startPostgres({ ...start(), dataDir: own.databaseDir })
beforeAll(async () => {
  own = await startEmbedded()
  store = await faultyStore(own.servers.s3.endpoint)
  house = await testInstallation(await prepareServers(own.servers), { S3_ENDPOINT: store.endpoint, WORKER_JOBS: '1' })
  database = await databaseRelay(house.engines.config.DATABASE_URL)
  const [started] = await Promise.all([house.startWorker(), house.startApi({ DATABASE_URL: database.url })])
  worker = started
  dock = await house.enrol()
})
afterAll(async () => {
  await house[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
  await own.stop()
})
afterEach(() => store.heal())

/** kill -9 of the server; what it started notices and ends. */
const killPostgres = async (): Promise<void> => {
  process.kill((await startDatabase()).pid, 'SIGKILL')
}

const wipeRedis = async (): Promise<void> => {
  process.kill((await startRedis(start())).pid, 'SIGKILL')
  await rm(join(own.dataDir, 'redis'), { recursive: true, force: true })
}

const expectNothingOrUnavailable = (reply: Reply | undefined, code: string): void => {
  if (reply === undefined) return
  expect(reply.status).toBe(503)
  expect(reply.text).toContain(`"code":"${code}"`)
  expect(reply.headers['retry-after']).toMatch(/^[1-9]\d*$/)
}

describe('Redis killed and its data wiped', () => {
  test('while uploads and jobs are owed loses none of them', async () => {
    const gate = Promise.withResolvers<void>()
    const reading = store.on('read', readsInPart(mib, gate.promise), 1)
    const atWork = await dock.create(randomBytes(7 * mib))
    await dock.finish(atWork)
    await reading.met
    const waiting = await dock.create(randomBytes(6 * mib))
    await dock.finish(waiting)
    await eventually('the offer of the second job', async () => {
      const offered = await house.engines.db
        .selectFrom('jobs')
        .select('id')
        .where('name', '=', 'take-into-custody')
        .where('offeredAt', 'is not', null)
        .execute()
      return offered.length > 0 ? true : undefined
    })
    const underWay = await dock.create(randomBytes(9 * mib))
    const sending = await dock.begin(underWay, { from: 0, checksum: true })
    await sending.write(underWay.bytes.subarray(0, 6 * mib))

    await wipeRedis()
    await sending.write(underWay.bytes.subarray(6 * mib))
    sending.end()
    expect((await sending.answer)?.status).toBe(204)
    await startRedis(start())
    gate.resolve()
    for (const footage of [atWork, underWay, waiting]) await house.proveCustody(dock, footage)
  })

  test('does not keep a worker that is told to stop from handing its job back', async () => {
    const footage = await dock.create(randomBytes(7 * mib))
    const reading = store.on('read', readsInPart(mib, new Promise(() => undefined)), 1)
    await dock.finish(footage)
    await reading.met
    await wipeRedis()
    const { code, ms } = await worker.stop()
    expect(code).toBe(0)
    expect(ms).toBeLessThan(house.engines.config.STOP_SECONDS * 1000 + 500)
    const open = house.engines.db
      .selectFrom('jobs')
      .select(['state', 'failures'])
      .where('name', '=', 'take-into-custody')
      .where('endedAt', 'is', null)
    expect(await open.execute()).toEqual([{ state: 'owed', failures: 0 }])
    await startRedis(start())
    worker = await house.startWorker()
    await house.proveCustody(dock, footage)
  })
})

describe('Postgres killed during the transaction of the last byte', () => {
  /** Locks the table, so that the transaction stands still when it comes to it. */
  const lockTable = async (table: string) => {
    const client = new Client({ connectionString: house.engines.ownerUrl })
    client.on('error', () => undefined)
    await client.connect()
    await client.query(`begin; lock table ${table} in share mode`)
    return {
      /** Resolves when somebody waits for it. */
      met: async () =>
        await eventually(`somebody waits for ${table}`, async () => {
          const { rowCount } = await client.query(`select from pg_locks where not granted and locktype = 'relation'`)
          return rowCount === 0 ? undefined : true
        }),
      [Symbol.asyncDispose]: async () => await client.end().catch(() => undefined),
    }
  }

  test.for(someOf(2, ['recordings', 'jobs', 'upload_parts', 'entries']))(
    'when it comes to the table %s: the offset has not moved, and the dock goes on',
    async (table) => {
      const footage = await dock.create(randomBytes(8 * mib))
      expect((await dock.patch(footage, { from: 0, to: 3 * mib, checksum: true }))?.status).toBe(204)
      const sending = await dock.begin(footage, { from: 3 * mib, checksum: true })
      await sending.write(footage.bytes.subarray(3 * mib, 7 * mib))
      await using lock = await lockTable(table)
      await sending.write(footage.bytes.subarray(7 * mib))
      sending.end()
      await lock.met()
      await killPostgres()
      expectNothingOrUnavailable(await sending.answer, 'database-unavailable')
      await startDatabase()
      expect(await dock.head(footage)).toBe(3 * mib)
      await dock.finish(footage)
      await house.proveCustody(dock, footage)
    },
  )

  test.for(someOf(1, [true, false]))(
    'when it is committed and nobody heard so: the dock finds every byte (digest: %s)',
    async (checksum) => {
      const footage = await dock.create(randomBytes(3 * mib))
      const sending = await dock.begin(footage, { from: 0, checksum })
      await sending.write(footage.bytes)
      const swallowed = database.swallowNextCommit()
      sending.end()
      await swallowed
      await killPostgres()
      expectNothingOrUnavailable(await sending.answer, 'database-unavailable')
      await startDatabase()
      expect(await dock.head(footage)).toBe(footage.bytes.length)
      await house.proveCustody(dock, footage)
    },
  )

  test('when only the connection breaks after the commit: the dock is told to come again, not that it is over', async () => {
    const footage = await dock.create(randomBytes(3 * mib))
    const sending = await dock.begin(footage, { from: 0, checksum: false })
    await sending.write(footage.bytes)
    const swallowed = database.swallowNextCommit()
    sending.end()
    const { cut } = await swallowed
    cut()
    const reply = await sending.answer
    expect(reply?.status).toBe(503)
    expectNothingOrUnavailable(reply, 'database-unavailable')
    expect(await dock.head(footage)).toBe(footage.bytes.length)
    await house.proveCustody(dock, footage)
  })
})

describe('a part of the store killed', () => {
  const parts = ['rgw', 'osd'] as const
  test.for(
    someOf(
      2,
      [true, false].flatMap((checksum) => parts.map((part) => ({ part, checksum }))),
    ),
  )(
    '($part) during a part loses nothing that was acknowledged, and the upload goes on (digest: $checksum)',
    async ({ part, checksum }) => {
      const footage = await dock.create(randomBytes(13 * mib))
      expect((await dock.patch(footage, { from: 0, to: 6 * mib, checksum }))?.status).toBe(204)
      const gate = Promise.withResolvers<void>()
      const trap = store.on('part', arrivesInPart(mib, gate.promise), 1)
      const sending = await dock.begin(footage, { from: 6 * mib, checksum })
      await sending.write(footage.bytes.subarray(6 * mib))
      sending.end()
      await trap.met
      process.kill((await startGateway(start())).pids[part], 'SIGKILL')
      gate.resolve()
      expectNothingOrUnavailable(await sending.answer, 'store-unavailable')
      expect(await dock.head(footage)).toBe(6 * mib)
      await startGateway(start())
      await dock.finish(footage)
      await house.proveCustody(dock, footage)
    },
  )

  test.for(parts)('(%s) during the read-back makes the receipt wait, and nothing else', async (part) => {
    const footage = await dock.create(randomBytes(13 * mib))
    const gate = Promise.withResolvers<void>()
    const trap = store.on('read', readsInPart(4 * mib, gate.promise), 1)
    await dock.finish(footage)
    await trap.met
    process.kill((await startGateway(start())).pids[part], 'SIGKILL')
    gate.resolve()
    await eventually('the end of the first attempt', async () => {
      const { rows } = await sql<{
        said: string
      }>`select said from jobs where state = 'owed' and said is not null`.execute(house.engines.db)
      return rows[0]?.said
    })
    await startGateway(start())
    await house.proveCustody(dock, footage)
  })
})
