import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Problem, type ProblemCode } from '../base/problem.ts'
import { Nothing, problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { type Original, originalAt, requestDownload } from './actions.ts'
import { attachment } from './disposition.ts'
import { wantedRange } from './range.ts'
import { DownloadRequest, DownloadView, originalResponses } from './schemas.ts'
import { openOriginal } from './stream.ts'

const tags = ['downloads']
const params = Type.Object({ token: Type.String({ maxLength: 100 }) })
const refusals: ProblemCode[] = ['suspended', 'not-found', 'conflict', 'link-expired', 'quarantined', 'erased']

const etagOf = (original: Original): string => `"${original.sha256}"`

const headersOf = (original: Original) => ({
  'accept-ranges': 'bytes',
  'cache-control': 'private, no-store',
  'content-disposition': attachment(original.filename, original.recording),
  'content-type': original.mediaType,
  etag: etagOf(original),
  'referrer-policy': 'no-referrer',
  'repr-digest': `sha-256=:${Buffer.from(original.sha256, 'hex').toString('base64')}:`,
  'x-content-type-options': 'nosniff',
})

const header = (request: FastifyRequest, name: string): string | undefined => {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

/** The signal is aborted when the client has gone. */
const goneSignal = (reply: FastifyReply): AbortSignal => {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  return gone.signal
}

/** Addresses of originals, and what they serve. */
export const downloadRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/recordings/:id/downloads',
      {
        config: { may: 'recording.download' },
        schema: {
          summary: 'Ask for the original of a recording',
          description: 'Who, when and why is recorded before the address is given.',
          tags,
          params: Type.Object({ id: IdOf.recording }),
          body: DownloadRequest,
          response: {
            201: DownloadView,
            ...problems('bad-request', 'not-found', 'not-ready', 'conflict', 'quarantined', 'erased'),
          },
        },
      },
      async (request, reply) => {
        const download = await requestDownload(engines, personOf(request), request.params.id, request.body.reason)
        return await reply.code(201).headers({ 'cache-control': 'no-store', location: download.url }).send(download)
      },
    )

    app.head(
      '/downloads/:token',
      {
        config: { may: 'download.fetch' },
        schema: {
          summary: 'What an address leads to',
          tags,
          params,
          response: { 200: Nothing, ...problems(...refusals) },
        },
      },
      async (request, reply) => {
        const original = await originalAt(engines, request.params.token)
        return await reply
          .code(200)
          .headers({ ...headersOf(original), 'content-length': original.size })
          .send()
      },
    )

    app.get(
      '/downloads/:token',
      {
        config: { may: 'download.fetch' },
        schema: {
          summary: 'Fetch an original, or a range of it',
          description:
            'The address is the permission. Repr-Digest and ETag are those of the whole file; several ranges at once are answered with all of it.',
          tags,
          params,
          response: { ...originalResponses, ...problems(...refusals, 'range-not-satisfiable', 'store-unavailable') },
        },
      },
      async (request, reply) => {
        const original = await originalAt(engines, request.params.token)
        const { size } = original
        const wanted = wantedRange(size, etagOf(original), {
          range: header(request, 'range'),
          ifRange: header(request, 'if-range'),
        })
        if (wanted === 'unsatisfiable') {
          reply.headers({ 'accept-ranges': 'bytes', 'content-range': `bytes */${size}` })
          throw new Problem('range-not-satisfiable', `The file has ${size} bytes.`)
        }
        const { first, last } = wanted === 'whole' ? { first: 0, last: size - 1 } : wanted
        const body = await openOriginal(engines, original, { first, last }, goneSignal(reply))
        reply.headers({ ...headersOf(original), 'content-length': last - first + 1 })
        if (wanted === 'whole') return await reply.code(200).send(body)
        return await reply.code(206).header('content-range', `bytes ${first}-${last}/${size}`).send(body)
      },
    )
  }
