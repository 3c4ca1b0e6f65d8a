import fastify, { type FastifyBaseLogger, type FastifyError, type FastifyInstance, LogController } from 'fastify'
import type { Log } from '../../engines/log.ts'
import { DamagedRecord } from './records.ts'
import { longestSubmission } from './submission.ts'
import type { Outcome, Witness } from './witness.ts'

type Refusal = Exclude<Outcome['as'], 'cosigned' | 'conflict'>

/** C2SP tlog-witness, add-checkpoint. */
const refusals: Record<Refusal, { status: number; words: string }> = {
  malformed: { status: 400, words: 'The body is not an old size, a proof and a checkpoint, to the letter.' },
  'unknown-log': { status: 404, words: 'This witness does not watch that log.' },
  'not-signed': { status: 403, words: 'No key of that log signed this checkpoint, or a signature of one is wrong.' },
  'old-is-larger': { status: 400, words: 'The old size is larger than the checkpoint.' },
  inconsistent: { status: 422, words: 'The proof does not show that the tree grew out of the one cosigned last.' },
  fork: { status: 422, words: 'A tree of this size and another root was cosigned.' },
  'clock-behind': { status: 503, words: 'The clock of this witness stands before its last cosignature.' },
}

const plain = 'text/plain; charset=utf-8'

type Answer = { status: number; type: string; body: string }

const answerTo = (outcome: Outcome): Answer => {
  if (outcome.as === 'cosigned') return { status: 200, type: plain, body: outcome.line }
  if (outcome.as === 'conflict') return { status: 409, type: 'text/x.tlog.size', body: `${outcome.size}\n` }
  const { status, words } = refusals[outcome.as]
  return { status, type: plain, body: `${words}\n` }
}

/** Strangers may ask for anything, so they are not worth a line. */
const tell = (log: Log, outcome: Outcome): void => {
  if (outcome.as === 'cosigned') log.info({ log: outcome.log, size: outcome.size }, 'a checkpoint was cosigned')
  else if (outcome.as === 'fork')
    log.error(outcome, 'the log signed two trees of one size: the other one is kept as the proof, tell its auditors')
  else if (outcome.as === 'clock-behind')
    log.error(outcome, 'the clock stands before the last cosignature: set it right')
  else if (outcome.as === 'inconsistent') log.warn(outcome, 'a checkpoint was refused')
  else log.debug(outcome, 'a checkpoint was refused')
}

type ServeOptions = {
  /** How long a whole request may take to arrive. */
  requestMs?: number
}

/** What answers for a witness. It must not stand alone at an open port: rates and TLS are a proxy's work. */
export const makeWitnessServer = (
  witness: Witness,
  log: Log,
  { requestMs = 10_000 }: ServeOptions = {},
): FastifyInstance => {
  const logger: FastifyBaseLogger = log
  const app = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: longestSubmission,
    requestTimeout: requestMs,
    keepAliveTimeout: 65_000,
    forceCloseConnections: 'idle',
    http: { headersTimeout: requestMs, connectionsCheckingInterval: Math.min(requestMs, 1000), maxHeaderSize: 8192 },
  })
  app.server.maxConnections = 512

  // The specification names no content type, so whatever a client says of the body is not asked for.
  app.removeAllContentTypeParsers()
  app.addHook('onRequest', async (request) => {
    delete request.raw.headers['content-type']
  })
  app.addContentTypeParser<Buffer>('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) {
      const words = error instanceof DamagedRecord ? error.message : 'a request failed for a fault of this witness'
      log.error({ err: { message: error.message, code: error.code } }, words)
    }
    const body = status >= 500 ? 'Something is wrong with this witness; it signed nothing.' : error.message
    return reply.code(status).type(plain).send(`${body}\n`)
  })
  app.setNotFoundHandler((_request, reply) => reply.code(404).type(plain).send('There is nothing here.\n'))

  app.post('/add-checkpoint', async (request, reply) => {
    const { body } = request
    const outcome = await witness.addCheckpoint(body instanceof Uint8Array ? body : Buffer.alloc(0))
    tell(log, outcome)
    const answer = answerTo(outcome)
    return await reply.code(answer.status).header('content-type', answer.type).send(Buffer.from(answer.body))
  })

  app.get<{ Params: { hash: string } }>('/:hash/checkpoint', async (request, reply) => {
    const { hash } = request.params
    const note = /^[0-9a-f]{64}$/.test(hash) ? await witness.checkpoint(hash) : undefined
    if (note === undefined) return reply.callNotFound()
    return await reply.header('content-type', plain).header('cache-control', 'no-cache').send(Buffer.from(note))
  })
  return app
}
