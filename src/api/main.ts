import { setFlagsFromString } from 'node:v8'
import { ConfigError, readConfig } from '../engines/config.ts'
import { makeEngines } from '../engines/engines.ts'
import { makeLog } from '../engines/log.ts'
import { serveMetrics } from '../engines/metrics.ts'
import { refuseWrongSchema } from '../engines/migrate.ts'
import { databaseLost } from '../engines/postgres.ts'
import { forLog } from './problems.ts'
import { startApi } from './server.ts'

// Left to itself the heap grows to several times of what is in use before it is cleaned, and uploads pay for that in memory.
setFlagsFromString('--heap-growing-percent=30')

/** One sentence for the operator. */
const inWords = (error: unknown): string => {
  if (databaseLost(error)) return 'The database at DATABASE_URL does not answer.'
  if (!(error instanceof Error)) return 'The api could not start.'
  const code = 'code' in error ? error.code : undefined
  if (error instanceof ConfigError) return error.message
  if (code === 'EADDRINUSE') return 'HTTP_PORT or METRICS_PORT is taken by another program on this machine.'
  if (code === 'EACCES') return 'HTTP_PORT or METRICS_PORT needs rights that this user does not have.'
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return 'HTTP_HOST is not an address of this machine.'
  if (code === '28P01' || code === '28000') return 'The database refuses the user or password in DATABASE_URL.'
  if (code === '3D000') return 'The database that DATABASE_URL names does not exist.'
  return error.message
}

const fail = (error: unknown): never => {
  process.stderr.write(`${inWords(error)}\n`)
  process.exit(1)
}

const run = async (): Promise<void> => {
  const config = readConfig(process.env)
  const log = makeLog(config.LOG_LEVEL, 'api')
  // Nothing acknowledged is in memory alone, so a fault nobody foresaw ends the process rather than be carried along.
  process.on('uncaughtException', (error) => {
    log.fatal({ err: forLog(error) }, 'the process ends for a fault of ours')
    process.exit(1)
  })
  const engines = await makeEngines(config, log)
  await refuseWrongSchema(engines.db)
  const metrics =
    config.METRICS_PORT === 0 ? undefined : serveMetrics(engines.metrics, config.HTTP_HOST, config.METRICS_PORT)
  metrics?.on('error', fail)
  const api = await startApi(engines)

  const stop = async (signal: string): Promise<void> => {
    log.info({ signal }, 'stopping')
    await api.stop()
    metrics?.close()
    await engines.close()
    process.exit(0)
  }
  let asked = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (asked && signal === 'SIGINT') process.exit(130)
      if (!asked) stop(signal).catch(fail)
      asked = true
    })
  }
}

run().catch(fail)
