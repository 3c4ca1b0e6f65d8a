import { mkdtemp, rm } from 'node:fs/promises'
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

/** Embedded engines in a throw-away folder. */
export const startEmbedded = async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'exhibit-test-'))
  const engines = await startEngines({
    dataDir,
    log: () => undefined,
    only: ['postgres', 'redis', 'gateway'],
    diskGiB: 12,
    endWithParent: true,
  })
  const { postgres, redis, gateway } = engines
  const { endpoint, region, accessKey, secretKey } = gateway
  const servers: Servers = {
    ownerUrl: postgres.ownerUrl('postgres'),
    appUrl: postgres.appUrl('postgres'),
    redisUrl: redis.url,
    s3: { endpoint, region, accessKey, secretKey },
  }
  return {
    servers,
    engines,
    dataDir,
    stop: async () => {
      await engines.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
