import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { IdOf, type RecordingId } from '../base/ids.ts'
import type { ProblemCode } from '../base/problem.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import type { Permission } from '../people/permissions.ts'
import type { Person } from '../people/person.ts'
import { checkReason, Reason } from '../people/reasons.ts'
import { acceptRecording, approveDiscardOf, askDiscard } from './disputes.ts'
import { RecordingRef } from './schemas.ts'

type Decision = {
  path: string
  may: Permission
  summary: string
  refusals?: ProblemCode[]
  decide(engines: Engines, person: Person, id: RecordingId, reason: string): Promise<void>
}

const decisions: Decision[] = [
  {
    path: '/recordings/:id/acceptance',
    may: 'recording.accept',
    summary: 'Accept a quarantined recording under the digest that was read',
    decide: acceptRecording,
  },
  {
    path: '/recordings/:id/discard',
    may: 'recording.discard',
    summary: 'Ask that a quarantined recording be discarded',
    decide: askDiscard,
  },
  {
    path: '/recordings/:id/discard/approval',
    may: 'recording.approve-discard',
    summary: 'Approve, as a second person, that a quarantined recording be discarded',
    refusals: ['same-person'],
    decide: approveDiscardOf,
  },
]

/** The way out of quarantine: what a supervisor decides, each with a reason. */
export const disputeRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    for (const { path, may, summary, refusals = [], decide } of decisions) {
      app.post(
        path,
        {
          config: { may },
          schema: {
            summary,
            tags: ['supervisors'],
            params: Type.Object({ id: IdOf.recording }),
            body: Type.Object({ reason: Reason }, { additionalProperties: false }),
            response: { 202: RecordingRef, ...problems('not-found', 'conflict', 'bad-request', ...refusals) },
          },
        },
        async (request, reply) => {
          const person = personOf(request)
          const { id } = request.params
          await decide(engines, person, id, checkReason(engines.config, person, request.body.reason))
          return await reply.code(202).send({ id })
        },
      )
    }
  }
