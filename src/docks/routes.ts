import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Nothing, problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { Cursor, defaultLimit, Limit, pageOf } from '../people/page.ts'
import { checkMaybeReason } from '../people/reasons.ts'
import { MaybeReason } from '../people/schemas.ts'
import { enrolDock, listDocks, replaceKey, setDockSuspension } from './actions.ts'
import { DockView, Enrolled, Enrolment, NewKey } from './schemas.ts'

const params = Type.Object({ id: IdOf.dock })
const tags = ['docks']

export const dockRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/docks',
      {
        config: { may: 'dock.enrol' },
        schema: {
          summary: 'Enrol a docking station under its public key',
          tags,
          body: Enrolment,
          response: { 201: Enrolled, ...problems('bad-request') },
        },
      },
      async (request, reply) => {
        const dock = await enrolDock(engines, personOf(request), request.body)
        return await reply.code(201).send(dock)
      },
    )

    app.get(
      '/docks',
      {
        config: { may: 'dock.list' },
        schema: {
          summary: 'All docks, in the order of their enrolment',
          tags,
          querystring: Type.Object({ limit: Limit, cursor: Cursor }),
          response: { 200: pageOf(DockView), ...problems('bad-request') },
        },
      },
      async (request) => await listDocks(engines.db, request.query.limit ?? defaultLimit, request.query.cursor),
    )

    app.put(
      '/docks/:id/key',
      {
        config: { may: 'dock.replace-key' },
        schema: {
          summary: 'Replace the key of a dock; the one before counts no more, at once',
          tags,
          params,
          body: NewKey,
          response: { 200: DockView, ...problems('bad-request', 'not-found') },
        },
      },
      async (request) => await replaceKey(engines, personOf(request), request.params.id, request.body.publicKey),
    )

    app.post(
      '/docks/:id/suspension',
      {
        config: { may: 'dock.suspend' },
        schema: {
          summary: 'Suspend a dock, at once and in the middle of an upload',
          tags,
          params,
          body: MaybeReason,
          response: { 204: Nothing, ...problems('bad-request', 'not-found') },
        },
      },
      async (request, reply) => {
        const person = personOf(request)
        const reason = checkMaybeReason(engines.config, person, request.body?.reason)
        await setDockSuspension(engines, person, request.params.id, true, reason)
        return await reply.code(204).send()
      },
    )

    app.delete(
      '/docks/:id/suspension',
      {
        config: { may: 'dock.suspend' },
        schema: { summary: 'End a suspension', tags, params, response: { 204: Nothing, ...problems('not-found') } },
      },
      async (request, reply) => {
        await setDockSuspension(engines, personOf(request), request.params.id, false, undefined)
        return await reply.code(204).send()
      },
    )
  }
