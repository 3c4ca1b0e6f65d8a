import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { type JWTPayload, SignJWT } from 'jose'
import type { DockId } from '../src/base/ids.ts'
import type { PublicJwk } from '../src/engines/receipt-key.ts'
import type { Role } from '../src/people/role.ts'

type Alg = 'RS256' | 'PS256' | 'ES256' | 'EdDSA'
type SigningKey = { kid: string; alg: Alg; privateKey: KeyObject; publicKey: KeyObject }

const pairOf = (alg: Alg) => {
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' })
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}

const makeKey = (alg: Alg): SigningKey => ({ kid: randomUUID(), alg, ...pairOf(alg) })
const makeKeys = (): Record<Alg, SigningKey> => ({
  RS256: makeKey('RS256'),
  PS256: makeKey('PS256'),
  ES256: makeKey('ES256'),
  EdDSA: makeKey('EdDSA'),
})

/** How a token departs from an ordinary one. */
export type TokenOptions = {
  alg?: Alg
  /** Another key than the issuer's under the issuer's key id. */
  key?: KeyObject
  kid?: string
  typ?: string
  audience?: string
  issuer?: string
  /** Seconds from now to its end. */
  lifetime?: number
}

/** A small OpenID issuer on loopback: discovery, keys, rotation. It signs whatever a test asks for. */
export const startIssuer = async () => {
  let keys = makeKeys()
  let fetches = 0
  const server = createServer((request, response) => {
    const answer = (value: unknown) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    if (request.url === '/.well-known/openid-configuration') answer({ issuer: url, jwks_uri: `${url}/jwks` })
    else if (request.url === '/jwks') {
      fetches += 1
      answer({
        keys: Object.values(keys).map(({ kid, alg, publicKey }) => ({
          ...publicKey.export({ format: 'jwk' }),
          kid,
          alg,
          use: 'sig',
        })),
      })
    } else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  const url = `http://127.0.0.1:${address.port}`

  const token = async (claims: JWTPayload, options: TokenOptions = {}): Promise<string> => {
    const { alg = 'ES256', typ = 'at+jwt', audience = 'exhibit', issuer = url, lifetime = 300 } = options
    const now = Math.floor(Date.now() / 1000)
    return await new SignJWT(claims)
      .setProtectedHeader({ alg, typ, kid: options.kid ?? keys[alg].kid })
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt(Math.min(now, now + lifetime - 1))
      .setExpirationTime(now + lifetime)
      .sign(options.key ?? keys[alg].privateKey)
  }

  return {
    url,
    /** How often the keys were fetched. */
    fetches: () => fetches,
    token,
    /** A token of the person `<role>`, who holds that role; `subject` and further claims as wanted. */
    tokenFor: async (role: Role, claims: JWTPayload = {}, options: TokenOptions = {}): Promise<string> =>
      await token({ sub: role, name: `The ${role}`, roles: [role], ...claims }, options),
    /** New keys under new ids; the old ones are gone. */
    rotate: (): void => {
      keys = makeKeys()
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
export type TestIssuer = Awaited<ReturnType<typeof startIssuer>>

/** The header and claims of any token, unsigned: `alg: none`. */
export const unsigned = (claims: JWTPayload): string =>
  `${[{ alg: 'none', typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`

export type DockKey = { privateKey: KeyObject; publicKey: PublicJwk }

/** A key pair as a dock makes it. */
export const makeDockKey = (): DockKey => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const { x = '' } = publicKey.export({ format: 'jwk' })
  return { privateKey, publicKey: { kty: 'OKP', crv: 'Ed25519', x } }
}

/** A dock's token; `iat` and `exp` in seconds from now, further claims as wanted. */
export const dockToken = async (
  id: DockId,
  { privateKey }: Pick<DockKey, 'privateKey'>,
  { iat = 0, exp = 300, ...claims }: JWTPayload = {},
): Promise<string> => {
  const now = Math.floor(Date.now() / 1000)
  return await new SignJWT({ iss: id, aud: 'exhibit', ...claims, iat: now + iat, exp: now + exp })
    .setProtectedHeader({ alg: 'EdDSA', kid: id })
    .sign(privateKey)
}
