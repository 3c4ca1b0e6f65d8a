import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Nothing, problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { changeCase, listCases, openCase, readCase } from './actions.ts'
import { dropMember, putMember } from './members.ts'
import { CaseChange, CaseId, CasesPage, CasesQuery, CaseView, Membership, MemberView, NewCase } from './schemas.ts'

const tags = ['cases']
const params = Type.Object({ id: IdOf.case })
const memberParams = Type.Object({ id: IdOf.case, userId: IdOf.person })

/** Cases and their members. To whoever is no member, a case is not there. */
export const caseRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/cases',
      {
        config: { may: 'case.open' },
        schema: {
          summary: 'Open a case',
          description: 'Its maker becomes its first member, with the role investigator.',
          tags,
          body: NewCase,
          response: { 201: CaseId, ...problems('bad-request', 'reference-taken') },
        },
      },
      async (request, reply) => {
        const made = await openCase(engines, personOf(request), request.body)
        const location = `${engines.config.PUBLIC_URL}/api/v1/cases/${made.id}`
        return await reply.code(201).header('location', location).send(made)
      },
    )

    app.get(
      '/cases',
      {
        config: { may: 'case.list' },
        schema: {
          summary: 'The cases you are a member of, newest first',
          tags,
          querystring: CasesQuery,
          response: { 200: CasesPage, ...problems('bad-request') },
        },
      },
      async (request) => await listCases(engines, personOf(request), request.query),
    )

    app.get(
      '/cases/:id',
      {
        config: { may: 'case.read' },
        schema: {
          summary: 'Read a case and who its members are',
          tags,
          params,
          response: { 200: CaseView, ...problems('not-found') },
        },
      },
      async (request) => await readCase(engines, personOf(request), request.params.id),
    )

    app.patch(
      '/cases/:id',
      {
        config: { may: 'case.change' },
        schema: {
          summary: 'Rename, close or reopen a case',
          description:
            'Closing and reopening need a reason. Closing notes the event `closed`; reopening takes no event back.',
          tags,
          params,
          body: CaseChange,
          response: { 200: CaseView, ...problems('bad-request', 'not-found', 'reference-taken', 'conflict') },
        },
      },
      async (request) => await changeCase(engines, personOf(request), request.params.id, request.body),
    )

    app.put(
      '/cases/:id/members/:userId',
      {
        config: { may: 'case.set-members' },
        schema: {
          summary: 'Make a person a member, or give a member another role',
          description: 'By a member with the role investigator. The person must hold a role that carries it.',
          tags,
          params: memberParams,
          body: Membership,
          response: { 200: MemberView, ...problems('bad-request', 'not-found', 'conflict', 'last-member') },
        },
      },
      async (request) => {
        const { id, userId } = request.params
        return await putMember(engines, personOf(request), id, userId, request.body.role)
      },
    )

    app.delete(
      '/cases/:id/members/:userId',
      {
        config: { may: 'case.set-members' },
        schema: {
          summary: 'Remove a member, except the last who may change the case',
          tags,
          params: memberParams,
          response: { 204: Nothing, ...problems('not-found', 'last-member') },
        },
      },
      async (request, reply) => {
        const { id, userId } = request.params
        await dropMember(engines, personOf(request), id, userId)
        return await reply.code(204).send()
      },
    )
  }
