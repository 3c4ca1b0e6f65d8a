import { createRemoteJWKSet, errors, type JWTVerifyGetKey } from 'jose'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { Problem } from '../base/problem.ts'

const answerMs = 5000
/** From this age on the keys are fetched anew beside the request that noticed it. */
const staleMs = 5 * 60_000
/** An issuer that cannot be reached keeps its known keys this long: docks and people go on working. */
const deadMs = 24 * 3_600_000
/** Tokens with an unknown key fetch at once, this many times in a row, and then once in a while: nobody can hammer the issuer. */
const burst = 5
const refillMs = 5000

const Discovery = Type.Object({ issuer: Type.String(), jwks_uri: Type.String() })

const discover = async (issuer: string): Promise<URL> => {
  const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, {
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(answerMs),
  })
  const found: unknown = response.ok ? await response.json() : undefined
  if (!Value.Check(Discovery, found)) throw new Error('the issuer answers without a usable discovery document')
  if (found.issuer !== issuer) throw new Error('the discovery document names another issuer than OIDC_ISSUER')
  return new URL(found.jwks_uri)
}

const fetchKeys = async (issuer: string) => {
  // When to fetch again is decided here, not by the set.
  const keys = createRemoteJWKSet(await discover(issuer), {
    timeoutDuration: answerMs,
    cooldownDuration: Number.POSITIVE_INFINITY,
    cacheMaxAge: Number.POSITIVE_INFINITY,
  })
  await keys.reload()
  return keys
}

const unreachable = (cause?: unknown): Problem => new Problem('issuer-unavailable', undefined, { retryAfter: 5, cause })

export type IssuerKeys = {
  /** Finds the key a token names. Throws a Problem when the issuer cannot be asked, JWKSNoMatchingKey when it knows none. */
  find: JWTVerifyGetKey
  /** Asks the issuer for its discovery document. Throws when it does not answer with a usable one. */
  answers(): Promise<void>
}

/** The keys of an OpenID issuer, found by its discovery document, followed through rotations. */
export const issuerKeys = (issuer: string): IssuerKeys => {
  let keys: Awaited<ReturnType<typeof fetchKeys>> | undefined
  let fetchedAt = 0
  let running: Promise<void> | undefined
  let allowance = burst
  let refilledAt = performance.now()

  const allowed = (): boolean => {
    if (running !== undefined) return true
    const refills = Math.floor((performance.now() - refilledAt) / refillMs)
    allowance = Math.min(burst, allowance + refills)
    refilledAt += refills * refillMs
    if (allowance === 0) return false
    allowance -= 1
    return true
  }

  const refresh = async (): Promise<void> => {
    running ??= fetchKeys(issuer)
      .then((fetched) => {
        keys = fetched
        fetchedAt = performance.now()
      })
      .finally(() => {
        running = undefined
      })
    await running
  }

  const current = async () => {
    const age = performance.now() - fetchedAt
    if (keys === undefined || age > deadMs) {
      if (!allowed()) throw unreachable()
      await refresh().catch((cause: unknown) => {
        throw unreachable(cause)
      })
    } else if (age > staleMs && allowed()) {
      refresh().catch(() => undefined)
    }
    if (keys === undefined) throw unreachable()
    return keys
  }

  return {
    find: async (header, token) => {
      try {
        return await (await current())(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey) || !allowed()) throw error
      }
      await refresh().catch((cause: unknown) => {
        throw unreachable(cause)
      })
      return await (await current())(header, token)
    },
    answers: async () => {
      await discover(issuer)
    },
  }
}
