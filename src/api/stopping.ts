import type { FastifyInstance } from 'fastify'
import { Problem } from '../base/problem.ts'
import type { Ingest } from '../uploads/ingest.ts'

/** How long before STOP_SECONDS are over the uploads still under way are ended, so that they can still be answered. */
const lastSeconds = 2

/** From `app.close()` on, new requests are refused and those in flight end; each connection closes with its last answer. */
export const stopGracefully = (app: FastifyInstance, stopSeconds: number, ingest: Ingest): void => {
  let stopping = false
  let last: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    stopping = true
    last = setTimeout(() => ingest.stop(), Math.max(0, stopSeconds - lastSeconds) * 1000)
  })
  app.addHook('onClose', async () => clearTimeout(last))
  app.addHook('onRequest', async () => {
    if (stopping) throw new Problem('stopping', undefined, { retryAfter: 5 })
  })
  app.addHook('onSend', async (_request, reply) => {
    if (stopping) reply.header('connection', 'close')
  })
  app.addHook('onResponse', async () => {
    if (stopping) setImmediate(() => app.server.closeIdleConnections())
  })
}
