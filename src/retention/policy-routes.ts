import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { Cursor, defaultLimit, Limit, pageOf } from '../people/page.ts'
import { MaybeReason } from '../people/schemas.ts'
import { approvePolicy, draftPolicy, listPolicies, policyView } from './policies.ts'
import { Affected, PolicyDraft, PolicyView, SimulationView } from './schemas.ts'
import { askSimulation, listAffected, readSimulation } from './simulations.ts'

const tags = ['retention']
const params = Type.Object({ id: IdOf.policy })
const querystring = Type.Object({ limit: Limit, cursor: Cursor }, { additionalProperties: false })

/** Policies: drafted, simulated on the whole catalogue, and put into force by a second person who has seen what they would do. */
export const policyRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/retention/policies',
      {
        config: { may: 'policy.list' },
        schema: {
          summary: 'All retention policies, newest first',
          tags,
          querystring,
          response: { 200: pageOf(PolicyView), ...problems('bad-request') },
        },
      },
      async ({ query }) => await listPolicies(engines, query.limit ?? defaultLimit, query.cursor),
    )

    app.post(
      '/retention/policies',
      {
        config: { may: 'policy.draft' },
        schema: {
          summary: "Draft the next version of a category's policy",
          description: 'Nothing changes until it was simulated and a second person approved it.',
          tags,
          body: PolicyDraft,
          response: { 201: PolicyView, ...problems('bad-request') },
        },
      },
      async (request, reply) => {
        const policy = await draftPolicy(engines, personOf(request), request.body)
        return await reply.code(201).send(policyView(policy))
      },
    )

    app.post(
      '/retention/policies/:id/simulation',
      {
        config: { may: 'policy.simulate' },
        schema: {
          summary: 'Work out, over the whole catalogue, what a draft would change',
          tags,
          params,
          response: { 202: Type.Object({ id: IdOf.simulation }), ...problems('not-found', 'conflict') },
        },
      },
      async (request, reply) => {
        const id = await askSimulation(engines, personOf(request), request.params.id)
        return await reply.code(202).send({ id })
      },
    )

    app.get(
      '/retention/policies/:id/simulation',
      {
        config: { may: 'policy.simulate' },
        schema: {
          summary: 'What the newest simulation of a policy found',
          description: 'Whoever reads it when it is ready has seen it, and may approve the policy on it.',
          tags,
          params,
          response: { 200: SimulationView, ...problems('not-found') },
        },
      },
      async (request) => await readSimulation(engines, personOf(request), request.params.id),
    )

    app.get(
      '/retention/policies/:id/simulation/items',
      {
        config: { may: 'policy.simulate' },
        schema: {
          summary: 'The recordings whose date a draft would change',
          tags,
          params,
          querystring,
          response: { 200: pageOf(Affected), ...problems('not-found', 'not-ready', 'conflict', 'bad-request') },
        },
      },
      async (request) => {
        const { limit = defaultLimit, cursor } = request.query
        return await listAffected(engines, personOf(request), request.params.id, limit, cursor)
      },
    )

    app.post(
      '/retention/policies/:id/approval',
      {
        config: { may: 'policy.approve' },
        schema: {
          summary: 'Put a drafted policy into force, as a second person who has seen what it would do',
          tags,
          params,
          body: MaybeReason,
          response: {
            200: PolicyView,
            ...problems('bad-request', 'not-found', 'conflict', 'same-person', 'simulation-needed'),
          },
        },
      },
      async (request) =>
        policyView(await approvePolicy(engines, personOf(request), request.params.id, request.body?.reason)),
    )
  }
