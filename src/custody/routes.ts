import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { Digest, IdOf, Serial } from '../base/ids.ts'
import { problems } from '../base/problem-schema.ts'
import { Time } from '../base/time.ts'
import { actorOf, dockOf, maybeDockOf } from '../docks/caller.ts'
import type { Engines } from '../engines/engines.ts'
import { personOf } from '../people/caller.ts'
import { Cursor, cutPage, defaultLimit, Limit, pageOf } from '../people/page.ts'
import { type FileState, listShortfall, refuseRepeats, takeManifest } from './manifest.ts'
import { type Asker, type ReceiptAnswer, receiptRetryAfter, recordingReceipt, uploadReceipt } from './receipts.ts'
import { Manifest, ManifestState, Missing } from './schemas.ts'

const recordingParams = Type.Object({ id: IdOf.recording })
const Receipt = Type.String({
  description: 'Compact JWS, EdDSA, typ exhibit-receipt+jwt',
  examples: ['eyJhbGciOiJFZERTQSIs...'],
})
const receiptResponses = {
  200: { description: 'The receipt', content: { 'application/jose': { schema: Receipt } } },
  202: Type.Object(
    { state: Type.Literal('owed') },
    { description: 'Verification is owed: ask again after Retry-After' },
  ),
  ...problems('quarantined', 'upload-incomplete', 'not-found', 'gone'),
}

const asker = (request: FastifyRequest): Asker => {
  const dock = maybeDockOf(request)
  return dock === undefined ? { kind: 'person', person: personOf(request) } : { kind: 'dock', dock }
}

const missing = (row: Awaited<ReturnType<typeof listShortfall>>[number]) => ({
  name: row.name,
  size: row.size,
  sha256: row.sha256,
  recordedAt: row.recordedAt.toISOString(),
  ...(row.number === null ? {} : { number: row.number }),
  ...(row.sequence === null ? {} : { sequence: row.sequence }),
  dock: row.dock,
  firstAnnouncedAt: row.firstAt.toISOString(),
  lastAnnouncedAt: row.lastAt.toISOString(),
})

const Keys = Type.Tuple([Time, Digest])

const announcedAt = (keys: string[]): { at: Date; sha256: string } => {
  if (!Value.Check(Keys, keys)) throw cursorProblem()
  const at = new Date(keys[0])
  if (Number.isNaN(at.getTime())) throw cursorProblem()
  return { at, sha256: keys[1] }
}

const sendReceipt = async (reply: FastifyReply, answer: ReceiptAnswer): Promise<FastifyReply> =>
  'jws' in answer
    ? await reply.code(200).type('application/jose').send(answer.jws)
    : await reply.code(202).header('retry-after', receiptRetryAfter).send({ state: 'owed' })

/** Manifests and what is owed, and receipts. */
export const custodyRoutes =
  (engines: Engines): FastifyPluginAsyncTypebox =>
  async (app) => {
    const base = `${engines.config.PUBLIC_URL}/api/v1`

    const addresses = (state: FileState) => {
      switch (state.state) {
        case 'owed':
          return {}
        case 'uploading':
          return { uploadUrl: `${base}/uploads/${state.upload}` }
        case 'verifying':
        case 'held':
          return { recordingId: state.recording, receiptUrl: `${base}/recordings/${state.recording}/receipt` }
        case 'quarantined':
        case 'erased':
          return { recordingId: state.recording }
      }
    }

    app.post(
      '/docks/manifests',
      {
        config: { may: 'manifest.announce' },
        bodyLimit: 8 * 1024 * 1024,
        schema: {
          summary: 'Announce every file a camera holds, and learn what is owed',
          tags: ['docks'],
          body: Manifest,
          response: { 200: ManifestState, ...problems('bad-request', 'camera-unknown') },
        },
      },
      async (request) => {
        const { clock, storageFree, files, camera } = request.body
        refuseRepeats(files)
        const states = await takeManifest(engines, dockOf(request), {
          camera,
          ...(clock === undefined ? {} : { clock: { camera: new Date(clock.camera), dock: new Date(clock.dock) } }),
          ...(storageFree === undefined ? {} : { storageFree }),
          files: files.map((file) => ({
            name: file.name,
            size: file.size,
            sha256: file.sha256,
            recordedAt: new Date(file.recordedAt),
            number: file.number ?? null,
            sequence: file.sequence ?? null,
          })),
        })
        return {
          items: states.flatMap((state, at) => {
            const file = files[at]
            return file === undefined
              ? []
              : [{ name: file.name, sha256: file.sha256, state: state.state, ...addresses(state) }]
          }),
        }
      },
    )

    app.get(
      '/cameras/:serial/shortfall',
      {
        config: { may: 'camera.shortfall' },
        schema: {
          summary: 'What a camera announced and never arrived',
          tags: ['docks'],
          params: Type.Object({ serial: Serial }),
          querystring: Type.Object({ limit: Limit, cursor: Cursor }, { additionalProperties: false }),
          response: { 200: pageOf(Missing), ...problems('bad-request') },
        },
      },
      async (request) => {
        const { limit = defaultLimit, cursor } = request.query
        const after = cursor === undefined ? undefined : announcedAt(decodeCursor(cursor))
        const rows = await listShortfall(engines, actorOf(request), request.params.serial, after, limit)
        return cutPage(rows, limit, missing, (row) => [row.firstAt.toISOString(), row.sha256])
      },
    )

    app.get(
      '/uploads/:id/receipt',
      {
        config: { may: 'receipt.read' },
        schema: {
          summary: 'The custody receipt of an upload',
          tags: ['docks'],
          params: Type.Object({ id: IdOf.upload }),
          response: receiptResponses,
        },
      },
      async (request, reply) =>
        await sendReceipt(reply, await uploadReceipt(engines, asker(request), request.params.id)),
    )

    app.get(
      '/recordings/:id/receipt',
      {
        config: { may: 'receipt.read' },
        schema: {
          summary: 'The custody receipt of a recording',
          tags: ['docks'],
          params: recordingParams,
          response: receiptResponses,
        },
      },
      async (request, reply) =>
        await sendReceipt(reply, await recordingReceipt(engines, asker(request), request.params.id)),
    )
  }
