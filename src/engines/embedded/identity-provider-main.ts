import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { Provider } from 'oidc-provider'
import { openDataFolder } from './data-folder.ts'
import { type IdentityKeys, identityKeys } from './identity-keys.ts'
import { people } from './identity-people.ts'

/*
 * The process of the embedded OpenID provider. It signs anyone in as any of its people without a password, so it listens on
 * loopback only and belongs to trials and tests. SIGHUP makes it read its keys again.
 */
const { values } = parseArgs({ options: { 'identity-of': { type: 'string' }, port: { type: 'string' } } })
const folder = openDataFolder(values['identity-of'] ?? '')
const issuer = `http://127.0.0.1:${values.port}`

/** `urn:exhibit` is the api's own audience; a token for any other `urn:…` is there to be refused by it. */
const ownResource = 'urn:exhibit'
const scopes = 'openid profile'

const claimsOf = (subject: string) => {
  const person = people.get(subject)
  return person && { name: person.name, roles: [person.role], collar_number: person.collarNumber }
}

const providerWith = ({ cookieKey, keys }: IdentityKeys): Provider =>
  new Provider(issuer, {
    clients: [
      {
        client_id: 'exhibit',
        client_name: 'Exhibit',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        id_token_signed_response_alg: 'ES256',
        grant_types: ['authorization_code'],
        response_types: ['code'],
        redirect_uris: ['http://127.0.0.1/callback'],
      },
    ],
    jwks: { keys },
    cookies: { keys: [cookieKey] },
    claims: { openid: ['sub'], profile: ['name', 'roles', 'collar_number'] },
    ttl: { Interaction: 600, Session: 3600, Grant: 3600, IdToken: 3600, AuthorizationCode: 60 },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    findAccount: (_context, subject) =>
      people.has(subject) ? { accountId: subject, claims: () => ({ sub: subject, ...claimsOf(subject) }) } : undefined,
    extraTokenClaims: (_context, { accountId }) => claimsOf(accountId ?? ''),
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => ownResource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: scopes,
          audience: resource.replace(/^urn:/, ''),
          accessTokenTTL: 3600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  })

let provider = providerWith(await identityKeys(folder))
process.on('SIGHUP', async () => {
  provider = providerWith(await identityKeys(folder))
})

const form = (uid: string): string => {
  const buttons = [...people.values()].map(
    ({ subject, name, role, collarNumber }) =>
      `<p><button name="person" value="${subject}">${name}, ${role} (${collarNumber})</button></p>`,
  )
  return `<!doctype html><meta charset="utf-8"><title>Sign in</title><h1>Sign in to Exhibit as</h1>
<form method="post" action="/interaction/${uid}">${buttons.join('')}</form>`
}

const interact = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const { uid, params, session } = await provider.interactionDetails(request, response)
  const chosen = request.method === 'POST' ? new URLSearchParams(await text(request)).get('person') : params.login_hint
  const accountId = String(chosen ?? session?.accountId)
  if (!people.has(accountId)) {
    response.setHeader('content-type', 'text/html; charset=utf-8').end(form(uid))
    return
  }
  const grant = new provider.Grant({ accountId, clientId: String(params.client_id) })
  grant.addOIDCScope(scopes)
  grant.addResourceScope(String(params.resource ?? ownResource), scopes)
  await provider.interactionFinished(request, response, {
    login: { accountId },
    consent: { grantId: await grant.save() },
  })
}

const server = createServer((request, response) => {
  if (request.url?.startsWith('/interaction/') !== true) return provider.callback()(request, response)
  interact(request, response).catch((error) => {
    process.stderr.write(`${error}\n`)
    response.writeHead(400, { 'content-type': 'text/plain' }).end('This sign-in is over. Start again.\n')
  })
})
server.listen(Number(values.port), '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))
