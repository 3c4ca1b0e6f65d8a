import { once } from 'node:events'
import { sql } from 'kysely'
import type { Config } from '../../engines/config.ts'
import { learnStorePromises, promisesInWords } from '../../engines/enforced.ts'
import type { Log } from '../../engines/log.ts'
import { refuseWrongSchema } from '../../engines/migrate.ts'
import { connect, type Db } from '../../engines/postgres.ts'
import { hastyRedis } from '../../engines/redis.ts'
import { monthsInWords, monthsOf, partitionsOf } from '../../ledger/entries/partitions.ts'
import { logInWords, lookAtLog } from '../../ledger/log/standing.ts'
import { issuerKeys } from '../../people/issuer.ts'
import { broken, type Check, weak, well } from './check.ts'

/** Does some work with a pool of its own, so that one check cannot spoil another. */
export const withDatabase = async <T>(config: Config, log: Log, work: (db: Db) => Promise<T>): Promise<T> => {
  const db = connect(config.DATABASE_URL, 2, log)
  try {
    return await work(db)
  } finally {
    await db.destroy()
  }
}

const oldestPostgres = 180_000

const databaseCheck = (config: Config, log: Log): Check => ({
  name: 'database',
  look: async () =>
    await withDatabase(config, log, async (db) => {
      const { rows } = await sql<{ version: string; number: number; role: string }>`
        select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
          current_user as role`.execute(db)
      const [found] = rows
      if (found === undefined || found.number < oldestPostgres)
        return broken(`Postgres ${found?.version} answers, and 18 is needed`)
      return well(`Postgres ${found.version} answers the role ${found.role}`)
    }),
})

const schemaCheck = (config: Config, log: Log): Check => ({
  name: 'schema',
  look: async () => {
    await withDatabase(config, log, refuseWrongSchema)
    return well('the database and this release fit each other')
  },
})

const partitionsCheck = (config: Config, log: Log): Check => ({
  name: 'partitions',
  look: async () => {
    const months = monthsOf(await withDatabase(config, log, partitionsOf), Temporal.Now.instant())
    const { alarm, says } = monthsInWords(months)
    if (!alarm) return well(says)
    // In the month after the last, nothing could be recorded any more, and so nothing done.
    return months.ahead < 1 ? broken(says) : weak(says)
  },
})

const ledgerCheck = (config: Config, log: Log): Check => ({
  name: 'ledger',
  look: async () => {
    const standing = await withDatabase(config, log, async (db) => await lookAtLog({ db }))
    const { alarm, says } = logInWords(standing, new Date(), config.LEDGER_INTERVAL_SECONDS)
    if (!alarm) return well(says)
    return standing?.halted == null ? weak(says) : broken(says)
  },
})

/** What INFO says under a name; undefined where a hosted server hides it. */
const saidOf = (info: string, name: string): string | undefined =>
  new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]

const redisCheck = (config: Config, log: Log): Check => ({
  name: 'redis',
  look: async () => {
    const redis = hastyRedis(config.REDIS_URL, log)
    try {
      if (redis.status !== 'ready') await once(redis, 'ready', { signal: AbortSignal.timeout(5000) })
      const info = await redis.info()
      const answers = `version ${saidOf(info, 'valkey_version') ?? saidOf(info, 'redis_version')} answers`
      const faults = [
        ...(['noeviction', undefined].includes(saidOf(info, 'maxmemory_policy'))
          ? []
          : ['it may forget jobs when its memory is full (maxmemory-policy noeviction is wanted)']),
        ...(saidOf(info, 'aof_enabled') === '0'
          ? ['it forgets jobs when it restarts (appendonly yes is wanted); they are offered again from the database']
          : []),
      ]
      return faults.length === 0 ? well(answers) : weak(`${answers}; ${faults.join('; ')}`)
    } catch {
      return broken('does not answer at REDIS_URL, or refuses its password')
    } finally {
      redis.disconnect()
    }
  },
})

const storeCheck = (config: Config): Check => ({
  name: 'store',
  look: async () => {
    try {
      const promises = await learnStorePromises(config)
      const words = promisesInWords(promises)
      return Object.values(promises).every(Boolean) ? well(words) : weak(words)
    } catch (error) {
      const name = error instanceof Error ? error.name : ''
      if (name === 'NoSuchBucket')
        return broken(`the bucket ${config.S3_ORIGINALS} is missing: run \`exhibit buckets\``)
      if (['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'AccessDenied'].includes(name))
        return broken('the store refuses S3_ACCESS_KEY and S3_SECRET_KEY')
      throw error
    }
  },
})

const issuerCheck = (config: Config): Check => ({
  name: 'issuer',
  look: async () => {
    await issuerKeys(config.OIDC_ISSUER).answers()
    return well(`${config.OIDC_ISSUER} answers`)
  },
})

export const engineChecks = (config: Config, log: Log): Check[] => [
  databaseCheck(config, log),
  schemaCheck(config, log),
  partitionsCheck(config, log),
  ledgerCheck(config, log),
  redisCheck(config, log),
  storeCheck(config),
  issuerCheck(config),
]
