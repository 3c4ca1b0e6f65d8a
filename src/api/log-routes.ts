import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import type { SealedParts } from '../engines/ledger-tables.ts'
import { keyDocument } from '../ledger/keys/key-document.ts'
import { proofOf } from '../ledger/log/proofs.ts'
import { checkpointServed, tileServed } from '../ledger/log/serving.ts'

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
const anyMembers = { type: 'object', additionalProperties: true } as const
const LogView = Type.Object({
  number: Type.Integer({ minimum: 1 }),
  origin: Type.String(),
  vkey: Type.String({ description: 'C2SP signed-note verifier key' }),
  from: At,
  to: Type.Optional(At),
  rotation: Type.Optional(
    Type.Object(
      {
        entry: Type.Unsafe<object>(anyMembers),
        salt: Type.String({ description: 'Hex' }),
        parts: Type.Unsafe<SealedParts>(anyMembers),
      },
      { description: 'The first leaf, disclosed: its detail names the last checkpoint of the log before it' },
    ),
  ),
})

const number = { number: Type.String({ pattern: '^[1-9][0-9]{0,8}$', description: 'Of `logs` in /ledger/keys' }) }
const Checkpoint = {
  description: 'A signed note (C2SP tlog-checkpoint), with the cosignatures of witnesses',
  content: { 'text/plain': { schema: Type.String() } },
}
const TileBytes = {
  description: '256 hashes of 32 bytes, or fewer in a partial tile; or an entry bundle of leaf data (C2SP tlog-tiles)',
  content: { 'application/octet-stream': { schema: Type.String({ format: 'binary' }) } },
}

/** Where no number names the log, another one may be meant tomorrow; and heads and keys become more. */
const everAnew = 'no-cache'
/** It never changes, but one that was altered in the store is mended, and caches must come to know. */
const keptForLong = 'public, max-age=3600'
const ofGrowing =
  'Of the log that grows: after a change of its key another one. `/ledger/logs/{number}` names one for ever.'

/** As it was sent, since a tile has one address and no other. */
const pathAfter = (url: string, marker: string): string => {
  const [path = ''] = url.split('?')
  return path.slice(path.indexOf(marker) + marker.length)
}

/** The log over the entries and the keys, for anyone: what an outsider needs to verify without us. */
export const logRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    const { LEDGER_INTERVAL_SECONDS: interval } = engines.config

    const sendCheckpoint = async (reply: FastifyReply, log?: number): Promise<FastifyReply> => {
      const note = await checkpointServed(engines, log)
      return await reply.type('text/plain; charset=utf-8').header('cache-control', everAnew).send(note)
    }
    const sendTile = async (reply: FastifyReply, path: string, log?: number): Promise<FastifyReply> => {
      const bytes = await tileServed(engines, `tile/${path}`, log)
      return await reply
        .type('application/octet-stream')
        .header('cache-control', log === undefined ? everAnew : keptForLong)
        .send(bytes)
    }

    const checkpointSchema = { tags: ['proof'], response: { 200: Checkpoint, ...problems('not-found') } }
    const tileProblems = problems('not-found', 'log-damaged', 'store-unavailable')
    const tileSchema = { tags: ['proof'], response: { 200: TileBytes, ...tileProblems } }
    const config = { may: 'ledger.read' } as const

    app.get(
      '/ledger/checkpoint',
      {
        config,
        schema: { ...checkpointSchema, summary: 'The newest signed head of the log', description: ofGrowing },
      },
      async (_request, reply) => await sendCheckpoint(reply),
    )
    app.get(
      '/ledger/tile/*',
      {
        config,
        schema: {
          ...tileSchema,
          summary: 'A tile of hashes, or a bundle of leaf data',
          description: ofGrowing,
          params: Type.Object({ '*': Type.String() }),
        },
      },
      async (request, reply) => await sendTile(reply, pathAfter(request.url, '/ledger/tile/')),
    )
    app.get(
      '/ledger/logs/:number/checkpoint',
      {
        config,
        schema: { ...checkpointSchema, summary: 'The same of one of the logs', params: Type.Object(number) },
      },
      async (request, reply) => await sendCheckpoint(reply, Number(request.params.number)),
    )
    app.get(
      '/ledger/logs/:number/tile/*',
      {
        config,
        schema: {
          ...tileSchema,
          summary: 'The same of one of the logs',
          description: 'It never changes: keep it for as long as you like.',
          params: Type.Object({ ...number, '*': Type.String() }),
        },
      },
      async (request, reply) => await sendTile(reply, pathAfter(request.url, '/tile/'), Number(request.params.number)),
    )

    app.get(
      '/ledger/keys',
      {
        config,
        schema: {
          summary: 'Every key that ever signed a receipt or a log, the retired ones too',
          tags: ['proof'],
          response: {
            200: Type.Object({
              keys: Type.Array(KeyView),
              log: Type.Optional(Type.Object({ origin: Type.String(), vkey: Type.String() })),
              logs: Type.Array(LogView),
            }),
          },
        },
      },
      async (_request, reply) => await reply.header('cache-control', everAnew).send(await keyDocument(engines.db)),
    )

    app.get(
      '/ledger/proofs/:entryId',
      {
        config,
        schema: {
          summary: 'The proof that an entry is in the log',
          description: 'C2SP tlog-proof@v1; its `extra` line is the leaf data.',
          tags: ['proof'],
          params: Type.Object({ entryId: IdOf.entry }),
          response: {
            200: { description: 'The proof', content: { 'text/plain': { schema: Type.String() } } },
            202: Type.Object(
              { state: Type.Literal('owed') },
              { description: 'The entry is not under a checkpoint yet: ask again after Retry-After' },
            ),
            ...problems('not-found', 'log-damaged', 'store-unavailable'),
          },
        },
      },
      async (request, reply) => {
        const answer = await proofOf(engines, request.params.entryId)
        if ('owed' in answer) return await reply.code(202).header('retry-after', interval).send({ state: 'owed' })
        return await reply.code(200).type('text/plain; charset=utf-8').send(answer.proof)
      },
    )
  }
