import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type TSchema, Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { makeStatement, readStory } from './actions.ts'
import type { Subject } from './facts.ts'
import { Pdf, StoryQuery, StoryView } from './schemas.ts'
import { statementPdf } from './statement.ts'

const config = { may: 'custody.read' } as const

const asking = <Id extends TSchema>(what: string, id: Id) => ({
  summary: `The chain of custody of ${what}, act by act, oldest first`,
  description:
    'As JSON in pages, or whole as a continuity statement to print. Who looked, why, and what was done in cases of others is sealed or withheld, and can be proven all the same. Reading it is recorded.',
  tags: ['continuity'],
  params: Type.Object({ id }),
  querystring: StoryQuery,
  response: {
    200: {
      description: 'The story',
      content: { 'application/json': { schema: StoryView }, 'application/pdf': { schema: Pdf } },
    },
    ...problems('bad-request', 'not-found'),
  },
})

const wantsPdf = (request: FastifyRequest, { format }: StoryQuery): boolean =>
  format === undefined ? /(^|[\s,])application\/pdf\b/i.test(request.headers.accept ?? '') : format === 'pdf'

/** The story of footage, from the camera until now. */
export const continuityRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    const answer = async (request: FastifyRequest, reply: FastifyReply, subject: Subject, query: StoryQuery) => {
      reply.header('vary', 'accept')
      if (!wantsPdf(request, query))
        return await reply.send(await readStory(engines, personOf(request), subject, query))
      if (query.cursor !== undefined)
        throw new Problem('bad-request', 'A statement to print is whole: it has no pages to ask for.')
      const { statement, acts } = await makeStatement(engines, personOf(request), subject)
      return await reply
        .headers({
          'content-type': 'application/pdf',
          'content-disposition': `attachment; filename="continuity-${subject.id}.pdf"`,
        })
        .send(statementPdf(statement, acts))
    }

    app.get(
      '/recordings/:id/custody',
      { config, schema: asking('a recording', IdOf.recording) },
      async (request, reply) =>
        await answer(request, reply, { type: 'recording', id: request.params.id }, request.query),
    )

    app.get(
      '/clips/:id/custody',
      { config, schema: asking('a clip and of its recording', IdOf.clip) },
      async (request, reply) => await answer(request, reply, { type: 'clip', id: request.params.id }, request.query),
    )
  }
