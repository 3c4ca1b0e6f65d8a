import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import type { ProblemCode } from '../base/problem.ts'
import { joined, ProblemDocument, type ProblemResponse, problems } from '../base/problem-schema.ts'
import { type Rule, ruleOf } from '../people/permissions.ts'

const description = `Footage from the docking station to the courtroom, with proof.

Ids are UUIDv7, times RFC 3339 in UTC, durations seconds, sizes bytes, digests lower-case hex SHA-256. Lists take \`limit\`
and \`cursor\`. Every refusal is a problem document (RFC 9457) with a stable \`code\` and what to do next.`

const whoFor = (rule: Rule): { [scheme: string]: string[] }[] => {
  if (rule === 'anyone') return []
  const roles = rule.people === 'any' ? [] : [...rule.people]
  const people = rule.people === 'any' || roles.length > 0
  return [...(people ? [{ person: roles }] : []), ...(rule.docks ? [{ dock: [] }] : [])]
}

/** What every route with a caller may answer, besides what it lists itself. */
const always = (docks: boolean): ProblemCode[] => [
  'token-needed',
  'token-invalid',
  ...(docks ? (['clock-skew'] as const) : []),
  'not-allowed',
  'suspended',
  'too-many-requests',
  'database-unavailable',
]

const done: Record<string, string> = { 200: 'Here it is', 201: 'Made', 202: 'Owed: it will be done' }

/** The answers of a route, each with a description, and the problems that all routes share added to its own. */
const described = (own: Record<string, object>, common: Record<string, ProblemResponse>): Record<string, object> => {
  const all: Record<string, object> = { ...common }
  for (const [status, response] of Object.entries(own)) {
    const same = common[status]
    all[status] = same === undefined ? { description: done[status] ?? 'Done', ...response } : joined(response, same)
  }
  return all
}

const csp = [
  "default-src 'none'",
  "script-src 'self'",
  // The one style element that swagger-ui makes.
  "style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='",
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
      const rule = ruleOf(may)
      const common = rule === 'anyone' ? {} : problems(...always(rule.docks))
      const own = typeof schema?.response === 'object' && schema.response !== null ? schema.response : {}
      const response = described(Object.fromEntries(Object.entries(own)), common)
      return { schema: { ...schema, response, security: whoFor(rule) }, url }
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
