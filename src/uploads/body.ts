import type { Readable } from 'node:stream'
import { Problem } from '../base/problem.ts'
import { type Chunks, chunksOf } from '../engines/chunks.ts'

/** How patient a request body is read: seconds of silence, and bytes a second over a minute. */
export type Patience = { idleSeconds: number; slowestBytes: number }

const slowWindowMs = 60_000

/**
 * Reads a body chunk by chunk without ever destroying it, so that the refusal can still be answered on its socket.
 * `next` throws the signal's reason, `too-slow`, or the connection's error.
 * Only time spent waiting for the client counts against it.
 */
export const bodyReader = (body: Readable, patience: Patience, signal: AbortSignal): Chunks => {
  const impatience = new AbortController()
  const chunks = chunksOf(body, { signal: AbortSignal.any([signal, impatience.signal]) })
  let waiting = false
  let waitedMs = 0
  let windowBytes = 0

  const idle = setTimeout(() => {
    if (waiting) impatience.abort(new Problem('too-slow', `Nothing arrived for ${patience.idleSeconds} seconds.`))
  }, patience.idleSeconds * 1000)

  const wait = async <Come>(come: () => Promise<Come>): Promise<Come> => {
    const began = performance.now()
    waiting = true
    idle.refresh()
    try {
      return await come()
    } finally {
      waiting = false
      waitedMs += performance.now() - began
    }
  }

  const next = async (): Promise<Buffer | null> => {
    const chunk = await wait(chunks.next)
    windowBytes += chunk?.length ?? 0
    if (waitedMs < slowWindowMs) return chunk
    if (windowBytes < (patience.slowestBytes * waitedMs) / 1000) {
      throw new Problem('too-slow', `Less than ${patience.slowestBytes} bytes a second arrived over a minute.`)
    }
    waitedMs = 0
    windowBytes = 0
    return chunk
  }

  const close = (): void => {
    clearTimeout(idle)
    chunks.close()
  }
  return { next, ready: async () => await wait(chunks.ready), close }
}
