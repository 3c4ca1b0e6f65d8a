import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type TSchema, Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Problem, type ProblemCode } from '../base/problem.ts'
import { Nothing, problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { sendBytes } from '../engines/sending.ts'
import { personOf } from '../people/caller.ts'
import { fileAt, requestDownload } from './actions.ts'
import { attachment } from './disposition.ts'
import type { Served, Wanted } from './download.ts'
import { wantedRange } from './range.ts'
import { DownloadRequest, DownloadView, fileResponses } from './schemas.ts'
import { openFile } from './stream.ts'

const tags = ['downloads']
const params = Type.Object({ token: Type.String({ maxLength: 100 }) })
const refusals: ProblemCode[] = [
  'suspended',
  'not-found',
  'conflict',
  'link-expired',
  'quarantined',
  'exhibit-sensitive',
  'erased',
]

const etagOf = ({ sha256 }: Served): string => `"${sha256}"`

const headersOf = (served: Served) => ({
  'accept-ranges': 'bytes',
  'cache-control': 'private, no-store',
  'content-disposition': attachment(served.filename, served.of.id),
  'content-type': served.mediaType,
  etag: etagOf(served),
  'referrer-policy': 'no-referrer',
  'repr-digest': `sha-256=:${Buffer.from(served.sha256, 'hex').toString('base64')}:`,
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

const asking = <Id extends TSchema>(what: string, id: Id, ...more: ProblemCode[]) => ({
  summary: `Ask for ${what}`,
  description: 'Who, when and why is recorded before the address is given.',
  tags,
  params: Type.Object({ id }),
  body: DownloadRequest,
  response: {
    201: DownloadView,
    ...problems('bad-request', 'not-found', 'not-ready', 'conflict', 'quarantined', 'erased', ...more),
  },
})

/** Addresses of originals, clips and bundles, and what they serve. */
export const downloadRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    const give = async (request: FastifyRequest, reply: FastifyReply, wanted: Wanted, reason: string) => {
      const download = await requestDownload(engines, personOf(request), wanted, reason)
      return await reply.code(201).headers({ 'cache-control': 'no-store', location: download.url }).send(download)
    }

    app.post(
      '/recordings/:id/downloads',
      { config: { may: 'recording.download' }, schema: asking('the original of a recording', IdOf.recording) },
      async (request, reply) =>
        await give(request, reply, { type: 'recording', id: request.params.id }, request.body.reason),
    )

    app.post(
      '/clips/:id/downloads',
      { config: { may: 'clip.download' }, schema: asking('a clip', IdOf.clip) },
      async (request, reply) =>
        await give(request, reply, { type: 'clip', id: request.params.id }, request.body.reason),
    )

    app.post(
      '/bundles/:id/downloads',
      { config: { may: 'bundle.download' }, schema: asking('a bundle', IdOf.bundle, 'exhibit-sensitive') },
      async (request, reply) =>
        await give(request, reply, { type: 'bundle', id: request.params.id }, request.body.reason),
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
        const served = await fileAt(engines, request.params.token)
        return await reply
          .code(200)
          .headers({ ...headersOf(served), 'content-length': served.size })
          .send()
      },
    )

    app.get(
      '/downloads/:token',
      {
        config: { may: 'download.fetch' },
        schema: {
          summary: 'Fetch a file, or a range of it',
          description:
            'The address is the permission. Repr-Digest and ETag are those of the whole file; several ranges at once are answered with all of it.',
          tags,
          params,
          response: { ...fileResponses, ...problems(...refusals, 'range-not-satisfiable', 'store-unavailable') },
        },
      },
      async (request, reply) => {
        const served = await fileAt(engines, request.params.token)
        const { size } = served
        const wanted = wantedRange(size, etagOf(served), {
          range: header(request, 'range'),
          ifRange: header(request, 'if-range'),
        })
        if (wanted === 'unsatisfiable') {
          reply.headers({ 'accept-ranges': 'bytes', 'content-range': `bytes */${size}` })
          throw new Problem('range-not-satisfiable', `The file has ${size} bytes.`)
        }
        const { first, last } = wanted === 'whole' ? { first: 0, last: size - 1 } : wanted
        const body = await openFile(engines, served, { first, last }, goneSignal(reply))
        reply.headers({ ...headersOf(served), 'content-length': last - first + 1 })
        if (wanted === 'whole') return await sendBytes(reply.code(200), body)
        return await sendBytes(reply.code(206).header('content-range', `bytes ${first}-${last}/${size}`), body)
      },
    )
  }
