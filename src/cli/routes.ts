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

const inColumns = (lines: readonly RouteLine[]): string => {
  const width = (texts: string[]) => Math.max(...texts.map((text) => text.length))
  const path = width(lines.map((line) => line.path))
  const may = width(lines.map((line) => line.may))
  return lines
    .map((line) => `${line.method.padEnd(8)}${line.path.padEnd(path + 2)}${line.may.padEnd(may + 2)}${line.who}`)
    .join('\n')
}

export const routesCommand = (): Command =>
  new Command('routes')
    .description('Print every route of the api and who may call it; needs no server')
    .option('--json', 'answer as JSON')
    .action(async ({ json }: { json?: true }) => {
      const table = await readRoutes()
      console.log(json ? JSON.stringify(table) : inColumns(table))
    })
