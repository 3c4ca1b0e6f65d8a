import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Nothing, problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { checkReason } from '../people/reasons.ts'
import { listEvents, noteEvent, withdrawEvent } from './events.ts'
import { readHistory } from './history.ts'
import { EventId, EventsPage, HistoryPage, NewEvent, PageQuery, Withdrawal } from './schemas.ts'

const tags = ['cases']
const params = Type.Object({ id: IdOf.case })

/** What happened to a case, on which day, and what was done in it. */
export const caseEventRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/cases/:id/events',
      {
        config: { may: 'case.note-event' },
        schema: {
          summary: 'Note what happened to a case on a day',
          description: 'Late, and in any order. Retention counts its periods from these days.',
          tags,
          params,
          body: NewEvent,
          response: { 201: EventId, ...problems('bad-request', 'not-found', 'case-closed') },
        },
      },
      async (request, reply) => {
        const made = await noteEvent(engines, personOf(request), request.params.id, request.body)
        return await reply.code(201).send(made)
      },
    )

    app.get(
      '/cases/:id/events',
      {
        config: { may: 'case.read' },
        schema: {
          summary: 'The events of a case, the latest day first',
          tags,
          params,
          querystring: PageQuery,
          response: { 200: EventsPage, ...problems('bad-request', 'not-found') },
        },
      },
      async (request) => await listEvents(engines, personOf(request), request.params.id, request.query),
    )

    app.post(
      '/cases/:id/events/:eventId/withdrawal',
      {
        config: { may: 'case.note-event' },
        schema: {
          summary: 'Take back an event that was wrong',
          description: 'It stays in the history, and counts for nothing.',
          tags,
          params: Type.Object({ id: IdOf.case, eventId: IdOf.caseEvent }),
          body: Withdrawal,
          response: { 204: Nothing, ...problems('bad-request', 'not-found', 'conflict') },
        },
      },
      async (request, reply) => {
        const person = personOf(request)
        const { id, eventId } = request.params
        await withdrawEvent(engines, person, id, eventId, checkReason(engines.config, person, request.body.reason))
        return await reply.code(204).send()
      },
    )

    app.get(
      '/cases/:id/history',
      {
        config: { may: 'case.read' },
        schema: {
          summary: 'What was done to a case and its exhibits, newest first',
          tags,
          params,
          querystring: PageQuery,
          response: { 200: HistoryPage, ...problems('bad-request', 'not-found') },
        },
      },
      async (request) => await readHistory(engines, personOf(request), request.params.id, request.query),
    )
  }
