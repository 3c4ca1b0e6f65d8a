/** `weak`: it works, and less is promised than could be, or it wants a look. Only `broken` is a failure. */
export type State = 'well' | 'weak' | 'broken'
export type Finding = { name: string; state: State; says: string }

/** What was found, in words without any secret. What it throws is `broken` too. */
export type Check = { name: string; look(): Promise<Omit<Finding, 'name'>> }

const patienceMs = 30_000

export const well = (says: string): Omit<Finding, 'name'> => ({ state: 'well', says })
export const weak = (says: string): Omit<Finding, 'name'> => ({ state: 'weak', says })
export const broken = (says: string): Omit<Finding, 'name'> => ({ state: 'broken', says })

const inTime = async <T>(work: Promise<T>): Promise<T> => {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error('no answer in 30 s')), patienceMs)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** A driver's error says in its message, or only in its code, what is wrong; neither holds a password. */
const reason = (error: unknown): string => {
  const inner = error instanceof AggregateError ? error.errors[0] : error
  if (!(inner instanceof Error)) return 'unknown'
  const cause = inner.cause instanceof Error ? ` (${inner.cause.message})` : ''
  const code = 'code' in inner && typeof inner.code === 'string' ? inner.code : inner.name
  return `${inner.message || code}${cause}`.replace(/\s+/g, ' ').slice(0, 300)
}

export const examine = async ({ name, look }: Check): Promise<Finding> => {
  try {
    return { name, ...(await inTime(look())) }
  } catch (error) {
    return { name, ...broken(reason(error)) }
  }
}
