import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, openSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SignJWT } from 'jose'
import { pino } from 'pino'
import { Value } from 'typebox/value'
import type { DockId } from '../src/base/ids.ts'
import { Enrolled } from '../src/docks/schemas.ts'
import { makeBuckets } from '../src/engines/buckets.ts'
import { readConfig } from '../src/engines/config.ts'
import { issueToken } from '../src/engines/embedded/issue-token.ts'
import { freePort } from '../src/engines/embedded/ports.ts'
import { tethered } from '../src/engines/embedded/programs.ts'
import { type StartedEngines, startEngines } from '../src/engines/embedded/stack.ts'
import { type Engines, makeEngines } from '../src/engines/engines.ts'
import { migrate } from '../src/engines/migrate.ts'
import { makeKeyFile } from '../src/engines/receipt-key.ts'
import { emptyBuckets } from './leftovers.ts'

const root = join(import.meta.dirname, '..')
const diskGiB = 30

/** Real engines in a throw-away folder, and processes on top of them. */
export type Stack = AsyncDisposable & {
  engines: StartedEngines
  /** The api, and a worker if wanted, each a process of its own as in production, with a database of their own. */
  install(options?: { worker?: boolean; env?: Record<string, string> }): Promise<Installation>
  /** Starts a Node program of this folder; it ends with the bench. */
  start(script: string, env: Record<string, string>): Started
}

export type Started = { child: ChildProcess; pid: number; stop(): Promise<void> }

export type BenchDock = { id: DockId; token(): Promise<string> }

export type Installation = AsyncDisposable & {
  url: string
  apiPid: number
  workerPid: number | undefined
  /** The same engines for the bench itself, to look at what there is and to clear it away. */
  engines: Engines
  docks(count: number): Promise<BenchDock[]>
  /** Deletes every object that was written. The store gives the space back in the half minute after. */
  clear(): Promise<void>
}

const tokenOf = async (id: DockId, privateKey: KeyObject): Promise<string> => {
  const now = Math.floor(Date.now() / 1000)
  return await new SignJWT({ iss: id, aud: 'exhibit', iat: now, exp: now + 600 })
    .setProtectedHeader({ alg: 'EdDSA', kid: id })
    .sign(privateKey)
}

const untilReady = async (url: string, started: Started): Promise<void> => {
  for (const limit = Date.now() + 30_000; ; await delay(50)) {
    if (started.child.exitCode !== null || Date.now() > limit) throw new Error('the api did not get ready')
    const ready = await fetch(`${url}/readyz`).then(
      (response) => response.ok,
      () => false,
    )
    if (ready) return
  }
}

export const startStack = async (): Promise<Stack> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'exhibit-bench-'))
  const engines = await startEngines({ dataDir, log: () => undefined, diskGiB, endWithParent: true })
  const { postgres, redis, gateway, identityProvider } = engines
  const logs = join(dataDir, 'log')
  mkdirSync(logs, { recursive: true })

  const start: Stack['start'] = (script, env) => {
    const log = openSync(join(logs, `${script.replaceAll('/', '-')}.log`), 'a')
    const [command = process.execPath, ...args] = tethered('SIGTERM', [process.execPath, join(root, script)])
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', log, log, 'ipc'] })
    if (child.pid === undefined) throw new Error(`${script} could not be started`)
    return {
      child,
      pid: child.pid,
      stop: async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill('SIGTERM')
        await once(child, 'exit')
      },
    }
  }

  const enrol = async (url: string, name: string): Promise<BenchDock> => {
    const admin = await issueToken({ issuer: identityProvider.issuer, role: 'admin' })
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const response = await fetch(`${url}/api/v1/docks`, {
      method: 'POST',
      headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name, site: 'Bench', publicKey: publicKey.export({ format: 'jwk' }) }),
    })
    const answer: unknown = await response.json()
    if (!Value.Check(Enrolled, answer)) throw new Error('a dock could not be enrolled')
    return { id: answer.id, token: async () => await tokenOf(answer.id, privateKey) }
  }

  const install: Stack['install'] = async ({ worker = false, env = {} } = {}) => {
    const name = `bench_${randomBytes(4).toString('hex')}`
    await postgres.createDatabase(name)
    await migrate(postgres.ownerUrl(name))
    const keyFile = join(engines.keysDir, `${name}.json`)
    await makeKeyFile(keyFile)
    const port = String(await freePort())
    const url = `http://127.0.0.1:${port}`
    const variables = {
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
      SCRATCH_DIR: join(dataDir, 'scratch'),
      HTTP_PORT: port,
      PUBLIC_URL: url,
      // Docks are enrolled one after the other, and a receipt is asked for without a pause.
      RATE_PERSON: '1000',
      RATE_DOCK: '1000',
      ...env,
    }
    const config = readConfig(variables)
    await makeBuckets(config)
    const own = await makeEngines(config, pino({ level: 'silent' }))
    const api = start('src/api/main.ts', variables)
    await untilReady(url, api)
    const working = worker ? start('workers/main.ts', variables) : undefined
    return {
      url,
      apiPid: api.pid,
      workerPid: working?.pid,
      engines: own,
      docks: async (count) =>
        await Promise.all(Array.from({ length: count }, async (_, index) => await enrol(url, `Bench ${index}`))),
      clear: async () => await emptyBuckets(own.store.client, Object.values(own.store.bucketNames)),
      [Symbol.asyncDispose]: async () => {
        await Promise.all([api.stop(), working?.stop()])
        await emptyBuckets(own.store.client, Object.values(own.store.bucketNames))
        await own.close()
        await postgres.dropDatabase(name)
      },
    }
  }

  return {
    engines,
    install,
    start,
    [Symbol.asyncDispose]: async () => {
      await engines.stop()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}
