import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { makeApp } from '../api/app.ts'
import { type RouteLine, routeTable } from '../api/route-table.ts'
import { readConfig } from '../engines/config.ts'
import { makeEngines } from '../engines/engines.ts'
import { makeLog } from '../engines/log.ts'
import { makeKeyFile } from '../engines/receipt-key.ts'

/** Nobody listens there. Nothing is asked of an engine until a request comes, and none does. */
const nowhere = '127.0.0.1:9'

/** The table of a whole api that is put together and never listens. */
const readRoutes = async (): Promise<RouteLine[]> => {
  const folder = await mkdtemp(join(tmpdir(), 'exhibit-routes-'))
  try {
    const keyFile = join(folder, 'receipt-key.json')
    await makeKeyFile(keyFile)
    const config = readConfig({
      DATABASE_URL: `postgres://${nowhere}/none`,
      REDIS_URL: `redis://${nowhere}`,
      S3_ENDPOINT: `http://${nowhere}`,
      S3_ACCESS_KEY: 'none',
      S3_SECRET_KEY: 'none',
      OIDC_ISSUER: `http://${nowhere}`,
      RECEIPT_KEY_FILE: keyFile,
      LOG_KEY_FILE: keyFile,
      SCRATCH_DIR: join(folder, 'scratch'),
    })
    const engines = await makeEngines(config, makeLog('silent', 'routes'))
    const app = await makeApp(engines)
    const table = routeTable(app)
    await app.close()
    await engines.close()
    return table
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** One line for the methods of an address that the same people may call. */
const inColumns = (table: readonly RouteLine[]): string => {
  const lines = Object.values(Object.groupBy(table, ({ path, may }) => `${path} ${may}`)).map((routes = []) => [
    routes.map(({ method }) => method).join(' '),
    routes[0]?.path ?? '',
    routes[0]?.may ?? '',
    routes[0]?.who ?? '',
  ])
  const widths = [0, 1, 2].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)) + 2)
  return lines.map((line) => line.map((text, column) => text.padEnd(widths[column] ?? 0)).join('')).join('\n')
}

export const routesCommand = (): Command =>
  new Command('routes')
    .description('Print every route of the api and who may call it; needs no server')
    .option('--json', 'answer as JSON')
    .action(async ({ json }: { json?: true }) => {
      const table = await readRoutes()
      console.log(json ? JSON.stringify(table) : inColumns(table))
    })
