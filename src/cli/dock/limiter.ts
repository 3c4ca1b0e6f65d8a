import { setTimeout as sleep } from 'node:timers/promises'

/** Answers how many milliseconds to wait before these bytes may go, so that all together keep to the rate. */
export const makeLimiter = (bytesPerSecond: number, now: () => number): ((bytes: number) => number) => {
  let free = 0
  return (bytes) => {
    const at = Math.max(now(), free)
    free = at + (bytes / bytesPerSecond) * 1000
    return at - now()
  }
}

export type Pace = {
  /** Bytes to hand over at a time. */
  piece: number
  /** Waits until these bytes may go. */
  before(bytes: number, signal: AbortSignal): Promise<void>
}

/** One pace for all files of a dock; without a rate as fast as the connection takes it. */
export const makePace = (bytesPerSecond?: number): Pace => {
  if (bytesPerSecond === undefined) return { piece: 256 * 1024, before: async () => {} }
  const limiter = makeLimiter(bytesPerSecond, () => performance.now())
  return {
    piece: Math.min(64 * 1024, Math.max(1024, Math.floor(bytesPerSecond / 8))),
    before: async (bytes, signal) => {
      const wait = limiter(bytes)
      if (wait > 0) await sleep(wait, undefined, { signal })
    },
  }
}
