import { setTimeout as delay } from 'node:timers/promises'
import { startGateway } from '../../engines/embedded/gateway.ts'
import { startIdentityProvider } from '../../engines/embedded/identity-provider.ts'
import { startPostgres } from '../../engines/embedded/postgres.ts'
import { startRedis } from '../../engines/embedded/redis.ts'
import type { StartedEngines } from '../../engines/embedded/stack.ts'

type Watched = {
  /** In words. */
  what: string
  isWhole(): boolean
  /** Starts what is missing of it. */
  mend(): Promise<void>
  /** Ends what `mend` started; what was there before is stopped with the other engines. */
  stop(): Promise<void>
}

const everyMs = 2000
const longestPauseMs = 30_000

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

type Engine = { stop(): Promise<void> }

const watched = <E extends Engine>(
  what: string,
  first: E,
  pidsOf: (engine: E) => number[],
  startAgain: (engine: E) => Promise<E>,
): Watched => {
  let engine = first
  return {
    what,
    isWhole: () => pidsOf(engine).every(isAlive),
    mend: async () => {
      engine = await startAgain(engine)
    },
    stop: async () => {
      if (engine !== first) await engine.stop()
    },
  }
}

/** Starts an engine again that ended while the installation is up. Its data and its port stay the same. */
export const watchEngines = (engines: StartedEngines, log: (line: string) => void): { stop(): Promise<void> } => {
  const { dataDir, postgres, redis, gateway, identityProvider } = engines
  const start = { dataDir, log }
  const all = [
    watched(
      'Postgres',
      postgres,
      ({ pid }) => [pid],
      async ({ port }) => await startPostgres({ ...start, port }),
    ),
    watched(
      'Redis',
      redis,
      ({ pid }) => [pid],
      async ({ port }) => await startRedis({ ...start, port }),
    ),
    watched(
      'The object store',
      gateway,
      ({ pids }) => Object.values(pids),
      async ({ port }) => await startGateway({ ...start, port }),
    ),
    watched(
      'The identity provider',
      identityProvider,
      ({ pid }) => [pid],
      async ({ port }) => await startIdentityProvider({ ...start, port }),
    ),
  ]
  const stopping = new AbortController()
  const pause = async (ms: number) => await delay(ms, undefined, { signal: stopping.signal }).catch(() => undefined)

  const watch = async ({ what, isWhole, mend }: Watched): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted; await pause(Math.min(everyMs * 2 ** failures, longestPauseMs))) {
      if (isWhole()) {
        failures = 0
        continue
      }
      log(`${what} ended and is started again`)
      try {
        await mend()
      } catch (error) {
        failures += 1
        log(`${what} could not be started again: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
  const watches = all.map(watch)
  return {
    stop: async () => {
      stopping.abort()
      await Promise.all(watches)
      await Promise.all(all.map(async (one) => await one.stop()))
    },
  }
}
