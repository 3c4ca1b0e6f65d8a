import type { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { problems } from '../base/problem-schema.ts'
import { actorOf } from '../docks/caller.ts'
import type { Engines } from '../engines/engines.ts'
import { EntryView, filterMembers } from '../ledger/entries/entries.ts'
import { type ExportFormat, exportEntries } from '../ledger/entries/export.ts'
import { listEntries, readEntry } from '../ledger/entries/reading.ts'
import { Cursor, defaultLimit, Limit, pageOf } from '../people/page.ts'

const tags = ['proof']

const types: Record<ExportFormat, string> = {
  jsonl: 'application/jsonl; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
}
const text = { schema: Type.Unsafe<Readable>({ type: 'string' }) }
const exported = {
  200: {
    description: 'One entry a line. An export that breaks off ends with the connection broken, never in order',
    content: { 'application/jsonl': text, 'text/csv': text },
  },
}
const Format = Type.Optional(
  Type.Unsafe<ExportFormat>({
    type: 'string',
    enum: Object.keys(types),
    default: 'jsonl',
    description: '`jsonl`: each as GET /ledger/entries/{id} gives it; `csv`: for spreadsheets',
  }),
)

/** The signal is aborted when the client has gone. */
const goneSignal = (reply: FastifyReply): AbortSignal => {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  return gone.signal
}

/** Here and not in src/ledger, which may not know people. */
export const ledgerEntriesRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/ledger/entries',
      {
        config: { may: 'entry.list' },
        schema: {
          summary: 'The entries of the ledger, newest first',
          description:
            'Reading them is an entry too. A page may be shorter than `limit`, or empty, and go on: follow `nextCursor` until it is null.',
          tags,
          querystring: Type.Object({ ...filterMembers, limit: Limit, cursor: Cursor }, { additionalProperties: false }),
          response: { 200: pageOf(EntryView), ...problems('bad-request') },
        },
      },
      async (request) => {
        const { limit = defaultLimit, ...asked } = request.query
        return await listEntries(engines, actorOf(request), { limit, ...asked })
      },
    )

    app.get(
      '/ledger/entries/export',
      {
        config: { may: 'entry.export' },
        // A HEAD would read all of it for nobody.
        exposeHeadRoute: false,
        schema: {
          summary: 'All entries that match, oldest first, as one file',
          description:
            'Everything that was there when it was asked for. That it was asked for is an entry before the first byte.',
          tags,
          querystring: Type.Object({ ...filterMembers, format: Format }, { additionalProperties: false }),
          response: { ...exported, ...problems('bad-request') },
        },
      },
      async (request, reply) => {
        const { format = 'jsonl', ...asked } = request.query
        const { id, body } = await exportEntries(engines, actorOf(request), format, asked, goneSignal(reply))
        const name = `attachment; filename="entries-${id}.${format}"`
        return await reply.code(200).type(types[format]).header('content-disposition', name).send(body)
      },
    )

    app.get(
      '/ledger/entries/:id',
      {
        config: { may: 'entry.read' },
        schema: {
          summary: 'One entry, with its salt, its parts and its place in the log',
          description: 'Reading it is an entry too. Its proof is at /ledger/proofs/{entryId}.',
          tags,
          params: Type.Object({ id: IdOf.entry }),
          response: { 200: EntryView, ...problems('not-found') },
        },
      },
      async (request) => await readEntry(engines, actorOf(request), request.params.id),
    )
  }
