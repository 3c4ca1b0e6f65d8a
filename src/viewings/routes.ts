import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Nothing, problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { closeViewing, leaveViewing } from './closing.ts'
import { openViewing } from './opening.ts'
import { readViewing } from './reading.ts'
import { Thumbnails, ThumbnailsRequest, Token, ViewingOpened, ViewingRequest, ViewingView } from './schemas.ts'
import { giveThumbnails } from './thumbnails.ts'

const tags = ['viewings']

/** Opening, reading and closing viewings. What a viewing shows is `watching-routes.ts`. */
export const viewingRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/recordings/:id/viewings',
      {
        config: { may: 'recording.viewing' },
        schema: {
          summary: 'Open a viewing of a recording',
          description: 'Who, when and why is recorded before the addresses are given.',
          tags,
          params: Type.Object({ id: IdOf.recording }),
          body: ViewingRequest,
          response: {
            201: ViewingOpened,
            ...problems(
              'bad-request',
              'not-found',
              'not-playable-yet',
              'not-playable',
              'conflict',
              'quarantined',
              'erased',
              'too-many-viewings',
            ),
          },
        },
      },
      async (request, reply) => {
        const viewing = await openViewing(engines, personOf(request), request.params.id, request.body?.reason)
        const location = `${engines.config.PUBLIC_URL}/api/v1/viewings/${viewing.id}`
        return await reply.code(201).headers({ 'cache-control': 'private, no-store', location }).send(viewing)
      },
    )

    app.post(
      '/recordings/thumbnails',
      {
        config: { may: 'recording.thumbnails' },
        schema: {
          summary: 'Get small pictures of the recordings on a list',
          description: 'Which were shown, and to whom, is recorded before they are given.',
          tags,
          body: ThumbnailsRequest,
          response: { 200: Thumbnails, ...problems('bad-request', 'store-unavailable') },
        },
      },
      async (request, reply) => {
        reply.header('cache-control', 'private, no-store')
        return await giveThumbnails(engines, personOf(request), request.body.recordings)
      },
    )

    app.get(
      '/viewings/:id',
      {
        config: { may: 'viewing.read' },
        schema: {
          summary: 'Read who watched what, and why',
          description: 'For the person who watched, and for supervisors. Reading it is recorded.',
          tags,
          params: Type.Object({ id: IdOf.viewing }),
          response: { 200: ViewingView, ...problems('not-found') },
        },
      },
      async (request) => await readViewing(engines, personOf(request), request.params.id),
    )

    app.post(
      '/viewings/:token/close',
      {
        config: { may: 'viewing.watch' },
        schema: {
          summary: 'Close a viewing',
          description: 'What was watched becomes an entry. A viewing that has ended stays as it is.',
          tags,
          params: Type.Object({ token: Token }),
          response: { 204: Nothing, ...problems('not-found') },
        },
      },
      async (request, reply) => {
        await closeViewing(engines, request.params.token)
        return await reply.code(204).header('cache-control', 'private, no-store').send()
      },
    )

    app.post(
      '/viewings/:token/leave',
      {
        config: { may: 'viewing.watch' },
        schema: {
          summary: 'Say that the page of a viewing is left',
          description: 'The viewing ends within a minute, unless the page is loaded again or somebody watches on.',
          tags,
          params: Type.Object({ token: Token }),
          response: { 204: Nothing, ...problems('not-found') },
        },
      },
      async (request, reply) => {
        await leaveViewing(engines, request.params.token)
        return await reply.code(204).header('cache-control', 'private, no-store').send()
      },
    )
  }
