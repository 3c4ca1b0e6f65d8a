import { setTimeout as delay } from 'node:timers/promises'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { makeBuckets } from '../../engines/buckets.ts'
import { type Config, readConfig } from '../../engines/config.ts'
import { openDataFolder } from '../../engines/embedded/data-folder.ts'
import { choosePort } from '../../engines/embedded/ports.ts'
import { needProgram } from '../../engines/embedded/programs.ts'
import { SetupError } from '../../engines/embedded/setup-error.ts'
import { startEngines } from '../../engines/embedded/stack.ts'
import { migrateInWords } from '../migrate.ts'
import { watchEngines } from './engine-watch.ts'
import { database, installationEnvironment, keyFiles } from './environment.ts'
import { keepRunning, leftoverService, type Service } from './service.ts'
import { keepLogsShort } from './short-logs.ts'
import { forgetWhereabouts, writeEnvironment, writeWhereabouts } from './whereabouts.ts'

export type InstallationStart = {
  /** Made when it is not there. */
  dataDir: string
  /** Of the api, on 127.0.0.1. */
  port: number
  /** Progress in plain words, one line a call. */
  log: (line: string) => void
  /** Limits, times and the log level may be set here by their variables; addresses may not. */
  env?: NodeJS.ProcessEnv
  /** How large the store of objects may grow, in GiB; read at the first start only. */
  diskGiB?: number | undefined
  /** Ends the start when it can be ended; what was started by then is stopped. */
  signal?: AbortSignal
}

export type Installation = {
  /** Of the api, without a path. */
  url: string
  /** Absolute. */
  dataDir: string
  /** Of the tokens of people. */
  issuer: string
  config: Config
  /** Ends all in order: the api and the worker within STOP_SECONDS, then the engines. */
  stop(): Promise<void>
}

/** Connections to close and a log to write come after what STOP_SECONDS allows. */
const spareSeconds = 2
const readySeconds = 60

const Ready = Type.Object({ status: Type.Literal('ready') })

const isReady = async (url: string): Promise<boolean> => {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5000) })
    return Value.Check(Ready, await response.json())
  } catch {
    return false
  }
}

type Starting = { url: string; dataDir: string; services: Record<string, Service>; signal?: AbortSignal | undefined }

const untilReady = async ({ url, dataDir, services, signal }: Starting): Promise<void> => {
  for (const limit = performance.now() + readySeconds * 1000; !(await isReady(url)); await delay(50)) {
    signal?.throwIfAborted()
    for (const [name, service] of Object.entries(services)) {
      if (service.ends() > 0)
        throw new SetupError(`The ${name} does not start: ${service.lastWords() || `see ${dataDir}/log/${name}.log`}`)
    }
    if (performance.now() > limit)
      throw new SetupError(`The api is not ready after ${readySeconds} s: see ${url}/readyz`)
  }
}

/** Throws a SetupError when another program has the port; the api of a killed supervisor is no other program. */
const refuseTakenPort = async (port: number, inUse: boolean): Promise<void> => {
  await choosePort({ what: 'the api', wanted: port, kept: port, inUse })
}

/**
 * The whole stack on loopback: the embedded engines, one api, one worker. What died is started again for as long as it is
 * up. Throws a SetupError, with everything stopped, when it cannot be started.
 */
export const startInstallation = async (wish: InstallationStart): Promise<Installation> => {
  const { port, log, env = {}, diskGiB, signal } = wish
  const { path } = openDataFolder(wish.dataDir)
  for (const program of ['ffmpeg', 'ffprobe']) needProgram([program], 'ffmpeg')
  await refuseTakenPort(port, leftoverService('api', path) !== undefined)

  const undo: (() => unknown)[] = []
  const stop = async () => {
    const failures: unknown[] = []
    for (const step of undo.splice(0).reverse()) {
      try {
        await step()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
  try {
    const engines = await startEngines({ dataDir: path, log, diskGiB })
    undo.push(engines.stop)
    signal?.throwIfAborted()
    // From here on the folder is ours alone, so what runs of it is a killed supervisor's.
    await Promise.all([leftoverService('api', path)?.stop(), leftoverService('worker', path)?.stop()])
    await refuseTakenPort(port, false)

    const keys = await keyFiles(engines.keysDir)
    const environment = installationEnvironment({ engines, port, keys }, env)
    const config = readConfig(environment)
    writeEnvironment({ path }, environment)
    await engines.postgres.createDatabase(database)
    const ran = await migrateInWords(engines.postgres.ownerUrl(database))
    if (ran.length > 0) log(`Database: brought up to ${ran.at(-1)}`)
    const made = await makeBuckets(config)
    if (made.length > 0) log(`Object store: made the buckets ${made.join(', ')}`)
    signal?.throwIfAborted()

    const stopSeconds = config.STOP_SECONDS + spareSeconds
    let up = false
    // An end before that is told by the failure of the start.
    const logWhenUp = (line: string) => up && log(line)
    const service = (name: 'api' | 'worker') =>
      keepRunning({ name, dataDir: path, environment, stopSeconds, log: logWhenUp })
    const services = { api: service('api'), worker: service('worker') }
    undo.push(async () => {
      await Promise.all(Object.values(services).map(async (one) => await one.stop()))
    })
    const url = config.PUBLIC_URL
    await untilReady({ url, dataDir: path, services, signal })
    up = true

    undo.push(keepLogsShort(`${path}/log`).stop)
    undo.push(watchEngines(engines, log).stop)
    undo.push(() => forgetWhereabouts(path))
    const issuer = config.OIDC_ISSUER
    writeWhereabouts({ url, issuer, dataDir: path, pid: process.pid })
    return { url, dataDir: path, issuer, config, stop }
  } catch (error) {
    await stop().catch(() => undefined)
    throw error
  }
}
