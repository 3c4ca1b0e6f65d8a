import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { problems } from '../base/problem-schema.ts'
import { actorOf } from '../docks/caller.ts'
import type { Engines } from '../engines/engines.ts'
import { listJobs, retryJob } from '../jobs/actions.ts'
import { JobStateName, JobView } from '../jobs/schemas.ts'
import { Cursor, defaultLimit, Limit, pageOf } from '../people/page.ts'

const tags = ['jobs']

/** Here and not in src/jobs, which may not know people. */
export const jobRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/jobs',
      {
        config: { may: 'job.list' },
        schema: {
          summary: 'Owed work and how it ended, newest first',
          tags,
          querystring: Type.Object({ state: Type.Optional(JobStateName), limit: Limit, cursor: Cursor }),
          response: { 200: pageOf(JobView), ...problems('bad-request') },
        },
      },
      async (request) => {
        const { limit = defaultLimit, ...rest } = request.query
        return await listJobs(engines, { limit, ...rest })
      },
    )

    app.post(
      '/jobs/:id/retry',
      {
        config: { may: 'job.retry' },
        schema: {
          summary: 'Try a failed job again',
          description: 'It is owed anew, at once and with all its attempts before it.',
          tags,
          params: Type.Object({ id: IdOf.job }),
          response: { 202: JobView, ...problems('not-found', 'conflict') },
        },
      },
      async (request, reply) => {
        const job = await retryJob(engines, actorOf(request), request.params.id)
        return await reply.code(202).send(job)
      },
    )
  }
