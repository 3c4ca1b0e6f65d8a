import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { Problem, type ProblemCode, problems } from '../base/problem.ts'
import { documentOf } from '../base/problem-schema.ts'
import type { Log } from '../engines/log.ts'
import { databaseLost, databaseProblem } from '../engines/postgres.ts'

/** What Fastify itself refuses, in our words. */
const ofFastify: Record<string, [ProblemCode, string?]> = {
  FST_ERR_BAD_URL: ['bad-request', 'The address is not well formed.'],
  FST_ERR_MAX_PARAM_LENGTH: ['not-found'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['media-type', 'Send Content-Type: application/json.'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['too-large', 'The body is larger than allowed here.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['bad-request', 'The body is not as long as Content-Length says.'],
}

const isFastify = (error: unknown): error is FastifyError =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('FST_ERR_')

/** Any error as a problem. What is not foreseen becomes `internal`, which tells nothing of its cause. */
export const toProblem = (error: unknown): Problem => {
  if (error instanceof Problem) return error
  if (databaseLost(error)) return databaseProblem(error)
  if (isFastify(error)) {
    const [code, detail] = ofFastify[error.code] ?? ((error.statusCode ?? 500) < 500 ? ['bad-request'] : ['internal'])
    return new Problem(code, detail, { cause: error })
  }
  return new Problem('internal', undefined, { cause: error })
}

/** The document that is sent. */
export const toDocument = (problem: Problem, requestId: string) => ({
  ...problem.extra,
  ...documentOf(problem.code, problem.detail, requestId),
})

/**
 * An error for the log. A database error names the constraint and never the row: its message and detail may quote values.
 */
export const forLog = (error: unknown): Record<string, unknown> => {
  if (!(error instanceof Error)) return { name: typeof error }
  const frames = error.stack
    ?.split('\n')
    .filter((line) => line.startsWith('    at '))
    .join('\n')
  const code = 'code' in error ? error.code : undefined
  const cause = error.cause === undefined ? {} : { cause: forLog(error.cause) }
  if (!('severity' in error)) return { name: error.name, message: error.message, code, frames, ...cause }
  const { table, constraint } = { table: undefined, constraint: undefined, ...error }
  return { name: error.name, code, table, constraint, frames }
}

const logged = (log: Pick<Log, 'error' | 'warn'>, problem: Problem): void => {
  const { status } = problems[problem.code]
  if (problem.code === 'internal')
    log.error({ err: forLog(problem.cause ?? problem) }, 'a request failed for a reason of ours')
  else if (problem.code === 'log-damaged') log.error(problem.message)
  else if (status >= 500 && problem.cause !== undefined) log.warn({ err: forLog(problem.cause) }, problem.code)
}

const lingerMs = 2000

/**
 * An answer that comes before the whole body was read: the rest is read for a moment and dropped, so that a client that
 * is still sending gets to see the answer; then the connection is cut.
 */
const linger = ({ raw }: FastifyRequest, reply: FastifyReply): void => {
  if (raw.complete) return
  reply.raw.once('finish', () => {
    if (raw.complete) return
    const cut = setTimeout(() => raw.destroy(), lingerMs)
    raw.once('close', () => clearTimeout(cut)).once('end', () => clearTimeout(cut))
    raw.resume()
  })
}

/** Answers with the problem's document, once for every way an error can come. */
export const sendProblem = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
  const problem = toProblem(error)
  const { status } = problems[problem.code]
  // Whoever went away in the middle of a body is no fault of ours, and hears nothing.
  const gone = request.raw.destroyed && !request.raw.complete
  if (!gone) logged(request.log, problem)
  if (problem.retryAfter !== undefined) reply.header('retry-after', Math.max(1, Math.ceil(problem.retryAfter)))
  if (status === 401)
    reply.header('www-authenticate', problem.code === 'token-needed' ? 'Bearer' : 'Bearer error="invalid_token"')
  reply.removeHeader('connection')
  linger(request, reply)
  return reply
    .code(status)
    .type('application/problem+json')
    .serializer((document: unknown) => JSON.stringify(document))
    .send(toDocument(problem, request.id))
}
