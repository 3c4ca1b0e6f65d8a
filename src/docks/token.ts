import { createPublicKey } from 'node:crypto'
import { compactVerify, decodeProtectedHeader } from 'jose'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { IdOf } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import type { Dock } from './dock.ts'
import { dockByToken } from './queries.ts'

const audience = 'exhibit'
const longestLifeSeconds = 600
/** How far ahead of ours the clock of a dock may be: `iat` is then still in our future. */
const aheadSeconds = 60

const Header = Type.Object({ alg: Type.Literal('EdDSA'), kid: IdOf.dock })
const Claims = Type.Object({
  iss: Type.String(),
  aud: Type.Union([Type.String(), Type.Array(Type.String())]),
  iat: Type.Number(),
  exp: Type.Number(),
})

const invalid = (detail: string, cause?: unknown): Problem => new Problem('token-invalid', detail, { cause })

const headerOf = (token: string) => {
  let header: unknown
  try {
    header = decodeProtectedHeader(token)
  } catch (error) {
    throw invalid('The token is not a JWT.', error)
  }
  if (!Value.Check(Header, header)) throw invalid('A token of a dock has the header {alg: EdDSA, kid: <dock id>}.')
  return header
}

const claimsIn = (payload: Uint8Array) => {
  let claims: unknown
  try {
    claims = JSON.parse(Buffer.from(payload).toString('utf8'))
  } catch {}
  if (!Value.Check(Claims, claims)) throw invalid('The token lacks iss, aud, iat or exp.')
  return claims
}

/** Why the times of a token are out of range at `now` (seconds), or undefined. */
export const timeFault = ({ iat, exp }: { iat: number; exp: number }, now: number): string | undefined => {
  if (exp <= iat) return 'exp is not after iat.'
  if (exp - iat > longestLifeSeconds) return `exp is more than ${longestLifeSeconds} seconds after iat.`
  if (iat > now + aheadSeconds) return 'iat lies in the future: the clock of the dock is ahead.'
  if (exp <= now) return 'The token has expired, or the clock of the dock is behind.'
  return undefined
}

/**
 * Verifies a dock's token against the key that is registered now. Throws `token-invalid`, and `clock-skew` with the
 * server's time when all but its times is right. A suspended dock is recognised all the same.
 */
export const verifyDockToken = async (
  { db, clock }: Pick<Engines, 'db' | 'clock'>,
  token: string,
): Promise<{ dock: Dock; suspended: boolean }> => {
  const { kid } = headerOf(token)
  const row = await dockByToken(db, kid)
  if (row === undefined) throw invalid('No dock with this id is enrolled.')
  const key = createPublicKey({ key: row.publicKey, format: 'jwk' })
  const { payload } = await compactVerify(token, key, { algorithms: ['EdDSA'] }).catch((error: unknown) => {
    throw invalid('The signature is not by the registered key of the dock.', error)
  })
  const claims = claimsIn(payload)
  if (claims.iss !== kid) throw invalid('iss is not the id of the dock.')
  if (![claims.aud].flat().includes(audience)) throw invalid(`aud is not ${audience}.`)
  const now = clock.now()
  const fault = timeFault(claims, now.getTime() / 1000)
  if (fault !== undefined) throw new Problem('clock-skew', fault, { extra: { serverTime: iso(now) } })
  const { id, name, site, thumbprint, suspendedAt } = row
  return { dock: { id, name, site, thumbprint }, suspended: suspendedAt !== null }
}
