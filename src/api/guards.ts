import type { FastifyInstance, FastifyRequest } from 'fastify'
import { decodeJwt } from 'jose'
import { Value } from 'typebox/value'
import { IdOf } from '../base/ids.ts'
import { Problem, problems } from '../base/problem.ts'
import { recordingOfClip } from '../clips/queries.ts'
import { actorOf, callIsFromDock, maybeDockOf } from '../docks/caller.ts'
import { verifyDockToken } from '../docks/token.ts'
import type { Engines } from '../engines/engines.ts'
import type { Subject } from '../ledger/entry.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { recognise } from '../people/actions.ts'
import { callIsFrom, maybePersonOf } from '../people/caller.ts'
import type { IssuerKeys } from '../people/issuer.ts'
import { mayAnyone, mayDock, mayPerson, type Permission, ruleOf } from '../people/permissions.ts'
import { verifyPersonToken } from '../people/token.ts'
import { recordingExists } from '../recordings/queries.ts'

const issuerOf = (token: string): string | undefined => {
  try {
    return decodeJwt(token).iss
  } catch (cause) {
    throw new Problem('token-invalid', 'The token is not a JWT.', { cause })
  }
}

/** The line of the table of permissions that the route names; boot made sure that it names one. */
const permissionOf = (request: FastifyRequest): Permission => {
  const { may } = request.routeOptions.config
  if (may === undefined) throw new Error('a route without a permission was reached')
  return may
}

/** At most one line in ten seconds about callers that nobody knows: they must not fill the log. */
const strangersLine = ({ log }: Pick<Engines, 'log'>) => {
  const everyMs = 10_000
  let since = Number.NEGATIVE_INFINITY
  let unsaid = 0
  return (code: string): void => {
    unsaid += 1
    if (performance.now() - since < everyMs) return
    log.info({ code, calls: unsaid }, 'calls without a valid token')
    since = performance.now()
    unsaid = 0
  }
}

const idOf = (params: unknown): string | undefined =>
  typeof params === 'object' && params !== null && 'id' in params && typeof params.id === 'string'
    ? params.id
    : undefined

/** What somebody was refused: the footage, where the path names some that is there, so that its story tells of it. */
const subjectOf = async ({ db }: Pick<Engines, 'db'>, request: FastifyRequest): Promise<Subject> => {
  const { url = '' } = request.routeOptions
  const id = idOf(request.params)
  const isOf = (kind: string) => url.startsWith(`/api/v1/${kind}/:id`)
  if (isOf('recordings') && Value.Check(IdOf.recording, id) && (await recordingExists(db, id)))
    return { type: 'recording', id }
  if (isOf('clips') && Value.Check(IdOf.clip, id) && (await recordingOfClip(db, id)) !== undefined)
    return { type: 'clip', id }
  return { type: 'route', id: `${request.method} ${url}` }
}

/**
 * Who is calling, and whether they may: first the token (`onRequest`), then the rate limit of whom it names, then the
 * permission (`preParsing`), and only then is a body read.
 */
export const installGuards = (app: FastifyInstance, engines: Engines, keys: IssuerKeys): void => {
  const suspended = new WeakSet<FastifyRequest>()
  const strangerCalled = strangersLine(engines)

  const identify = async (request: FastifyRequest): Promise<void> => {
    const [, token] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? []
    if (token === undefined) throw new Problem('token-needed')
    const issuer = issuerOf(token)
    if (issuer === engines.config.OIDC_ISSUER) {
      const claims = await verifyPersonToken(engines.config, engines.clock, keys, token)
      const found = await recognise(engines, claims)
      callIsFrom(request, found.person)
      if (found.suspended) suspended.add(request)
    } else if (Value.Check(IdOf.dock, issuer)) {
      const found = await verifyDockToken(engines, token)
      callIsFromDock(request, found.dock)
      if (found.suspended) suspended.add(request)
    } else throw new Problem('token-invalid', 'The token is by an issuer that is not trusted here.')
  }

  const authenticate = async (request: FastifyRequest): Promise<void> => {
    if (mayAnyone(permissionOf(request))) return
    await identify(request).catch((error: unknown) => {
      if (error instanceof Problem && problems[error.code].status === 401) {
        engines.metrics.strangers.inc()
        strangerCalled(error.code)
      }
      throw error
    })
  }

  const refuse = async (request: FastifyRequest, permission: Permission, problem: Problem): Promise<never> => {
    const rule = ruleOf(permission)
    const subject = await subjectOf(engines, request)
    const id = Value.Check(IdOf.recording, idOf(request.params)) ? idOf(request.params) : undefined
    await recordRefusal(engines, {
      operation: rule === 'anyone' ? 'administration' : rule.operation,
      action: permission,
      subject,
      actor: actorOf(request),
      detail: { code: problem.code, ...(id === undefined || id === subject.id ? {} : { id }) },
    })
    throw problem
  }

  const authorise = async (request: FastifyRequest): Promise<void> => {
    const permission = permissionOf(request)
    if (mayAnyone(permission)) return
    if (suspended.has(request)) await refuse(request, permission, new Problem('suspended'))
    const person = maybePersonOf(request)
    const allowed = person === undefined ? mayDock(permission) : mayPerson(person.roles, permission)
    if (!allowed) await refuse(request, permission, new Problem('not-allowed'))
  }

  app.addHook('onRequest', authenticate)
  app.addHook('preParsing', authorise)
}

/** Whose requests are counted together; undefined for a route that anyone may call. */
export const callerKey = (request: FastifyRequest): string | undefined => {
  const person = maybePersonOf(request)
  if (person !== undefined) return `person:${person.id}`
  const dock = maybeDockOf(request)
  return dock === undefined ? undefined : `dock:${dock.id}`
}
