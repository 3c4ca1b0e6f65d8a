import { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'

export type Chunks = {
  /**
   * The next bytes, good until `next` is called again; null at the end. Throws the stream's error, the signal's reason, or
   * that the connection was closed before the end.
   */
  next(): Promise<Buffer | null>
  /** Lets go of the stream, wherever it stands, without destroying it. */
  close(): void
}

/**
 * Gives a chunk's memory back at once. Left to the garbage collector, the chunks of a fast connection make it mark the
 * whole heap every 64 MiB, which costs more than hashing them. Only what came by HTTP is known to be nobody else's.
 */
const release = (stream: Readable, { buffer, byteLength }: Buffer): void => {
  if (stream instanceof IncomingMessage && buffer instanceof ArrayBuffer && buffer.byteLength === byteLength)
    buffer.transfer(0)
}

const endings = ['end', 'close', 'error']

/** Reads a stream of bytes at the reader's own pace, chunk by chunk as they come. */
export const chunksOf = (stream: Readable, signal?: AbortSignal): Chunks => {
  const come: Buffer[] = []
  let lent: Buffer | undefined
  let waiting: (() => void) | undefined

  const wake = (): void => {
    waiting?.()
    waiting = undefined
  }
  const arrived = (chunk: Buffer): void => {
    come.push(chunk)
    if (waiting === undefined) stream.pause()
    wake()
  }
  let aborted = signal?.aborted === true
  const abort = (): void => {
    aborted = true
    wake()
  }
  for (const ending of endings) stream.on(ending, wake)
  stream.on('data', arrived)
  signal?.addEventListener('abort', abort, { once: true })

  return {
    next: async () => {
      if (lent !== undefined) release(stream, lent)
      for (;;) {
        if (aborted) throw signal?.reason
        lent = come.shift()
        if (lent !== undefined) return lent
        if (stream.errored) throw stream.errored
        if (stream.readableEnded) return null
        if (stream.destroyed) throw new Error('the connection was closed')
        await new Promise<void>((resolve) => {
          waiting = resolve
          if (stream.isPaused()) stream.resume()
        })
      }
    },
    close: () => {
      for (const ending of endings) stream.off(ending, wake)
      stream.off('data', arrived)
      stream.pause()
      signal?.removeEventListener('abort', abort)
    },
  }
}
