import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Nothing, problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { checkReason } from '../people/reasons.ts'
import { MaybeReason } from '../people/schemas.ts'
import { approveDeletion, askDeletion, readmit, restore, withdrawDeletion } from './decisions.ts'
import { Explained, Restored } from './schemas.ts'

const tags = ['retention']
const params = Type.Object({ id: IdOf.recording })
const Ref = Type.Object({ id: IdOf.recording })

/** What people decide about single recordings, each with a reason. */
export const decisionRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/recordings/:id/restoration',
      {
        config: { may: 'recording.restore' },
        schema: {
          summary: 'Bring a hidden recording back',
          description: 'A hold comes with it, since by its date it would be due again the next day.',
          tags,
          params,
          body: Explained,
          response: { 200: Restored, ...problems('bad-request', 'not-found', 'conflict', 'erased') },
        },
      },
      async (request) => {
        const person = personOf(request)
        const reason = checkReason(engines.config, person, request.body.reason)
        return await restore(engines, person, request.params.id, reason)
      },
    )

    app.post(
      '/recordings/:id/deletion-requests',
      {
        config: { may: 'deletion.ask' },
        schema: {
          summary: 'Ask that a recording be destroyed before its time',
          description: 'Approved or not, the request ends when the recording becomes an exhibit or is moved as one.',
          tags,
          params,
          body: Explained,
          response: { 202: Ref, ...problems('bad-request', 'not-found', 'conflict') },
        },
      },
      async (request, reply) => {
        const person = personOf(request)
        const { id } = request.params
        await askDeletion(engines, person, id, checkReason(engines.config, person, request.body.reason))
        return await reply.code(202).send({ id })
      },
    )

    app.post(
      '/recordings/:id/deletion-requests/approval',
      {
        config: { may: 'deletion.approve' },
        schema: {
          summary: 'Approve, as a second person, that a recording be destroyed before its time',
          description:
            'It is due at once, unless a hold, an open case or an event of its cases keeps it, and goes by way of grace.',
          tags,
          params,
          body: MaybeReason,
          response: { 202: Ref, ...problems('bad-request', 'not-found', 'conflict', 'same-person') },
        },
      },
      async (request, reply) => {
        const { id } = request.params
        await approveDeletion(engines, personOf(request), id, request.body?.reason)
        return await reply.code(202).send({ id })
      },
    )

    app.delete(
      '/recordings/:id/deletion-requests',
      {
        config: { may: 'deletion.ask' },
        schema: {
          summary: 'Take back a request to destroy a recording before its time, approved or not',
          description: 'What it has hidden comes back with the next purge, unless another rule has made it due.',
          tags,
          params,
          body: Explained,
          response: { 204: Nothing, ...problems('bad-request', 'not-found', 'conflict') },
        },
      },
      async (request, reply) => {
        const person = personOf(request)
        const reason = checkReason(engines.config, person, request.body.reason)
        await withdrawDeletion(engines, person, request.params.id, reason)
        return await reply.code(204).send()
      },
    )

    app.post(
      '/recordings/:id/readmission',
      {
        config: { may: 'recording.readmit' },
        schema: {
          summary: 'Let docks bring an erased file again',
          description: 'It becomes a recording of its own.',
          tags: ['supervisors'],
          params,
          body: Explained,
          response: { 202: Ref, ...problems('bad-request', 'not-found', 'conflict') },
        },
      },
      async (request, reply) => {
        const person = personOf(request)
        const { id } = request.params
        await readmit(engines, person, id, checkReason(engines.config, person, request.body.reason))
        return await reply.code(202).send({ id })
      },
    )
  }
