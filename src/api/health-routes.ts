import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Report } from './readiness.ts'

const tags = ['health']

const ReportView = Type.Object(
  {
    status: Type.Unsafe<Report['status']>({ type: 'string', enum: ['ready', 'degraded', 'unavailable'] }),
    dependencies: Type.Record(Type.String(), Type.Object({ ok: Type.Boolean(), says: Type.String() })),
  },
  {
    description: '`degraded`: work goes on, and what waits for the failing part is caught up with later',
    examples: [{ status: 'ready', dependencies: { database: { ok: true, says: 'answers' } } }],
  },
)

/** /healthz: this process lives. /readyz: so does what it depends on, each named. */
export const healthRoutes =
  (readiness: () => Promise<Report>): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/healthz',
      {
        config: { may: 'health' },
        schema: {
          summary: 'Whether this process is alive',
          tags,
          response: { 200: Type.Object({ status: Type.Literal('alive') }) },
        },
      },
      async () => ({ status: 'alive' as const }),
    )

    app.get(
      '/readyz',
      {
        config: { may: 'health' },
        schema: {
          summary: 'What this process depends on, and how it is',
          tags,
          response: { 200: ReportView, 503: ReportView },
        },
      },
      async (_request, reply) => {
        const report = await readiness()
        return await reply.code(report.status === 'unavailable' ? 503 : 200).send(report)
      },
    )
  }
