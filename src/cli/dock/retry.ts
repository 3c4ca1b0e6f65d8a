import { setTimeout as sleep } from 'node:timers/promises'
import { sentence } from '../failure.ts'
import { ConnectionBroken } from './http.ts'
import { Refusal } from './installation.ts'

const firstMs = 500
const longestMs = 30_000

/** `Retry-After` in milliseconds from `now`: seconds, or a date. 0 when there is none. */
export const readRetryAfter = (header: string | undefined, now: number): number => {
  if (header === undefined) return 0
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? 0 : Math.max(0, at - now)
}

/** Exponential back-off with jitter, in milliseconds; never shorter than what the other side asked for. */
export const retryDelay = (failures: number, askedFor: number, random: number): number =>
  Math.max(askedFor, Math.min(longestMs, firstMs * 2 ** (failures - 1)) * (0.5 + random / 2))

/** Whether the same request may go better later. */
const mayPass = (error: unknown): boolean => {
  if (error instanceof ConnectionBroken) return true
  if (!(error instanceof Refusal)) return false
  return error.status >= 500 || [408, 409, 425, 429, 460].includes(error.status)
}

/** What no repetition cures for this dock: its key is not accepted, or it is suspended. */
export const isFinal = (error: unknown): boolean => error instanceof Refusal && (error.status === 401 || error.status === 403)

type Patience = {
  /** How long to try without any progress. */
  patienceMs: number
  signal: AbortSignal
  onRetry(because: string, inMs: number): void
}

export type Stubborn = {
  /** Something got through: patience begins anew. */
  moved(): void
  /** Waits before the next try. Throws the error when there should be none. */
  pause(error: unknown): Promise<void>
}

export const stubborn = ({ patienceMs, signal, onRetry }: Patience): Stubborn => {
  let failures = 0
  let since = performance.now()
  return {
    moved: () => {
      failures = 0
      since = performance.now()
    },
    pause: async (error) => {
      if (!mayPass(error)) throw error
      failures++
      const wait = retryDelay(failures, error instanceof Refusal ? error.retryAfter : 0, Math.random())
      if (performance.now() + wait - since > patienceMs) throw error
      onRetry(sentence(error), wait)
      await sleep(wait, undefined, { signal })
    },
  }
}

/** Does it until it succeeds, fails for good, or patience is over. */
export const untilDone = async <Result>(patience: Patience, work: () => Promise<Result>): Promise<Result> => {
  const trying = stubborn(patience)
  for (;;) {
    try {
      return await work()
    } catch (error) {
      await trying.pause(error)
    }
  }
}
