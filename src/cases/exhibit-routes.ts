import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Nothing, problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { checkMaybeReason, checkReason } from '../people/reasons.ts'
import { addExhibit, changeExhibit, listExhibits, readExhibit, withdrawExhibit } from './exhibits.ts'
import { moveExhibit } from './moving.ts'
import {
  ExhibitChange,
  ExhibitId,
  ExhibitsPage,
  ExhibitsQuery,
  ExhibitView,
  Move,
  NewExhibit,
  Withdrawal,
} from './schemas.ts'

const tags = ['cases']
const caseParams = Type.Object({ id: IdOf.case })
const params = Type.Object({ id: IdOf.exhibit })
const uncertain = ['not-ready', 'conflict', 'quarantined', 'erased'] as const

/** What is in a case, under which reference. */
export const exhibitRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    const addressOf = (id: string): string => `${engines.config.PUBLIC_URL}/api/v1/exhibits/${id}`

    app.post(
      '/cases/:id/exhibits',
      {
        config: { may: 'exhibit.add' },
        schema: {
          summary: 'Put a recording or a clip into a case',
          tags,
          params: caseParams,
          body: NewExhibit,
          response: {
            201: ExhibitId,
            ...problems('bad-request', 'not-found', 'case-closed', 'reference-taken', ...uncertain),
          },
        },
      },
      async (request, reply) => {
        const made = await addExhibit(engines, personOf(request), request.params.id, request.body)
        return await reply.code(201).header('location', addressOf(made.id)).send(made)
      },
    )

    app.get(
      '/cases/:id/exhibits',
      {
        config: { may: 'exhibit.read' },
        schema: {
          summary: 'The exhibits of a case, in the order they were added',
          description: 'Reading them is recorded before they are given.',
          tags,
          params: caseParams,
          querystring: ExhibitsQuery,
          response: { 200: ExhibitsPage, ...problems('bad-request', 'not-found') },
        },
      },
      async (request) => await listExhibits(engines, personOf(request), request.params.id, request.query),
    )

    app.get(
      '/exhibits/:id',
      {
        config: { may: 'exhibit.read' },
        schema: {
          summary: 'Read an exhibit',
          tags,
          params,
          response: { 200: ExhibitView, ...problems('not-found') },
        },
      },
      async (request) => await readExhibit(engines, personOf(request), request.params.id),
    )

    app.patch(
      '/exhibits/:id',
      {
        config: { may: 'exhibit.change' },
        schema: {
          summary: 'Describe an exhibit otherwise, or change its sensitivity',
          description: 'What it said before stays in the history. Its reference is changed by moving it.',
          tags,
          params,
          body: ExhibitChange,
          response: { 200: ExhibitView, ...problems('bad-request', 'not-found', 'case-closed', 'conflict') },
        },
      },
      async (request) => {
        const person = personOf(request)
        const { reason, ...change } = request.body
        const said = checkMaybeReason(engines.config, person, reason)
        return await changeExhibit(engines, person, request.params.id, change, said)
      },
    )

    app.post(
      '/exhibits/:id/withdrawal',
      {
        config: { may: 'exhibit.withdraw' },
        schema: {
          summary: 'Withdraw an exhibit from its case',
          description: 'It stays in the history, and its reference stays taken.',
          tags,
          params,
          body: Withdrawal,
          response: { 204: Nothing, ...problems('bad-request', 'not-found', 'case-closed', 'conflict') },
        },
      },
      async (request, reply) => {
        const person = personOf(request)
        const reason = checkReason(engines.config, person, request.body.reason)
        await withdrawExhibit(engines, person, request.params.id, reason)
        return await reply.code(204).send()
      },
    )

    app.post(
      '/exhibits/:id/move',
      {
        config: { may: 'exhibit.move' },
        schema: {
          summary: 'Move an exhibit into another case, or under another reference',
          description: 'It is withdrawn where it is, and a new exhibit names it. Both cases must be yours to change.',
          tags,
          params,
          body: Move,
          response: {
            201: ExhibitId,
            ...problems('bad-request', 'not-found', 'case-closed', 'reference-taken', ...uncertain),
          },
        },
      },
      async (request, reply) => {
        const person = personOf(request)
        const { reason, ...target } = request.body
        const said = checkReason(engines.config, person, reason)
        const made = await moveExhibit(engines, person, request.params.id, target, said)
        return await reply.code(201).header('location', addressOf(made.id)).send(made)
      },
    )
  }
