import { type EngineStart, openDataFolder } from './data-folder.ts'
import { lockDataFolder } from './data-folder-lock.ts'
import { type EmbeddedGateway, startGateway } from './gateway.ts'
import { type EmbeddedIdentityProvider, startIdentityProvider } from './identity-provider.ts'
import { type EmbeddedPostgres, startPostgres } from './postgres.ts'
import { type EmbeddedRedis, startRedis } from './redis.ts'
import { SetupError } from './setup-error.ts'

type EngineSet = {
  postgres: EmbeddedPostgres
  redis: EmbeddedRedis
  gateway: EmbeddedGateway
  identityProvider: EmbeddedIdentityProvider
}
export type EngineName = keyof EngineSet

type StackStart<Name extends EngineName> = Pick<EngineStart, 'dataDir' | 'log' | 'endWithParent'> & {
  ports?: { [Engine in EngineName]?: number | undefined }
  /** By default all of them. */
  only?: readonly Name[]
  /** Of the gateway: see there. */
  diskGiB?: number | undefined
}

export type StartedEngines<Name extends EngineName = EngineName> = Pick<EngineSet, Name> & {
  /** Absolute. */
  dataDir: string
  /** For signing keys: mode 700, never part of a copy of the data. */
  keysDir: string
  /** Ends them all and frees the data folder. */
  stop(): Promise<void>
}

const holds = <Name extends EngineName>(
  engines: Partial<EngineSet>,
  names: readonly EngineName[],
): engines is Partial<EngineSet> & Pick<EngineSet, Name> => names.every((name) => engines[name] !== undefined)

const allNames: readonly EngineName[] = ['postgres', 'redis', 'gateway', 'identityProvider']

/**
 * Starts the embedded engines side by side in one data folder, which is theirs alone until `stop`. What an earlier start
 * left running there is taken over. When one of them cannot start, the others are stopped and its SetupError is thrown.
 */
export const startEngines = async <Name extends EngineName = EngineName>(
  options: StackStart<Name>,
): Promise<StartedEngines<Name>> => {
  const { log, endWithParent, ports = {}, diskGiB } = options
  const names: readonly EngineName[] = options.only ?? allNames
  const { path: dataDir, keys: keysDir } = openDataFolder(options.dataDir)
  const lock = await lockDataFolder(dataDir)
  const engines: Partial<EngineSet> = {}
  const stop = async () => {
    await Promise.all(allNames.map(async (name) => await engines[name]?.stop()))
    await lock.release()
  }
  const startOne = async (name: EngineName): Promise<void> => {
    const start = { dataDir, log, endWithParent, port: ports[name] }
    if (name === 'postgres') engines.postgres = await startPostgres(start)
    if (name === 'redis') engines.redis = await startRedis(start)
    if (name === 'gateway') engines.gateway = await startGateway({ ...start, diskGiB })
    if (name === 'identityProvider') engines.identityProvider = await startIdentityProvider(start)
  }
  const results = await Promise.allSettled(names.map(startOne))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined || !holds<Name>(engines, names)) {
    await stop()
    throw failed?.reason instanceof Error
      ? failed.reason
      : new SetupError(`The engines do not start, see ${dataDir}/log.`)
  }
  return { ...engines, dataDir, keysDir, stop }
}
