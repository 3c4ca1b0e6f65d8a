import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { Cursor, defaultLimit, Limit, pageOf } from '../people/page.ts'
import { explainDate, listDue, readErasure } from './dates.ts'
import { AskedDay, DueItem, RetentionView } from './schemas.ts'

const tags = ['retention']
const params = Type.Object({ id: IdOf.recording })

/** When recordings may be destroyed, and the proof that one was. */
export const retentionRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/recordings/:id/retention',
      {
        config: { may: 'retention.read' },
        schema: {
          summary: 'When a recording may be destroyed, and why, with every rule that was beaten',
          tags,
          params,
          response: { 200: RetentionView, ...problems('not-found') },
        },
      },
      async (request) => await explainDate(engines, personOf(request), request.params.id),
    )

    app.get(
      '/retention/due',
      {
        config: { may: 'retention.due' },
        schema: {
          summary: 'What is due by the end of a day',
          tags,
          querystring: Type.Object(
            { on: Type.Optional(AskedDay), limit: Limit, cursor: Cursor },
            { additionalProperties: false },
          ),
          response: { 200: pageOf(DueItem), ...problems('bad-request') },
        },
      },
      async (request) => {
        const { on, limit = defaultLimit, cursor } = request.query
        return await listDue(engines, personOf(request), { on, limit, cursor })
      },
    )

    app.get(
      '/recordings/:id/erasure',
      {
        config: { may: 'erasure.read' },
        schema: {
          summary: 'The signed proof that a recording was erased',
          tags,
          params,
          response: {
            200: {
              description: 'The proof',
              content: {
                'application/jose': {
                  schema: Type.String({
                    description: 'Compact JWS, EdDSA, typ exhibit-erasure+jwt',
                    examples: ['eyJhbGciOiJFZERTQSIs...'],
                  }),
                },
              },
            },
            ...problems('not-found', 'conflict'),
          },
        },
      },
      async (request, reply) =>
        await reply
          .code(200)
          .type('application/jose')
          .send(await readErasure(engines, personOf(request), request.params.id)),
    )
  }
