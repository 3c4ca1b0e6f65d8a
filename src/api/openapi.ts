import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { ProblemCode } from '../base/problem.ts'
import { ProblemDocument, problems } from '../base/problem-schema.ts'
import { type Permission, ruleOf } from '../people/permissions.ts'

const description = `Footage from the docking station to the courtroom, with proof.

Ids are UUIDv7, times RFC 3339 in UTC, durations seconds, sizes bytes, digests lower-case hex SHA-256. Lists take \`limit\`
and \`cursor\`. Every refusal is a problem document (RFC 9457) with a stable \`code\` and what to do next.`

const whoFor = (permission: Permission): { [scheme: string]: string[] }[] => {
  const rule = ruleOf(permission)
  if (rule === 'anyone') return []
  const roles = rule.people === 'any' ? [] : [...rule.people]
  const people = rule.people === 'any' || roles.length > 0
  return [...(people ? [{ person: roles }] : []), ...(rule.docks ? [{ dock: [] }] : [])]
}

/** What every route with a caller may answer, besides what it lists itself. */
const always: ProblemCode[] = [
  'token-needed',
  'token-invalid',
  'not-allowed',
  'suspended',
  'too-many-requests',
  'database-unavailable',
]

const csp = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Collects the description of the routes that are registered from now on. */
export const collectOpenApi = async (app: FastifyInstance, publicUrl: string): Promise<void> => {
  app.addSchema(ProblemDocument)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Exhibit', version: '1', description, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
      servers: [{ url: publicUrl }],
      components: {
        securitySchemes: {
          person: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'A token of the OpenID issuer. The scopes named at a route are roles.',
          },
          dock: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description:
              'Signed by the dock with its Ed25519 key: header {alg: EdDSA, kid: dock id}, claims iss (dock id), aud (exhibit), iat, exp at most 600 s later.',
          },
        },
      },
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, n) => (typeof json.$id === 'string' ? json.$id : `def-${n}`),
    },
    transform: ({ schema, url, route }) => {
      const may = route.config?.may
      if (may === undefined) return { schema, url }
      const security = whoFor(may)
      const common = security.length === 0 ? {} : problems(...always)
      const response = { ...common, ...(typeof schema?.response === 'object' ? schema.response : {}) }
      return { schema: { ...schema, response, security }, url }
    },
  })
}

/** The description as a file, and as pages that load nothing from elsewhere. */
export const serveOpenApi = async (app: FastifyInstance): Promise<void> => {
  await app.register((docs, _options, done) => {
    docs.addHook('onRoute', (route) => {
      route.config = { ...route.config, may: 'docs' }
    })
    docs.get('/api/openapi.json', { schema: { hide: true } }, async () => app.swagger())
    docs.register(swaggerUi, { routePrefix: '/api/docs', staticCSP: csp, uiConfig: { supportedSubmitMethods: [] } })
    done()
  })
}
