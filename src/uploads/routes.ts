import type { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { Nothing, problems } from '../base/problem-schema.ts'
import { dockOf } from '../docks/caller.ts'
import type { Engines } from '../engines/engines.ts'
import type { UploadRow } from '../engines/tables.ts'
import { appendToUpload, createUpload, terminateUpload, uploadOfDock } from './actions.ts'
import type { Ingest } from './ingest.ts'
import {
  checksumAlgorithms,
  chunkType,
  readBytes,
  readChecksum,
  readMetadata,
  tusExtensions,
  tusVersion,
  writeMetadata,
} from './tus.ts'

const params = Type.Object({ id: IdOf.upload })

const header = (request: FastifyRequest, name: string): string | undefined => {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

const expires = (upload: UploadRow) =>
  upload.state === 'open' ? { 'upload-expires': upload.expiresAt.toUTCString() } : {}

const bodyOf = (request: FastifyRequest): { body: Readable; length: number | undefined } => {
  const length = header(request, 'content-length')
  return { body: request.raw, length: length === undefined ? undefined : readBytes(length, 'Content-Length') }
}

const refuseOtherVersions = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
  if (request.method === 'OPTIONS' || header(request, 'tus-resumable') === tusVersion) return
  reply.header('tus-version', tusVersion)
  throw new Problem('protocol-version')
}

/** Refusals too, of callers nobody knows as well. */
const sayVersion = async (_request: FastifyRequest, reply: FastifyReply): Promise<void> => {
  reply.header('tus-resumable', tusVersion)
}

/** tus 1.0.0 at /uploads: core, creation, creation-with-upload, checksum, expiration, termination. */
export const uploadRoutes =
  (engines: Engines, ingest: Ingest): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.addContentTypeParser(chunkType, (_request, _body, done) => done(null))
    app.addHook('preValidation', refuseOtherVersions)
    app.addHook('onSend', sayVersion)

    app.options(
      '/uploads',
      {
        config: { may: 'upload.options' },
        schema: { summary: 'What this tus server offers', tags: ['docks'], response: { 204: Nothing } },
      },
      async (_request, reply) =>
        await reply
          .code(204)
          .headers({
            'tus-version': tusVersion,
            'tus-extension': tusExtensions,
            'tus-checksum-algorithm': checksumAlgorithms.join(','),
            'tus-max-size': engines.config.UPLOAD_MAX_BYTES,
          })
          .send(undefined),
    )

    app.post(
      '/uploads',
      {
        config: { may: 'upload.write' },
        bodyLimit: Number.MAX_SAFE_INTEGER,
        schema: {
          summary: 'Begin an upload, with its first bytes if you like',
          tags: ['docks'],
          description:
            'tus creation. Upload-Metadata: filename, camera, recordedAt; also sha256, filetype, officer, category, incident, number, sequence, priority.',
          response: {
            201: Nothing,
            ...problems(
              'metadata-invalid',
              'length-invalid',
              'too-large',
              'too-many-uploads',
              'camera-unknown',
              'protocol-version',
              'checksum-mismatch',
              'erased',
            ),
          },
        },
      },
      async (request, reply) => {
        const dock = dockOf(request)
        if (header(request, 'upload-defer-length') !== undefined || header(request, 'upload-concat') !== undefined) {
          throw new Problem('bad-request', 'Deferred lengths and concatenation are not offered.')
        }
        const size = readBytes(header(request, 'upload-length'), 'Upload-Length')
        const file = readMetadata(header(request, 'upload-metadata'), engines.config.UPLOAD_METADATA_BYTES)
        const withBytes = header(request, 'content-type') === chunkType
        const checksum = readChecksum(header(request, 'upload-checksum'))
        const first = bodyOf(request)
        if (withBytes && first.length !== undefined && first.length > size)
          throw new Problem('too-large', `The declared length is ${size} bytes; this request goes beyond it.`)
        let upload = await createUpload(engines, dock, size, file)
        reply.header('location', `${engines.config.PUBLIC_URL}/api/v1/uploads/${upload.id}`)
        if (withBytes && size > 0)
          upload = await appendToUpload(engines, ingest, dock, upload.id, { offset: 0, checksum, ...first })
        return await reply
          .code(201)
          .headers({ 'upload-offset': upload.received, ...expires(upload) })
          .send(undefined)
      },
    )

    app.head(
      '/uploads/:id',
      {
        config: { may: 'upload.write' },
        schema: {
          summary: 'Where an upload stands',
          tags: ['docks'],
          params,
          response: { 200: Nothing, ...problems('not-found', 'gone') },
        },
      },
      async (request, reply) => {
        const upload = await uploadOfDock(engines, dockOf(request), request.params.id)
        return await reply
          .code(200)
          .headers({
            'cache-control': 'no-store',
            'upload-offset': upload.received,
            'upload-length': upload.size,
            'upload-metadata': writeMetadata(upload.metadata),
            ...expires(upload),
          })
          .send(undefined)
      },
    )

    app.patch(
      '/uploads/:id',
      {
        config: { may: 'upload.write' },
        bodyLimit: Number.MAX_SAFE_INTEGER,
        schema: {
          summary: 'Send the next bytes',
          tags: ['docks'],
          params,
          description: 'Upload-Checksum (sha256 or sha1) covers this request: on a mismatch nothing of it is kept.',
          response: {
            204: Nothing,
            ...problems(
              'offset-mismatch',
              'media-type',
              'checksum-mismatch',
              'unknown-digest-algorithm',
              'too-large',
              'too-slow',
              'gone',
              'not-found',
              'store-unavailable',
            ),
          },
        },
      },
      async (request, reply) => {
        if (header(request, 'content-type') !== chunkType)
          throw new Problem('media-type', `Send Content-Type: ${chunkType}.`)
        const offset = readBytes(header(request, 'upload-offset'), 'Upload-Offset')
        const checksum = readChecksum(header(request, 'upload-checksum'))
        const upload = await appendToUpload(engines, ingest, dockOf(request), request.params.id, {
          offset,
          checksum,
          ...bodyOf(request),
        })
        return await reply
          .code(204)
          .headers({ 'upload-offset': upload.received, ...expires(upload) })
          .send(undefined)
      },
    )

    app.delete(
      '/uploads/:id',
      {
        config: { may: 'upload.write' },
        schema: {
          summary: 'Give an upload up',
          tags: ['docks'],
          params,
          response: { 204: Nothing, ...problems('not-found', 'gone', 'conflict') },
        },
      },
      async (request, reply) => {
        await terminateUpload(engines, ingest, dockOf(request), request.params.id)
        return await reply.code(204).send(undefined)
      },
    )
  }
