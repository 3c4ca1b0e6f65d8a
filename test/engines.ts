import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { pino } from 'pino'
import { inject } from 'vitest'
import { makeBuckets } from '../src/engines/buckets.ts'
import { type Clock, systemClock } from '../src/engines/clock.ts'
import { type Config, readConfig } from '../src/engines/config.ts'
import { type Engines, makeEngines } from '../src/engines/engines.ts'
import { type Ffmpeg, makeFfmpeg } from '../src/engines/ffmpeg.ts'
import { migrate } from '../src/engines/migrate.ts'
import { makeKeyFile } from '../src/engines/receipt-key.ts'
import { makeScratch } from '../src/engines/scratch.ts'
import type { Servers } from './servers.ts'

/** Servers whose buckets are made, and a migrated database to copy. */
export type Prepared = Servers & { template: string }

const inDatabase = (url: string, database: string): string =>
  Object.assign(new URL(url), { pathname: `/${database}` }).toString()

const asOwner = async (servers: Servers, statements: string[]): Promise<void> => {
  const client = new Client({ connectionString: servers.ownerUrl })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

const environment = (servers: Servers, database: string): Record<string, string> => ({
  DATABASE_URL: inDatabase(servers.appUrl, database),
  DATABASE_CONNECTIONS: '8',
  REDIS_URL: servers.redisUrl,
  S3_ENDPOINT: servers.s3.endpoint,
  S3_REGION: servers.s3.region,
  S3_ACCESS_KEY: servers.s3.accessKey,
  S3_SECRET_KEY: servers.s3.secretKey,
  OIDC_ISSUER: 'http://127.0.0.1:9/never',
  RECEIPT_KEY_FILE: '/never',
  LOG_KEY_FILE: '/never',
  LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'silent',
})

/** Connections of others, such as a vacuum, may linger; the owner's role may not end them. What stays goes with its cluster. */
const dropQuietly = async (servers: Servers, database: string): Promise<void> => {
  for (let tries = 0; tries < 20; tries++) {
    try {
      await asOwner(servers, [`drop database if exists ${database}`])
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  }
}

/** Makes the buckets and a migrated database that the databases of the test files are copies of. */
export const prepareServers = async (servers: Servers): Promise<Prepared> => {
  const template = `template_${randomBytes(6).toString('hex')}`
  await asOwner(servers, [`create database ${template}`])
  await migrate(inDatabase(servers.ownerUrl, template))
  await makeBuckets(readConfig(environment(servers, template)))
  return { ...servers, template }
}

export type TestEngines = Engines & AsyncDisposable & { environment: Record<string, string>; ownerUrl: string }

export type TestOptions = {
  clock?: Clock
  /** Environment variables on top of the usual ones. */
  env?: Record<string, string>
  /** Servers of the file's own, in place of the shared ones. */
  prepared?: Prepared
}

let ffmpeg: Promise<Ffmpeg> | undefined

/** What a process finds out once, by running it. */
const triedFfmpeg = async (): Promise<Ffmpeg> => {
  const folder = await mkdtemp(join(tmpdir(), 'exhibit-trial-'))
  try {
    // Where ffmpeg runs as another user, that user has to get through to the scratch folders.
    await chmod(folder, 0o711)
    return await makeFfmpeg({ log: pino({ level: 'silent' }), scratch: await makeScratch(join(folder, 'scratch')) })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Engines with a database and key prefixes of their own. `environment` starts another process on the same. */
export const testEngines = async ({
  clock = systemClock,
  env = {},
  prepared = inject('prepared'),
}: TestOptions = {}): Promise<TestEngines> => {
  const name = `t_${randomBytes(6).toString('hex')}`
  const folder = await mkdtemp(join(tmpdir(), 'exhibit-engines-'))
  await asOwner(prepared, [
    `create database ${name} template ${prepared.template}`,
    `revoke all on database ${name} from public`,
    `grant connect on database ${name} to exhibit_app`,
  ])
  const keyFile = join(folder, 'receipt-key.json')
  const logKeyFile = join(folder, 'log-key.json')
  await makeKeyFile(keyFile)
  await makeKeyFile(logKeyFile)
  const variables = {
    ...environment(prepared, name),
    RECEIPT_KEY_FILE: keyFile,
    LOG_KEY_FILE: logKeyFile,
    SCRATCH_DIR: join(folder, 'scratch'),
    S3_KEY_PREFIX: `${name}/`,
    REDIS_PREFIX: name,
    ...env,
  }
  const config: Config = readConfig(variables)
  ffmpeg ??= triedFfmpeg()
  const engines = await makeEngines(config, pino({ level: config.LOG_LEVEL }), { clock, ffmpeg: await ffmpeg })
  return {
    ...engines,
    environment: variables,
    ownerUrl: inDatabase(prepared.ownerUrl, name),
    [Symbol.asyncDispose]: async () => {
      await engines.close()
      await dropQuietly(prepared, name)
      await rm(folder, { recursive: true, force: true })
    },
  }
}
