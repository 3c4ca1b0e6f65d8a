import { setTimeout as sleep } from 'node:timers/promises'
import { sentence } from '../failure.ts'
import { ConnectionBroken } from './http.ts'
import { Refusal } from './refusal.ts'

const firstMs = 500
const longestMs = 30_000

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
export const isFinal = (error: unknown): boolean =>
  error instanceof Refusal && (error.status === 401 || error.status === 403)

type Patience = {
  /** How long to wait between tries, all waits together, while nothing gets through. */
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
  let waited = 0
  return {
    moved: () => {
      failures = 0
      waited = 0
    },
    pause: async (error) => {
      if (!mayPass(error)) throw error
      failures++
      const wait = retryDelay(failures, error instanceof Refusal ? error.retryAfter : 0, Math.random())
      waited += wait
      if (waited > patienceMs) throw error
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
