import { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'

export type Chunks = {
  /**
   * The next bytes, good until `next` is called again; null at the end. Throws the stream's error, the signal's reason, or
   * that the connection was closed before the end.
   */
  next(): Promise<Buffer | null>
  /** Waits until `next` has something to give, and leaves it where it is; false at the end. Throws as `next` does. */
  ready(): Promise<boolean>
  /** Lets go of the stream, wherever it stands, without destroying it. */
  close(): void
}

/**
 * Gives memory back at once that nobody else holds. Left to the garbage collector, the chunks of a fast connection make it
 * mark the whole heap every 64 MiB, which costs more than hashing them.
 */
export const release = ({ buffer, byteLength }: Buffer): void => {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}

const endings = ['end', 'close', 'error']

/** `owned`: nobody else keeps what the stream gives; of what comes by HTTP that is known. */
type Reading = { signal?: AbortSignal; owned?: boolean }

/** Reads a stream of bytes at the reader's own pace, chunk by chunk as they come. */
export const chunksOf = (
  stream: Readable,
  { signal, owned = stream instanceof IncomingMessage }: Reading = {},
): Chunks => {
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
  for (const ending of endings) stream.on(ending, wake)
  let aborted = signal?.aborted === true
  const abort = (): void => {
    aborted = true
    wake()
  }
  signal?.addEventListener('abort', abort, { once: true })

  const letGo = (): void => {
    if (lent !== undefined && owned) release(lent)
    lent = undefined
  }
  /** Whether the stream is over; throws when it, or the reader, was ended before. */
  const over = (): boolean => {
    if (aborted) throw signal?.reason
    if (come.length > 0) return false
    if (stream.errored) throw stream.errored
    if (stream.readableEnded) return true
    if (stream.destroyed) throw new Error('the connection was closed')
    return false
  }
  const woken = async (start: () => void): Promise<void> =>
    await new Promise<void>((resolve) => {
      waiting = resolve
      start()
    })
  const flow = (): void => {
    if (!stream.listeners('data').includes(arrived)) stream.on('data', arrived)
    stream.resume()
  }
  const look = (): void => {
    stream.once('readable', wake)
    // At the end this makes the stream say so.
    stream.read(0)
  }

  return {
    next: async () => {
      letGo()
      for (;;) {
        if (over()) return null
        lent = come.shift()
        if (lent !== undefined) return lent
        await woken(flow)
      }
    },
    ready: async () => {
      letGo()
      for (;;) {
        if (over()) return false
        if (come.length > 0 || stream.readableLength > 0) return true
        await woken(look)
        stream.off('readable', wake)
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
