import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEngines } from '../src/engines/embedded/stack.ts'

/** Where a set of real servers is. Plain values, so that they travel from the set-up to the test files. */
export type Servers = {
  /** Of the role exhibit_owner, database `postgres`. */
  ownerUrl: string
  /** Of the role exhibit_app, database `postgres`. */
  appUrl: string
  redisUrl: string
  s3: { endpoint: string; region: string; accessKey: string; secretKey: string }
}

export type StartedServers = { servers: Servers; stop(): Promise<void> }

const spareInMemory = 6 * 1024 ** 3

/**
 * Where the database of the tests is quickest: in memory where there is room (Linux). Hundreds of databases are made and
 * dropped, and ext4 gives the inodes of dropped files out again only after minutes, which it looks for one by one.
 */
const quickFolder = async (): Promise<string> => {
  const memory = await statfs('/dev/shm').catch(() => undefined)
  const spare = Math.min((memory?.bavail ?? 0) * (memory?.bsize ?? 0), process.availableMemory())
  return await mkdtemp(join(spare > spareInMemory ? '/dev/shm' : tmpdir(), 'exhibit-test-'))
}

/** Embedded engines in throw-away folders. */
export const startEmbedded = async () => {
  const databaseDir = await quickFolder()
  const dataDir = await mkdtemp(join(tmpdir(), 'exhibit-test-'))
  const usual = { log: () => undefined, endWithParent: true }
  const database = await startEngines({ ...usual, dataDir: databaseDir, only: ['postgres'] })
  const others = await startEngines({ ...usual, dataDir, only: ['redis', 'gateway'], diskGiB: 12 }).catch(
    async (error) => {
      await database.stop()
      throw error
    },
  )
  const { postgres } = database
  const { redis, gateway } = others
  const { endpoint, region, accessKey, secretKey } = gateway
  const servers: Servers = {
    ownerUrl: postgres.ownerUrl('postgres'),
    appUrl: postgres.appUrl('postgres'),
    redisUrl: redis.url,
    s3: { endpoint, region, accessKey, secretKey },
  }
  return {
    servers,
    engines: { postgres, redis, gateway },
    /** Of Redis and the gateway. */
    dataDir,
    /** Of Postgres. */
    databaseDir,
    stop: async () => {
      await Promise.all([database.stop(), others.stop()])
      for (const folder of [databaseDir, dataDir]) await rm(folder, { recursive: true, force: true })
    },
  }
}
