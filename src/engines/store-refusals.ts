import { Problem } from '../base/problem.ts'

/** The bytes cannot have arrived as they left: the store computed another digest than the signed one. */
const digestRefusals = new Set(['XAmzContentSHA256Mismatch', 'BadDigest', 'InvalidDigest', 'SignatureDoesNotMatch'])

/** Whether the store found other bytes than the digest they came under. */
export const refusesDigest = (error: unknown): boolean => error instanceof Error && digestRefusals.has(error.name)

/** Whether the store gave its refusal one of these names. */
export const named = (error: unknown, ...names: string[]): boolean =>
  error instanceof Error && names.includes(error.name)

/** Whether something is there already, or is being written, where only something new was to be stored. */
export const refusesSecond = (error: unknown): boolean =>
  named(error, 'PreconditionFailed', 'ConditionalRequestConflict')

/** Refusals that pass, though their status does not say so. */
const passing = new Set(['SlowDown', 'RequestTimeout', 'RequestTimeTooSkewed', 'OperationAborted'])

const statusOf = (error: Error): number => {
  const metadata: unknown = '$metadata' in error ? error.$metadata : undefined
  const status = typeof metadata === 'object' && metadata !== null && 'httpStatusCode' in metadata
  return status && typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : 0
}

/** Whether the store cannot be reached or refuses to work just now, as against a refusal of what was asked. */
export const unavailable = (error: unknown): boolean => {
  if (!(error instanceof Error) || error.name === 'AbortError') return false
  const status = statusOf(error)
  // 501: it does not know what it was asked, and never will.
  if ((status >= 500 && status !== 501) || status === 429 || passing.has(error.name)) return true
  return (
    error.name === 'TimeoutError' ||
    ('code' in error &&
      typeof error.code === 'string' &&
      /^E(CONN|PIPE|TIMEDOUT|AI_AGAIN|HOST|NET)/.test(error.code)) ||
    /socket hang up|timed? ?out|Unable to calculate hash/i.test(error.message)
  )
}

export const storeUnavailable = (cause: unknown, detail?: string): Problem =>
  new Problem('store-unavailable', detail, { retryAfter: 10, cause })

/** What a stream out of the store throws: `store-unavailable` when it broke, anything else as it is. */
export const brokenRead = (error: unknown): unknown => (unavailable(error) ? storeUnavailable(error) : error)
