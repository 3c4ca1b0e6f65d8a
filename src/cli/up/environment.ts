import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Environment } from '../../engines/config.ts'
import type { StartedEngines } from '../../engines/embedded/stack.ts'
import { makeKeyFile } from '../../engines/receipt-key.ts'

export const database = 'exhibit'

export type KeyFiles = { receipts: string; log: string }

/** A file of a key, made at the first start: absent or whole, however often its maker was killed. */
const keyFile = async (file: string): Promise<string> => {
  if (existsSync(file)) return file
  const aside = `${file}.new`
  rmSync(aside, { force: true })
  await makeKeyFile(aside)
  renameSync(aside, file)
  return file
}

/** Of the keys that sign receipts and the checkpoints of the log. */
export const keyFiles = async (keysDir: string): Promise<KeyFiles> => ({
  receipts: await keyFile(join(keysDir, 'receipt-key.json')),
  log: await keyFile(join(keysDir, 'log-key.json')),
})

/** What the person who starts it may say about limits, times and the log by the environment; not where anything is. */
const wishes = (env: NodeJS.ProcessEnv): Record<string, string> =>
  Object.fromEntries(
    Object.keys(Environment.properties).flatMap((name) => {
      const value = env[name]
      return value === undefined || value === '' ? [] : [[name, value]]
    }),
  )

type Place = { engines: StartedEngines; port: number; keys: KeyFiles }

/** Every variable of an installation on the embedded engines, the owner's address of the database included. */
export const installationEnvironment = (
  { engines, port, keys }: Place,
  env: NodeJS.ProcessEnv,
): Record<string, string> => {
  const { postgres, redis, gateway, identityProvider, dataDir } = engines
  return {
    ...wishes(env),
    HTTP_HOST: '127.0.0.1',
    HTTP_PORT: String(port),
    // One number cannot serve the api and the worker of one machine.
    METRICS_PORT: '0',
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    TRUST_PROXY: '',
    DATABASE_URL: postgres.appUrl(database),
    DATABASE_OWNER_URL: postgres.ownerUrl(database),
    REDIS_URL: redis.url,
    REDIS_PREFIX: 'exhibit',
    S3_ENDPOINT: gateway.endpoint,
    S3_REGION: gateway.region,
    S3_ACCESS_KEY: gateway.accessKey,
    S3_SECRET_KEY: gateway.secretKey,
    S3_ORIGINALS: 'exhibit-originals',
    S3_STAGING: 'exhibit-staging',
    S3_DERIVED: 'exhibit-derived',
    S3_LEDGER: 'exhibit-ledger',
    S3_KEY_PREFIX: '',
    OIDC_ISSUER: identityProvider.issuer,
    OIDC_AUDIENCE: identityProvider.audience,
    OIDC_ROLES_CLAIM: identityProvider.rolesClaim,
    OIDC_COLLAR_CLAIM: identityProvider.collarClaim,
    RECEIPT_KEY_FILE: keys.receipts,
    LOG_KEY_FILE: keys.log,
    // The log's name is its own, fixed at its birth.
    LOG_ORIGIN: '',
    SCRATCH_DIR: join(dataDir, 'scratch'),
  }
}
