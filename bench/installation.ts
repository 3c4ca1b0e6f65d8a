import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SignJWT } from 'jose'
import { pino } from 'pino'
import { Value } from 'typebox/value'
import { Enrolled } from '../src/docks/schemas.ts'
import { makeBuckets } from '../src/engines/buckets.ts'
import { readConfig } from '../src/engines/config.ts'
import { issueToken } from '../src/engines/embedded/issue-token.ts'
import { type Engines, makeEngines } from '../src/engines/engines.ts'
import { migrate } from '../src/engines/migrate.ts'
import { makeKeyFile } from '../src/engines/receipt-key.ts'
import { emptyBuckets } from './leftovers.ts'
import type { Stack, Started } from './stack.ts'

/** `token` gives one that lives for ten minutes. */
export type BenchDock = { token(): Promise<string> }

/** An api, and a worker if wanted, each a process of its own as in production, with a database of their own. */
export type Installation = AsyncDisposable & {
  url: string
  api: Started
  /** Starts another process on the same. */
  environment: Record<string, string>
  /** The same engines for the bench itself, to look at what there is. */
  engines: Engines
  docks(count: number): Promise<BenchDock[]>
  /** Deletes every object in the store. It gives the space back in the half minute after. */
  clear(): Promise<void>
}

const enrol = async (url: string, admin: string, name: string): Promise<BenchDock> => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const response = await fetch(`${url}/api/v1/docks`, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name, site: 'Bench', publicKey: publicKey.export({ format: 'jwk' }) }),
  })
  const answer: unknown = await response.json()
  if (!Value.Check(Enrolled, answer)) throw new Error('a dock could not be enrolled')
  const { id } = answer
  const token = async () => {
    const now = Math.floor(Date.now() / 1000)
    return await new SignJWT({ iss: id, aud: 'exhibit', iat: now, exp: now + 600 })
      .setProtectedHeader({ alg: 'EdDSA', kid: id })
      .sign(privateKey)
  }
  return { token }
}

const untilReady = async (url: string, { child }: Started): Promise<void> => {
  for (const limit = Date.now() + 60_000; ; await delay(50)) {
    if (child.exitCode !== null || Date.now() > limit) throw new Error('the api did not get ready')
    const ready = await fetch(`${url}/readyz`).then(
      (response) => response.ok,
      () => false,
    )
    if (ready) return
  }
}

const environmentFor = async (stack: Stack, name: string): Promise<Record<string, string>> => {
  const { postgres, redis, gateway, identityProvider } = stack.engines
  const keyFile = join(stack.engines.keysDir, `${name}.json`)
  const logKeyFile = join(stack.engines.keysDir, `${name}-log.json`)
  for (const file of [keyFile, logKeyFile]) await makeKeyFile(file)
  const port = String(await stack.port())
  return {
    DATABASE_URL: postgres.appUrl(name),
    REDIS_URL: redis.url,
    REDIS_PREFIX: name,
    S3_ENDPOINT: gateway.endpoint,
    S3_REGION: gateway.region,
    S3_ACCESS_KEY: gateway.accessKey,
    S3_SECRET_KEY: gateway.secretKey,
    S3_KEY_PREFIX: `${name}/`,
    OIDC_ISSUER: identityProvider.issuer,
    RECEIPT_KEY_FILE: keyFile,
    LOG_KEY_FILE: logKeyFile,
    SCRATCH_DIR: join(stack.folder, 'scratch'),
    HTTP_PORT: port,
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    // Docks are enrolled one after the other, and a receipt is asked for without a pause.
    RATE_PERSON: '1000',
    RATE_DOCK: '1000',
  }
}

/** What `settings` does not name is left as it is by default. */
export const install = async (
  stack: Stack,
  { worker, settings = {} }: { worker: boolean; settings?: Record<string, string> },
): Promise<Installation> => {
  const { postgres, identityProvider } = stack.engines
  const name = `bench_${randomBytes(4).toString('hex')}`
  await postgres.createDatabase(name)
  await migrate(postgres.ownerUrl(name))
  const environment = { ...(await environmentFor(stack, name)), ...settings }
  const config = readConfig(environment)
  await makeBuckets(config)
  const engines = await makeEngines(config, pino({ level: 'silent' }))
  const api = stack.start(new URL('../src/api/main.ts', import.meta.url), environment)
  const working = worker ? stack.start(new URL('../workers/main.ts', import.meta.url), environment) : undefined
  await untilReady(config.PUBLIC_URL, api)
  const { client, bucketNames } = engines.store
  const clear = async () => await emptyBuckets(client, Object.values(bucketNames))
  return {
    url: config.PUBLIC_URL,
    api,
    environment,
    engines,
    docks: async (count) => {
      const admin = await issueToken({ issuer: identityProvider.issuer, role: 'admin' })
      const names = Array.from({ length: count }, (_, index) => `Bench ${index}`)
      return await Promise.all(names.map((dock) => enrol(config.PUBLIC_URL, admin, dock)))
    },
    clear,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([api.stop(), working?.stop()])
      await clear()
      await engines.close()
      await postgres.dropDatabase(name)
    },
  }
}
