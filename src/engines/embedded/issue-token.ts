import { createHash, randomBytes } from 'node:crypto'
import { Type } from 'typebox'
import Value from 'typebox/value'
import { type IdentityRole, subjectOf } from './identity-people.ts'
import { SetupError } from './setup-error.ts'

const Discovery = Type.Object({ authorization_endpoint: Type.String(), token_endpoint: Type.String() })
const TokenAnswer = Type.Object({ access_token: Type.String() })

const callback = 'http://127.0.0.1/callback'

/** Follows the provider's redirects as a browser does, up to the one that leads back to the client; gives its `code`. */
const walk = async (start: URL): Promise<string> => {
  const cookies = new Map<string, string>()
  let at = start
  for (let step = 0; step < 10; step++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(at, { redirect: 'manual', headers: { cookie }, signal: AbortSignal.timeout(10_000) })
    await response.arrayBuffer()
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';')
      const [name = '', ...value] = pair.split('=')
      cookies.set(name, value.join('='))
    }
    const location = response.headers.get('location')
    if (location === null) break
    at = new URL(location, at)
    if (!at.href.startsWith(callback)) continue
    const code = at.searchParams.get('code')
    if (code !== null) return code
    break
  }
  throw new SetupError(
    `The identity provider did not sign the user in (${at.searchParams.get('error_description') ?? at.pathname}).`,
  )
}

const asked = async <T>(issuer: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof SetupError) throw cause
    throw new SetupError(`The identity provider ${issuer} does not answer: is the embedded stack up?`, cause)
  }
}

type TokenWish = {
  issuer: string
  role: IdentityRole
  /** The first or the second user of that role. */
  which?: number
  /** For tests: another audience than the api's own, which is `exhibit`. */
  audience?: string
}

/** Walks the authorization code flow with PKCE by itself, without a browser, and gives an access token of an hour. */
export const issueToken = async ({ issuer, role, which = 1, audience = 'exhibit' }: TokenWish): Promise<string> =>
  await asked(issuer, async () => {
    const discovery: unknown = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()
    if (!Value.Check(Discovery, discovery)) throw new SetupError(`${issuer} is not an OpenID provider.`)
    const verifier = randomBytes(32).toString('base64url')
    const start = new URL(discovery.authorization_endpoint)
    start.search = new URLSearchParams({
      client_id: 'exhibit',
      response_type: 'code',
      redirect_uri: callback,
      scope: 'openid profile',
      resource: `urn:${audience}`,
      login_hint: subjectOf(role, which),
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }).toString()
    const response = await fetch(discovery.token_endpoint, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: 'exhibit',
        redirect_uri: callback,
        code: await walk(start),
        code_verifier: verifier,
      }),
    })
    const answer: unknown = await response.json()
    if (Value.Check(TokenAnswer, answer)) return answer.access_token
    throw new SetupError(`The identity provider gave no token for ${subjectOf(role, which)}.`)
  })
