import { setTimeout as delay } from 'node:timers/promises'
import { Failure } from '../failure.ts'

const withinMs = 60_000

/** Looks again and again until there is something. Throws Failure when nothing comes within a minute. */
export const until = async <T>(signal: AbortSignal, what: string, look: () => Promise<T | undefined>): Promise<T> => {
  for (const limit = Date.now() + withinMs; ; await delay(300, undefined, { signal })) {
    const found = await look()
    if (found !== undefined) return found
    if (Date.now() > limit) throw new Failure(`${what} did not come in time.`)
  }
}
