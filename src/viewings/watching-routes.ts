import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { ProblemCode } from '../base/problem.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { sendBytes } from '../engines/sending.ts'
import { masterAt, mediaAt, stateAt, storyboardAt } from './reading.ts'
import { Activity, bytes, Token, text, ViewingState } from './schemas.ts'
import { openServed, pictureAt, type Served, segmentAt } from './watching.ts'

const tags = ['viewings']
const config = { may: 'viewing.watch' } as const
const params = Type.Object({ token: Token })
const inFolder = (pattern: string) => Type.Object({ token: Token, name: Type.String({ pattern }) })

const refusals: ProblemCode[] = ['suspended', 'not-found', 'conflict', 'viewing-ended', 'quarantined', 'erased']
const [playlist, segment, picture, index] = ['application/vnd.apple.mpegurl', 'video/mp4', 'image/jpeg', 'text/vtt']

/** What a viewing shows, under its token: each request asks anew whether it is still open. */
export const watchingRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.addHook('onRequest', async (_request, reply) => {
      reply.header('cache-control', 'private, no-store')
    })

    /** HEAD is told of the object and sees nothing of it. */
    const send = async (request: FastifyRequest, reply: FastifyReply, token: string, type: string, served: Served) => {
      const headers = { 'content-type': type, 'content-length': served.size }
      if (request.method === 'HEAD') return await reply.code(200).headers(headers).send()
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const body = await openServed(engines, token, served, gone.signal)
      return await sendBytes(reply.code(200).headers(headers), body)
    }

    app.get(
      '/viewings/:token/state',
      {
        config,
        schema: {
          summary: 'What is being watched, and how far it is made',
          tags,
          params,
          querystring: Activity,
          response: { 200: ViewingState, ...problems(...refusals) },
        },
      },
      async (request) => await stateAt(engines, request.params.token, request.query.active ?? false),
    )

    app.get(
      '/viewings/:token/playlist.m3u8',
      {
        config,
        schema: {
          summary: 'The playlist of the renditions that can be watched',
          description: 'Relative addresses inherit the token, so a plain HLS player needs no more than this one.',
          tags,
          params,
          response: {
            200: text(playlist, 'A multivariant HLS playlist'),
            ...problems(...refusals, 'not-playable-yet', 'not-playable'),
          },
        },
      },
      async (request, reply) => {
        const body = await masterAt(engines, request.params.token)
        return await reply.code(200).type(playlist).send(body)
      },
    )

    for (const kind of ['hls', 'proxy'] as const) {
      const what = kind === 'hls' ? 'full picture' : 'small picture'
      app.get(
        `/viewings/:token/${kind}/index.m3u8`,
        {
          config,
          schema: {
            summary: `The playlist of the ${what}`,
            description: 'It grows while the rendition is being made.',
            tags,
            params,
            response: {
              200: text(playlist, 'An HLS media playlist of fragmented MP4'),
              ...problems(...refusals, 'not-playable-yet', 'not-playable'),
            },
          },
        },
        async (request, reply) => {
          const body = await mediaAt(engines, request.params.token, kind)
          return await reply.code(200).type(playlist).send(body)
        },
      )

      app.route({
        method: ['GET', 'HEAD'],
        url: `/viewings/:token/${kind}/:name`,
        config,
        schema: {
          summary: `The beginning or a segment of the ${what}`,
          description: 'That a segment is watched is written down before it leaves. Ranges are not offered.',
          tags,
          params: inFolder('^(init\\.mp4|[0-9]{5,9}\\.m4s)$'),
          response: {
            200: bytes(segment, 'Fragmented MP4'),
            ...problems(...refusals, 'not-playable-yet', 'not-playable', 'store-unavailable'),
          },
        },
        handler: async (request, reply) => {
          const { token, name } = request.params
          return await send(request, reply, token, segment, await segmentAt(engines, token, kind, name))
        },
      })
    }

    app.route({
      method: ['GET', 'HEAD'],
      url: '/viewings/:token/poster.jpg',
      config,
      schema: {
        summary: 'One picture that stands for the recording',
        tags,
        params,
        response: { 200: bytes(picture, 'JPEG'), ...problems(...refusals, 'not-ready', 'store-unavailable') },
      },
      handler: async (request, reply) => {
        const { token } = request.params
        return await send(request, reply, token, picture, await pictureAt(engines, token, 'poster', 'poster.jpg'))
      },
    })

    app.get(
      '/viewings/:token/storyboard.vtt',
      {
        config,
        schema: {
          summary: "The storyboard's index",
          tags,
          params,
          response: { 200: text(index, 'WebVTT'), ...problems(...refusals, 'not-ready') },
        },
      },
      async (request, reply) => {
        const body = await storyboardAt(engines, request.params.token)
        return await reply.code(200).type(`${index}; charset=utf-8`).send(body)
      },
    )

    app.route({
      method: ['GET', 'HEAD'],
      url: '/viewings/:token/storyboard/:name',
      config,
      schema: {
        summary: 'A sheet of the storyboard',
        tags,
        params: inFolder('^sheet-[0-9]{3,6}\\.jpg$'),
        response: { 200: bytes(picture, 'JPEG'), ...problems(...refusals, 'not-ready', 'store-unavailable') },
      },
      handler: async (request, reply) => {
        const { token, name } = request.params
        return await send(request, reply, token, picture, await pictureAt(engines, token, 'storyboard', name))
      },
    })
  }
