import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { Problem, problems as table } from '../base/problem.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { type PlayerFile, playerFiles, playerPolicy } from './player-files.ts'
import { bytes, Token } from './schemas.ts'
import { isKnown, viewingAt } from './watching.ts'

const tags = ['viewings']
const config = { may: 'viewing.watch' } as const

/** The page that plays a viewing. It holds nothing of the recording: what it shows, it asks for. */
export const playerRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    const page = playerFiles.get('')
    if (page === undefined) throw new Error('the player has no page')

    app.addHook('onRequest', async (_request, reply) => {
      reply.header('cache-control', 'private, no-store')
    })

    const send = async (reply: FastifyReply, status: number, file: PlayerFile) =>
      await reply
        .code(status)
        .headers({ 'content-type': file.type, 'content-security-policy': playerPolicy })
        .send(file.bytes)

    /** Why the viewing behind a token that is known cannot be watched; undefined when it can. */
    const whyOver = async (token: string): Promise<Problem | undefined> => {
      try {
        await viewingAt(engines, token)
        return undefined
      } catch (error) {
        if (error instanceof Problem && error.code !== 'not-found') return error
        throw error
      }
    }

    app.get(
      '/viewings/:token/player',
      {
        config,
        schema: {
          summary: 'The page that plays a viewing',
          description: 'Of a viewing that is over it is sent too, under the status of the refusal, and says why.',
          tags,
          params: Type.Object({ token: Token }),
          response: {
            200: bytes('text/html', 'The page'),
            ...problems('suspended', 'not-found', 'conflict', 'viewing-ended', 'quarantined', 'erased'),
          },
        },
      },
      async (request, reply) => {
        const refusal = await whyOver(request.params.token)
        return await send(reply, refusal === undefined ? 200 : table[refusal.code].status, page)
      },
    )

    app.get(
      '/viewings/:token/player/:file',
      {
        config,
        schema: {
          summary: 'A script, style or sign of the page',
          tags,
          params: Type.Object({ token: Token, file: Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{0,63}$' }) }),
          response: { 200: bytes('text/javascript', 'The file, in its own type'), ...problems('not-found') },
        },
      },
      async (request, reply) => {
        const file = playerFiles.get(request.params.file)
        if (file === undefined || !(await isKnown(engines, request.params.token))) throw new Problem('not-found')
        return await send(reply, 200, file)
      },
    )
  }
