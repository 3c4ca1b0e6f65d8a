import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Nothing, problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { Cursor, defaultLimit, Limit, pageOf } from '../people/page.ts'
import { MaybeReason } from '../people/schemas.ts'
import { listHolds, placeHold, releaseHold } from './holds.ts'
import { HoldOrder, HoldPlaced, HoldView } from './schemas.ts'

const tags = ['retention']
const params = Type.Object({ id: IdOf.recording })

/** Holds: each is a reason that beats every rule of retention. */
export const holdRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/recordings/:id/holds',
      {
        config: { may: 'hold.place' },
        schema: {
          summary: 'Keep a recording from being destroyed',
          description: 'One that is hidden already stays hidden, and is not erased while the hold is on it.',
          tags,
          params,
          body: HoldOrder,
          response: { 201: HoldPlaced, ...problems('bad-request', 'not-found', 'erased', 'conflict') },
        },
      },
      async (request, reply) => {
        const hold = await placeHold(engines, personOf(request), request.params.id, request.body)
        return await reply.code(201).send(hold)
      },
    )

    app.get(
      '/recordings/:id/holds',
      {
        config: { may: 'hold.list' },
        schema: {
          summary: 'The holds on a recording, newest first',
          description: 'An officer learns only that there are any.',
          tags,
          params,
          querystring: Type.Object({ limit: Limit, cursor: Cursor }, { additionalProperties: false }),
          response: { 200: pageOf(HoldView), ...problems('bad-request', 'not-found') },
        },
      },
      async (request) => {
        const { limit = defaultLimit, cursor } = request.query
        return await listHolds(engines, personOf(request), request.params.id, limit, cursor)
      },
    )

    app.delete(
      '/holds/:id',
      {
        config: { may: 'hold.release' },
        schema: {
          summary: 'Release a hold',
          description: 'Who placed it may, and supervisors. A reason may be given in the body.',
          tags,
          params: Type.Object({ id: IdOf.hold }),
          body: MaybeReason,
          response: { 204: Nothing, ...problems('bad-request', 'not-found', 'not-allowed', 'conflict') },
        },
      },
      async (request, reply) => {
        await releaseHold(engines, personOf(request), request.params.id, request.body?.reason)
        return await reply.code(204).send()
      },
    )
  }
