import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { listRecordings, readRecording } from './actions.ts'
import { RecordingsPage, RecordingsQuery, RecordingView } from './schemas.ts'

const tags = ['recordings']

/** The catalogue, as far as the person who is calling may see it. */
export const recordingRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/recordings',
      {
        config: { may: 'recording.list' },
        schema: {
          summary: 'Find recordings, newest first',
          description: 'A search, and what it found, is recorded before it is answered.',
          tags,
          querystring: RecordingsQuery,
          response: { 200: RecordingsPage, ...problems('bad-request') },
        },
      },
      async (request) => await listRecordings(engines, personOf(request), request.query),
    )

    app.get(
      '/recordings/:id',
      {
        config: { may: 'recording.read' },
        schema: {
          summary: "Read a recording's catalogue facts",
          description: 'Reading them is recorded before they are given.',
          tags,
          params: Type.Object({ id: IdOf.recording }),
          response: { 200: RecordingView, ...problems('not-found') },
        },
      },
      async (request) => await readRecording(engines, personOf(request), request.params.id),
    )
  }
