import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Engines } from '../engines/engines.ts'
import { publishedKeys } from '../ledger/receipt-keys.ts'

const At = Type.String({ format: 'date-time' })

const KeyView = Type.Object({
  kty: Type.String(),
  crv: Type.String(),
  x: Type.String(),
  kid: Type.String({ description: 'RFC 7638 thumbprint' }),
  use: Type.String(),
  alg: Type.String(),
  from: At,
  to: Type.Optional(At),
})

export const keysRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/ledger/keys',
      {
        config: { may: 'keys.read' },
        schema: {
          summary: 'Every key that ever signed a receipt, the retired ones too',
          tags: ['proof'],
          response: { 200: Type.Object({ keys: Type.Array(KeyView) }) },
        },
      },
      async (_request, reply) => {
        const keys = await publishedKeys(engines.db)
        return await reply.header('cache-control', 'public, max-age=60').send({ keys })
      },
    )
  }
