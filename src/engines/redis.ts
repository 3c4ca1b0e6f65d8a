import { Redis, type RedisOptions } from 'ioredis'
import type { Log } from './log.ts'

/** For BullMQ's workers, which wait for Redis as long as it takes. */
export const patientRedis = (url: string, log: Log): Redis => made(url, { maxRetriesPerRequest: null }, log)

/** For the producing side, which gives up soon: Postgres keeps what is owed. */
export const hastyRedis = (url: string, log: Log): Redis =>
  made(url, { maxRetriesPerRequest: 1, enableOfflineQueue: false, commandTimeout: 5000 }, log)

type Patience = Pick<RedisOptions, 'maxRetriesPerRequest' | 'enableOfflineQueue' | 'commandTimeout'>

const made = (url: string, options: Patience, log: Log): Redis => {
  const redis = new Redis(url, { ...options, retryStrategy: (times: number) => Math.min(times * 100, 2000) })
  redis.on('error', (error: Error) => log.debug({ err: error.message }, 'Redis cannot be reached'))
  return redis
}
