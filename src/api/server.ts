import type { FastifyInstance } from 'fastify'
import type { Engines } from '../engines/engines.ts'
import { hastyRedis } from '../engines/redis.ts'
import { registerReceiptKey } from '../ledger/keys/receipt-keys.ts'
import { type AppOptions, makeApp } from './app.ts'

export type Api = {
  app: FastifyInstance
  /** Where it listens, without a path. */
  url: string
  /** Refuses new requests, lets those in flight end within STOP_SECONDS, and then cuts them. */
  stop(): Promise<void>
}

/** More are closed as they come: a process out of file descriptors serves nobody. So many may come at one moment, too. */
const mostConnections = 4096

const urlOf = (app: FastifyInstance): string => {
  const [address] = app.addresses()
  if (address === undefined || typeof address === 'string') throw new Error('the api listens nowhere')
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}

/** Listens on HTTP_HOST and HTTP_PORT (0: any free port). The engines stay the caller's to close. */
export const startApi = async (engines: Engines, options: AppOptions = {}): Promise<Api> => {
  const { config, log } = engines
  const redis = hastyRedis(config.REDIS_URL, log)
  const ping = async () => {
    await redis.ping()
    return 'answers'
  }
  try {
    await registerReceiptKey(engines)
    const app = await makeApp(engines, { ...options, readiness: { redis: ping, ...options.readiness } })
    app.server.maxConnections = mostConnections
    await app.listen({ host: config.HTTP_HOST, port: config.HTTP_PORT, backlog: mostConnections })
    const url = urlOf(app)
    log.info({ url }, 'the api is ready')
    return {
      app,
      url,
      stop: async () => {
        const cut = setTimeout(() => app.server.closeAllConnections(), config.STOP_SECONDS * 1000)
        await app.close().finally(() => clearTimeout(cut))
        redis.disconnect()
      },
    }
  } catch (error) {
    redis.disconnect()
    throw error
  }
}
