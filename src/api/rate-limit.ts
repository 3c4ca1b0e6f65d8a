import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import { Problem } from '../base/problem.ts'
import type { Config } from '../engines/config.ts'
import { callerKey } from './guards.ts'

const windowMs = 1000
const none = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false }

/** So many requests a second of one dock or one person, counted in this process after the token was verified. */
export const installRateLimit = async (app: FastifyInstance, { RATE_DOCK, RATE_PERSON }: Config): Promise<void> => {
  await app.register(rateLimit, {
    timeWindow: windowMs,
    max: (_request, key) => (key.startsWith('dock:') ? RATE_DOCK : RATE_PERSON),
    keyGenerator: (request) => callerKey(request) ?? 'anyone',
    allowList: (request) => callerKey(request) === undefined,
    addHeadersOnExceeding: none,
    addHeaders: { ...none, 'retry-after': false },
    errorResponseBuilder: (_request, { max, ttl }) =>
      new Problem('too-many-requests', `You may send ${max} requests a second.`, { retryAfter: ttl / 1000 }),
  })
}
