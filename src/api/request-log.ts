import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Metrics } from '../engines/metrics.ts'
import { callerKey } from './guards.ts'

const facts = (request: FastifyRequest, ms: number) => ({
  method: request.method,
  // The pattern and never the address: addresses carry tokens.
  route: request.routeOptions.url ?? 'none',
  ms: Math.round(ms),
  actor: callerKey(request),
})

/** One line and one measurement a request: ids only. */
export const installRequestLog = (app: FastifyInstance, metrics: Metrics): void => {
  app.addHook('onResponse', async (request, reply) => {
    const line = facts(request, reply.elapsedTime)
    metrics.requests.observe(
      { route: `${line.method} ${line.route}`, status: reply.statusCode },
      reply.elapsedTime / 1000,
    )
    const level = request.routeOptions.config?.may === 'health' ? 'debug' : 'info'
    request.log[level]({ ...line, status: reply.statusCode }, 'request')
  })
  app.addHook('onRequestAbort', async (request) => {
    request.log.info(facts(request, 0), 'the client went away')
  })
}
