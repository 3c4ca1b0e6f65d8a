import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { IdOf, type UploadId } from '../base/ids.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import type { UploadRow } from '../engines/tables.ts'
import { personOf } from '../people/caller.ts'
import { Cursor, cutPage, defaultLimit, Limit, pageOf } from '../people/page.ts'
import { actor } from '../people/person.ts'
import { checkReason, Reason } from '../people/reasons.ts'
import { UploadState, UploadView } from './schemas.ts'
import { keepUpload, listUploads } from './worklist.ts'

const view = (upload: UploadRow) => ({
  id: upload.id,
  dock: upload.dock,
  camera: upload.camera,
  filename: upload.filename,
  size: upload.size,
  received: upload.received,
  ...(upload.sha256 === null ? {} : { sha256: upload.sha256 }),
  state: upload.state,
  kept: upload.kept,
  recordedAt: upload.recordedAt.toISOString(),
  createdAt: upload.createdAt.toISOString(),
  expiresAt: upload.expiresAt.toISOString(),
  ...(upload.state === 'open' || upload.state === 'expired' ? {} : { recordingId: upload.recording }),
})

const afterOf = (cursor: string | undefined): UploadId | undefined => {
  if (cursor === undefined) return undefined
  const [id] = decodeCursor(cursor)
  if (!Value.Check(IdOf.upload, id)) throw cursorProblem()
  return id
}

/** The supervisors' work list: uploads that stand still, and keeping what arrived of one. */
export const uploadWorklistRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/uploads',
      {
        config: { may: 'upload.list' },
        schema: {
          summary: 'Uploads by state, oldest first',
          tags: ['supervisors'],
          querystring: Type.Object(
            {
              state: Type.Optional(UploadState),
              limit: Limit,
              cursor: Cursor,
            },
            { additionalProperties: false },
          ),
          response: { 200: pageOf(UploadView), ...problems('bad-request') },
        },
      },
      async (request) => {
        const { state, limit = defaultLimit, cursor } = request.query
        const asked = { state, after: afterOf(cursor), limit }
        const rows = await listUploads(engines, actor(personOf(request), 'upload.list'), asked)
        return cutPage(rows, limit, view, (row) => [row.id])
      },
    )

    app.post(
      '/uploads/:id/keep',
      {
        config: { may: 'upload.keep' },
        schema: {
          summary: 'Keep what arrived of an upload that was cut off for good',
          tags: ['supervisors'],
          params: Type.Object({ id: IdOf.upload }),
          body: Type.Object({ reason: Reason }, { additionalProperties: false }),
          response: {
            202: Type.Object({ recordingId: IdOf.recording }),
            ...problems('not-found', 'conflict', 'bad-request'),
          },
        },
      },
      async (request, reply) => {
        const person = personOf(request)
        const recordingId = await keepUpload(
          engines,
          actor(person, 'upload.keep'),
          request.params.id,
          checkReason(engines.config, person, request.body.reason),
        )
        return await reply.code(202).send({ recordingId })
      },
    )
  }
