import { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { Problem } from '../base/problem.ts'

/** How patient a request body is read: seconds of silence, and bytes a second over a minute. */
export type Patience = { idleSeconds: number; slowestBytes: number }

const slowWindowMs = 60_000

/**
 * Gives a chunk's memory back at once. Left to the garbage collector, a connection's chunks make it mark the whole heap
 * for every 64 MiB that came in. Only the bytes of an HTTP body are known to be nobody else's.
 */
const release = (body: Readable, { buffer, byteLength }: Buffer): void => {
  if (body instanceof IncomingMessage && buffer instanceof ArrayBuffer && buffer.byteLength === byteLength)
    buffer.transfer(0)
}

/**
 * Reads a body chunk by chunk without ever destroying it, so that the refusal can still be answered on its socket.
 * `next` answers null at the end, and a chunk that is good until `next` is called again; it throws the signal's reason,
 * `too-slow`, or the connection's error. `close` is called when no more is wanted.
 * Only time spent waiting for the client counts against it.
 */
export const bodyReader = (body: Readable, patience: Patience, signal: AbortSignal) => {
  const come: Buffer[] = []
  let lent: Buffer | undefined
  let waiting: { resolve(): void; reject(error: unknown): void } | undefined
  let { aborted } = signal
  let waitedMs = 0
  let windowBytes = 0

  const wake = (): void => {
    waiting?.resolve()
    waiting = undefined
  }
  const fail = (error: unknown): void => {
    waiting?.reject(error)
    waiting = undefined
  }
  const arrived = (chunk: Buffer): void => {
    come.push(chunk)
    windowBytes += chunk.length
    if (waiting === undefined) body.pause()
    wake()
  }
  const abort = (): void => {
    aborted = true
    fail(signal.reason)
  }
  const idle = setTimeout(
    () => fail(new Problem('too-slow', `Nothing arrived for ${patience.idleSeconds} seconds.`)),
    patience.idleSeconds * 1000,
  )
  const ends = ['end', 'close', 'error']
  for (const event of ends) body.on(event, wake)
  body.on('data', arrived)
  signal.addEventListener('abort', abort, { once: true })

  const wait = async (): Promise<void> => {
    const began = performance.now()
    await new Promise<void>((resolve, reject) => {
      waiting = { resolve, reject }
      idle.refresh()
      if (body.isPaused()) body.resume()
    })
    waitedMs += performance.now() - began
    if (waitedMs < slowWindowMs) return
    if (windowBytes < (patience.slowestBytes * waitedMs) / 1000) {
      throw new Problem('too-slow', `Less than ${patience.slowestBytes} bytes a second arrived over a minute.`)
    }
    waitedMs = 0
    windowBytes = 0
  }

  const next = async (): Promise<Buffer | null> => {
    if (lent !== undefined) release(body, lent)
    for (;;) {
      if (aborted) throw signal.reason
      lent = come.shift()
      if (lent !== undefined) return lent
      if (body.errored) throw body.errored
      if (body.readableEnded) return null
      if (body.destroyed) throw new Error('the connection was closed')
      await wait()
    }
  }

  const close = (): void => {
    clearTimeout(idle)
    for (const event of ends) body.off(event, wake)
    body.off('data', arrived)
    body.pause()
    signal.removeEventListener('abort', abort)
  }
  return { next, close }
}
