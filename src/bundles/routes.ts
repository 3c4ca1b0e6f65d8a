import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { listBundles, readBundle, requestBundle } from './actions.ts'
import { BundleAccepted, BundleRequest, BundlesPage, BundlesQuery, BundleView } from './schemas.ts'

const tags = ['bundles']
const caseParams = Type.Object({ id: IdOf.case })

/** Packages of a case's exhibits, for people who do not trust us. */
export const bundleRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/cases/:id/bundles',
      {
        config: { may: 'bundle.request' },
        schema: {
          summary: 'Ask for a bundle of exhibits of a case',
          description:
            'One ZIP holding one BagIt bag: the exhibits, where they come from, the schedule (MG6C) and proofs. Every byte is checked on its way in. Sensitive exhibits are refused.',
          tags,
          params: caseParams,
          body: BundleRequest,
          response: {
            202: BundleAccepted,
            ...problems(
              'bad-request',
              'not-found',
              'not-ready',
              'conflict',
              'too-large',
              'quarantined',
              'exhibit-sensitive',
              'erased',
              'too-many-bundles',
            ),
          },
        },
      },
      async (request, reply) => {
        const bundle = await requestBundle(engines, personOf(request), request.params.id, request.body)
        const location = `${engines.config.PUBLIC_URL}/api/v1/bundles/${bundle.id}`
        return await reply.code(202).header('location', location).send(bundle)
      },
    )

    app.get(
      '/cases/:id/bundles',
      {
        config: { may: 'bundle.read' },
        schema: {
          summary: 'The bundles of a case, newest first',
          description: 'Reading them is recorded before they are given.',
          tags,
          params: caseParams,
          querystring: BundlesQuery,
          response: { 200: BundlesPage, ...problems('bad-request', 'not-found') },
        },
      },
      async (request) => await listBundles(engines, personOf(request), request.params.id, request.query),
    )

    app.get(
      '/bundles/:id',
      {
        config: { may: 'bundle.read' },
        schema: {
          summary: 'How far a bundle is, and what it holds',
          description: 'Reading it is recorded, but for whoever asked for it and waits.',
          tags,
          params: Type.Object({ id: IdOf.bundle }),
          response: { 200: BundleView, ...problems('not-found') },
        },
      },
      async (request) => await readBundle(engines, personOf(request), request.params.id),
    )
  }
