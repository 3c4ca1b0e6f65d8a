import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Nothing, problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { Cursor, defaultLimit, Limit, pageOf } from '../people/page.ts'
import { checkReason } from '../people/reasons.ts'
import { MaybeReason } from '../people/schemas.ts'
import { abandonPurge, listPurges, readPurge, releasePurge, startPurge } from './purges.ts'
import { Explained, PurgeView } from './schemas.ts'

const tags = ['retention']
const params = Type.Object({ id: IdOf.purge })
const Ref = Type.Object({ id: IdOf.purge })

/** Purges: each hides what is due and erases whose grace is over. */
export const purgeRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/retention/purges',
      {
        config: { may: 'purge.start' },
        schema: {
          summary: 'Start a purge, as the daily one is',
          description: 'Where one is under way, its id is the answer.',
          tags,
          response: { 202: Ref },
        },
      },
      async (request, reply) => await reply.code(202).send({ id: await startPurge(engines, personOf(request)) }),
    )

    app.get(
      '/retention/purges',
      {
        config: { may: 'purge.read' },
        schema: {
          summary: 'All purges, newest first',
          tags,
          querystring: Type.Object({ limit: Limit, cursor: Cursor }, { additionalProperties: false }),
          response: { 200: pageOf(PurgeView), ...problems('bad-request') },
        },
      },
      async (request) => {
        const { limit = defaultLimit, cursor } = request.query
        return await listPurges(engines, limit, cursor)
      },
    )

    app.get(
      '/retention/purges/:id',
      {
        config: { may: 'purge.read' },
        schema: { summary: 'How a purge stands', tags, params, response: { 200: PurgeView, ...problems('not-found') } },
      },
      async (request) => await readPurge(engines, request.params.id),
    )

    app.post(
      '/retention/purges/:id/release',
      {
        config: { may: 'purge.release' },
        schema: {
          summary: 'Let a purge go on that stopped because it found more than it may hide, as a second person',
          tags,
          params,
          body: MaybeReason,
          response: { 202: Ref, ...problems('bad-request', 'not-found', 'conflict', 'same-person') },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        await releasePurge(engines, personOf(request), id, request.body?.reason)
        return await reply.code(202).send({ id })
      },
    )

    app.post(
      '/retention/purges/:id/abandonment',
      {
        config: { may: 'purge.release' },
        schema: {
          summary: 'Give up a purge that is under way, be it braked, at work or stuck',
          description:
            'What it had hidden stays in grace, and what is due stays due: the next purge counts it anew. What it has begun to erase goes.',
          tags,
          params,
          body: Explained,
          response: { 204: Nothing, ...problems('bad-request', 'not-found', 'conflict') },
        },
      },
      async (request, reply) => {
        const person = personOf(request)
        const reason = checkReason(engines.config, person, request.body.reason)
        await abandonPurge(engines, person, request.params.id, reason)
        return await reply.code(204).send()
      },
    )
  }
