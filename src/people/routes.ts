import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Nothing, problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { listPeople, setSuspension } from './actions.ts'
import { personOf } from './caller.ts'
import { Cursor, defaultLimit, Limit, pageOf } from './page.ts'
import { checkMaybeReason } from './reasons.ts'
import { MaybeReason, Me, PersonView } from './schemas.ts'

const params = Type.Object({ id: IdOf.person })
const tags = ['people']

export const peopleRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/me',
      { config: { may: 'me.read' }, schema: { summary: 'Who you are here', tags, response: { 200: Me } } },
      async (request) => personOf(request),
    )

    app.get(
      '/people',
      {
        config: { may: 'person.list' },
        schema: {
          summary: 'Everyone who has signed in, in the order they first did',
          tags,
          querystring: Type.Object({ limit: Limit, cursor: Cursor }),
          response: { 200: pageOf(PersonView), ...problems('bad-request') },
        },
      },
      async (request) => await listPeople(engines.db, request.query.limit ?? defaultLimit, request.query.cursor),
    )

    app.post(
      '/people/:id/suspension',
      {
        config: { may: 'person.suspend' },
        schema: {
          summary: 'Suspend a person, from their next request on',
          tags,
          params,
          body: MaybeReason,
          response: { 204: Nothing, ...problems('bad-request', 'not-found') },
        },
      },
      async (request, reply) => {
        const person = personOf(request)
        const reason = checkMaybeReason(engines.config, person, request.body?.reason)
        await setSuspension(engines, person, request.params.id, true, reason)
        return await reply.code(204).send()
      },
    )

    app.delete(
      '/people/:id/suspension',
      {
        config: { may: 'person.suspend' },
        schema: { summary: 'End a suspension', tags, params, response: { 204: Nothing, ...problems('not-found') } },
      },
      async (request, reply) => {
        await setSuspension(engines, personOf(request), request.params.id, false, undefined)
        return await reply.code(204).send()
      },
    )
  }
