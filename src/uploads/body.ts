import type { Readable } from 'node:stream'
import { Problem } from '../base/problem.ts'

/** How patient a request body is read: seconds of silence, and bytes a second over a minute. */
export type Patience = { idleSeconds: number; slowestBytes: number }

const slowWindowMs = 60_000

/**
 * Reads a body chunk by chunk without ever destroying it, so that the refusal can still be answered on its socket.
 * `next` answers null at the end; throws the signal's reason, `too-slow`, or the connection's error.
 * Only time spent waiting for the client counts against it.
 */
export const bodyReader = (body: Readable, patience: Patience, signal: AbortSignal) => {
  let waitedMs = 0
  let windowBytes = 0

  const wait = async (): Promise<void> => {
    const began = performance.now()
    await arrival(body, patience.idleSeconds * 1000, signal)
    waitedMs += performance.now() - began
    if (waitedMs < slowWindowMs) return
    if (windowBytes < (patience.slowestBytes * waitedMs) / 1000) {
      throw new Problem('too-slow', `Less than ${patience.slowestBytes} bytes a second arrived over a minute.`)
    }
    waitedMs = 0
    windowBytes = 0
  }

  const next = async (): Promise<Buffer | null> => {
    for (;;) {
      signal.throwIfAborted()
      const chunk: unknown = body.read()
      if (Buffer.isBuffer(chunk)) {
        windowBytes += chunk.length
        return chunk
      }
      if (body.errored) throw body.errored
      if (body.readableEnded) return null
      if (body.destroyed) throw new Error('the connection was closed')
      await wait()
    }
  }
  return { next }
}

const arrival = async (body: Readable, idleMs: number, signal: AbortSignal): Promise<void> => {
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: unknown) => {
      clearTimeout(idle)
      for (const event of ['readable', 'end', 'close', 'error']) body.off(event, arrived)
      signal.removeEventListener('abort', aborted)
      if (error === undefined) resolve()
      else reject(error)
    }
    const arrived = () => settle()
    const aborted = () => settle(signal.reason)
    const idle = setTimeout(
      () => settle(new Problem('too-slow', `Nothing arrived for ${idleMs / 1000} seconds.`)),
      idleMs,
    )
    for (const event of ['readable', 'end', 'close', 'error']) body.on(event, arrived)
    signal.addEventListener('abort', aborted, { once: true })
  })
}
