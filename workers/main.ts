import { once } from 'node:events'
import { readConfig } from '../src/engines/config.ts'
import { makeEngines } from '../src/engines/engines.ts'
import { makeLog } from '../src/engines/log.ts'
import { serveMetrics } from '../src/engines/metrics.ts'
import { refuseWrongSchema } from '../src/engines/migrate.ts'
import { databaseLost } from '../src/engines/postgres.ts'
import { handlers } from './handlers.ts'
import { sweeps } from './sweeps.ts'
import { startWorker } from './worker.ts'

/** The worker's process: everything it needs to know is in the environment (.env.example). */
const main = async (): Promise<void> => {
  const config = readConfig(process.env)
  const log = makeLog(config.LOG_LEVEL, 'worker')
  const engines = await makeEngines(config, log)
  await refuseWrongSchema(engines.db).catch((error: unknown) => {
    throw databaseLost(error) ? new Error('the database at DATABASE_URL does not answer.') : error
  })
  const metrics =
    config.METRICS_PORT === 0 ? undefined : serveMetrics(engines.metrics, config.HTTP_HOST, config.METRICS_PORT)
  if (metrics !== undefined) {
    await once(metrics, 'listening').catch(() => {
      throw new Error(`port ${config.METRICS_PORT} for the metrics is taken: choose another METRICS_PORT.`)
    })
  }
  const worker = await startWorker(engines, handlers, { sweeps })

  const stop = async (): Promise<void> => {
    metrics?.close()
    // Whatever does not end in its time is left as it is: the lease of its job runs out, and another worker takes it.
    setTimeout(() => process.exit(0), config.STOP_SECONDS * 1000).unref()
    await worker.stop()
    await engines.close()
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => void stop().catch(() => process.exit(1)))
}

main().catch((error: unknown) => {
  process.stderr.write(`The worker cannot start: ${error instanceof Error ? error.message : 'unknown'}\n`)
  process.exit(1)
})
