import { createHash } from 'node:crypto'
import { hex, sha256 } from '../base/digest.ts'
import type { Sha256 } from '../base/ids.ts'
import type { Bucket, Store, StoredPart } from '../engines/store.ts'
import type { Sink } from './zip.ts'

/** So many parts are on their way to the store while the next one fills: that, and one more, is all the memory it takes. */
const atOnce = 2

export type Storing = {
  /** Comes back as soon as the bytes are copied, which waits for room. Throws what storing an earlier part threw. */
  write: Sink
  /** Waits until everything is stored, and completes the object. Throws where the store then holds another size. */
  complete(): Promise<{ size: number; sha256: Sha256 }>
  /** Waits for what is on its way, and leaves nothing of it in the store. Never throws. */
  abandon(): Promise<void>
}

type Target = { store: Store; bucket: Bucket; key: string; mediaType: string; partSize: number; signal: AbortSignal }

/**
 * Stores bytes as one object while they are made: parts of `partSize` bytes, several side by side, each under the digest of
 * its own bytes, which the store checks.
 */
export const startStoring = async (target: Target): Promise<Storing> => {
  const { store, bucket, key, partSize } = target
  const multipart = await store.startMultipart(bucket, key, target.mediaType)
  const failed = new AbortController()
  const signal = AbortSignal.any([target.signal, failed.signal])
  const free: Buffer[] = []
  const parts: StoredPart[] = []
  const underWay = new Set<Promise<void>>()
  const hash = createHash('sha256')
  let failure: { error: unknown } | undefined
  let begun = 0
  let size = 0
  let filling: Buffer | undefined
  let filled = 0

  const send = async (buffer: Buffer, length: number, number: number): Promise<void> => {
    const body = buffer.subarray(0, length)
    const etag = await store.putPart(bucket, key, multipart, { number, body, sha256: sha256(body) }, signal)
    parts.push({ number, etag })
    free.push(buffer)
  }
  const passOn = async (): Promise<void> => {
    if (filling === undefined) return
    while (underWay.size >= atOnce) await Promise.race(underWay)
    if (failure !== undefined) throw failure.error
    begun += 1
    const sending = send(filling, filled, begun)
      .catch((error: unknown) => {
        failure ??= { error }
        failed.abort(error)
      })
      .finally(() => underWay.delete(sending))
    underWay.add(sending)
    filling = undefined
    filled = 0
  }

  return {
    write: async (bytes) => {
      hash.update(bytes)
      size += bytes.length
      for (let at = 0; at < bytes.length; ) {
        filling ??= free.pop() ?? Buffer.allocUnsafeSlow(partSize)
        const taken = bytes.copy(filling, filled, at)
        at += taken
        filled += taken
        if (filled === partSize) await passOn()
      }
      if (failure !== undefined) throw failure.error
    },
    complete: async () => {
      await passOn()
      await Promise.all(underWay)
      if (failure !== undefined) throw failure.error
      parts.sort((a, b) => a.number - b.number)
      await store.completeMultipart(bucket, key, multipart, parts)
      const held = await store.facts(bucket, key)
      if (held?.size !== size) throw new Error('the store does not hold the bundle as it was given to it')
      return { size, sha256: hex(hash.digest()) }
    },
    abandon: async () => {
      failed.abort(new Error('the bundle was given up'))
      await Promise.all(underWay)
      await store.abortMultipart(bucket, key, multipart).catch(() => undefined)
    },
  }
}

/** Aborts whatever earlier attempts began to store under a key and did not live to complete. */
export const clearAttempts = async (store: Store, bucket: Bucket, key: string): Promise<void> => {
  for (const multipart of await store.multiparts(bucket, key)) await store.abortMultipart(bucket, key, multipart)
}
