import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { listClips, readClip, requestClip } from './actions.ts'
import { ClipAccepted, ClipRequest, ClipsPage, ClipsQuery, ClipView } from './schemas.ts'

const tags = ['clips']

/** Exact ranges cut from recordings. */
export const clipRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/recordings/:id/clips',
      {
        config: { may: 'clip.request' },
        schema: {
          summary: 'Ask for an exact clip of a recording',
          description:
            'Every frame that begins at or after `start` and before `end`, never one more; times are compared in whole microseconds. The sound goes with the frames.',
          tags,
          params: Type.Object({ id: IdOf.recording }),
          body: ClipRequest,
          response: {
            202: ClipAccepted,
            ...problems(
              'bad-request',
              'not-found',
              'not-ready',
              'conflict',
              'quarantined',
              'clip-outside-recording',
              'clip-impossible',
              'erased',
              'too-many-clips',
            ),
          },
        },
      },
      async (request, reply) => {
        const clip = await requestClip(engines, personOf(request), request.params.id, request.body)
        const location = `${engines.config.PUBLIC_URL}/api/v1/clips/${clip.id}`
        return await reply.code(202).header('location', location).send(clip)
      },
    )

    app.get(
      '/recordings/:id/clips',
      {
        config: { may: 'clip.list' },
        schema: {
          summary: "A recording's clips, newest first",
          description: 'What was found is recorded before it is answered.',
          tags,
          params: Type.Object({ id: IdOf.recording }),
          querystring: ClipsQuery,
          response: { 200: ClipsPage, ...problems('bad-request', 'not-found') },
        },
      },
      async (request) => await listClips(engines, personOf(request), request.params.id, request.query),
    )

    app.get(
      '/clips/:id',
      {
        config: { may: 'clip.read' },
        schema: {
          summary: 'How far a clip is, and how it was cut',
          description: 'Reading it is recorded, but for whoever asked for it and waits.',
          tags,
          params: Type.Object({ id: IdOf.clip }),
          response: { 200: ClipView, ...problems('not-found') },
        },
      },
      async (request) => await readClip(engines, personOf(request), request.params.id),
    )
  }
