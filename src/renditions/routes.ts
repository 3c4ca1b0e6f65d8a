import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { actor } from '../people/person.ts'
import { remakeRenditions } from './actions.ts'

/** Renditions are derived: they can be made again at any time. */
export const renditionRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/recordings/:id/renditions',
      {
        config: { may: 'rendition.remake' },
        schema: {
          summary: 'Make all playback forms of a recording anew',
          description: 'Those that are there are watched until a new one takes their place.',
          tags: ['recordings'],
          params: Type.Object({ id: IdOf.recording }),
          response: { 202: Type.Object({ id: IdOf.recording }), ...problems('conflict') },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        await remakeRenditions(engines, actor(personOf(request), 'rendition.remake'), id)
        return await reply.code(202).send({ id })
      },
    )
  }
