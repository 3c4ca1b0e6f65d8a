import { errors, type JWTPayload, jwtVerify } from 'jose'
import { Value } from 'typebox/value'
import { type Collar, CollarNumber } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { Clock } from '../engines/clock.ts'
import type { Config } from '../engines/config.ts'
import type { IssuerKeys } from './issuer.ts'
import { isRole, type Role } from './role.ts'

/** What a person's token says of them. `name` is absent when the token has none. */
export type PersonClaims = { issuer: string; subject: string; name?: string; roles: Role[]; collar?: Collar }

const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA']
const types = new Set(['at+jwt', 'application/at+jwt', 'jwt'])
const leewaySeconds = 5

const refused = (error: unknown): Problem => {
  if (error instanceof Problem) return error
  if (error instanceof errors.JWTExpired)
    return new Problem('token-invalid', 'The token has expired.', { cause: error })
  if (error instanceof errors.JWTClaimValidationFailed) {
    return new Problem('token-invalid', `The claim ${error.claim} of the token is missing or not right.`, {
      cause: error,
    })
  }
  return new Problem('token-invalid', 'The token cannot be verified.', { cause: error })
}

/** A claim by its name, or by the path its name spells (`realm_access.roles`). */
const claimAt = (payload: JWTPayload, name: string): unknown => {
  if (Object.hasOwn(payload, name)) return payload[name]
  let found: unknown = payload
  for (const step of name.split('.')) {
    const inside: object = typeof found === 'object' && found !== null ? found : {}
    found = Object.entries(inside).find(([key]) => key === step)?.[1]
  }
  return found
}

const rolesIn = (claim: unknown): Role[] => {
  const words: unknown[] = Array.isArray(claim) ? claim : typeof claim === 'string' ? claim.split(/[\s,]+/) : []
  return [...new Set(words.filter(isRole))]
}

const nameIn = (payload: JWTPayload): string | undefined => {
  const given = [payload.name, payload.preferred_username].find(
    (each) => typeof each === 'string' && each.trim() !== '',
  )
  return typeof given === 'string'
    ? given
        .replace(/\p{Cc}/gu, ' ')
        .trim()
        .slice(0, 200)
        .toWellFormed()
    : undefined
}

/** Verifies a person's bearer token. Throws `token-invalid`, saying what is wrong with it and never what is in it. */
export const verifyPersonToken = async (
  config: Config,
  clock: Clock,
  keys: IssuerKeys,
  token: string,
): Promise<PersonClaims> => {
  const { payload, protectedHeader } = await jwtVerify(token, keys.find, {
    algorithms,
    issuer: config.OIDC_ISSUER,
    audience: config.OIDC_AUDIENCE,
    requiredClaims: ['sub', 'exp'],
    clockTolerance: leewaySeconds,
    currentDate: clock.now(),
  }).catch((error: unknown) => {
    throw refused(error)
  })
  if (!types.has((protectedHeader.typ ?? '').toLowerCase())) {
    throw new Problem('token-invalid', 'The type of the token is neither at+jwt nor JWT.')
  }
  const subject = payload.sub ?? ''
  if (!/^[^\p{Cc}]{1,255}$/u.test(subject) || !subject.isWellFormed())
    throw new Problem('token-invalid', 'The claim sub of the token is not right.')
  const name = nameIn(payload)
  const collar = claimAt(payload, config.OIDC_COLLAR_CLAIM)
  return {
    issuer: config.OIDC_ISSUER,
    subject,
    roles: rolesIn(claimAt(payload, config.OIDC_ROLES_CLAIM)),
    ...(name === undefined ? {} : { name }),
    ...(Value.Check(CollarNumber, collar) && collar.isWellFormed() ? { collar } : {}),
  }
}
