import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { Serial } from '../base/ids.ts'
import { problems } from '../base/problem-schema.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { Cursor, defaultLimit, Limit, pageOf } from '../people/page.ts'
import { assignCamera, listCameras, registerCamera } from './cameras.ts'
import { Assignment, AssignmentView, CameraView, Registration } from './schemas.ts'

const tags = ['cameras']

export const cameraRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/cameras',
      {
        config: { may: 'camera.register' },
        schema: {
          summary: 'Register a camera, or confirm one that came with footage',
          tags,
          body: Registration,
          response: { 201: CameraView, ...problems('bad-request', 'conflict') },
        },
      },
      async (request, reply) => {
        const { serial, model } = request.body
        return await reply.code(201).send(await registerCamera(engines, personOf(request), serial, model))
      },
    )

    app.get(
      '/cameras',
      {
        config: { may: 'camera.list' },
        schema: {
          summary: 'All cameras by serial; with confirmed=false the work list of those that nobody registered',
          tags,
          querystring: Type.Object({ confirmed: Type.Optional(Type.Boolean()), limit: Limit, cursor: Cursor }),
          response: { 200: pageOf(CameraView), ...problems('bad-request') },
        },
      },
      async (request) => {
        const { limit = defaultLimit, cursor, confirmed } = request.query
        return await listCameras(engines.db, limit, cursor, confirmed)
      },
    )

    app.put(
      '/cameras/:serial/assignment',
      {
        config: { may: 'camera.assign' },
        schema: {
          summary: 'Assign a camera to an officer for an interval',
          description: 'An open assignment ends where the new one begins. Any other overlap is refused.',
          tags,
          params: Type.Object({ serial: Serial }),
          body: Assignment,
          response: { 200: AssignmentView, ...problems('bad-request', 'camera-unknown', 'conflict') },
        },
      },
      async (request) => await assignCamera(engines, personOf(request), request.params.serial, request.body),
    )
  }
