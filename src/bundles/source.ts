import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { hex } from '../base/digest.ts'
import { Problem } from '../base/problem.ts'
import { chunksOf } from '../engines/chunks.ts'
import type { Engines } from '../engines/engines.ts'
import type { StoredObject } from './plan.ts'
import type { Sink } from './zip.ts'

type Reached = Pick<Engines, 'log' | 'store'>

/** What the store holds under a key is not what the catalogue says: `found` is its digest, null where nothing is there. */
export class Altered extends Error {
  readonly object: StoredObject
  readonly found: string | null
  constructor(object: StoredObject, found: string | null) {
    super('the store does not hold this object as the catalogue says')
    this.name = 'Altered'
    this.object = object
    this.found = found
  }
}

/** Failures in a row, without a byte between them, after which a read is given up until the store is well again. */
const mostFailures = 4
const pauseMs = 250

/** The store has fewer bytes under the key than there should be. */
const isBeyondEnd = (error: unknown): boolean => error instanceof Error && error.name === 'InvalidRange'

/** One read from `at` on, to the end: what is longer than it should be is found to be. Throws Altered where nothing is there. */
const readFrom = async (
  { store }: Reached,
  { object, at, signal }: { object: StoredObject; at: number; signal: AbortSignal },
  take: Sink,
): Promise<void> => {
  const { bucket, key, version, size } = object
  const range = at === 0 ? {} : { range: { first: at, last: size - 1 } }
  const stream = await store.read(bucket, key, { ...range, ...(version === undefined ? {} : { version }), signal })
  if (stream === null) throw new Altered(object, null)
  const chunks = chunksOf(stream, { signal })
  try {
    for (let chunk = await chunks.next(); chunk !== null; chunk = await chunks.next()) await take(chunk)
  } finally {
    chunks.close()
    stream.destroy()
  }
}

/**
 * Gives an object's bytes to the sink, which is awaited: nothing is read ahead of it. A read that the store breaks off is
 * taken up where it stopped. Throws Altered where the bytes are not those of the catalogue's digest, and
 * `store-unavailable`.
 */
export const pour = async (reached: Reached, object: StoredObject, sink: Sink, signal: AbortSignal): Promise<void> => {
  const hash = createHash('sha256')
  let at = 0
  let failures = 0
  let sunk: { error: unknown } | undefined
  const take = async (chunk: Buffer): Promise<void> => {
    at += chunk.length
    if (at > object.size) throw new Altered(object, null)
    hash.update(chunk)
    await sink(chunk).catch((error: unknown) => {
      sunk = { error }
      throw error
    })
  }
  for (let whole = false; !whole; ) {
    const begun = at
    try {
      await readFrom(reached, { object, at, signal }, take)
      if (at < object.size) throw new Error('the store ended a read early')
      whole = true
    } catch (error) {
      signal.throwIfAborted()
      if (sunk !== undefined) throw sunk.error
      if (error instanceof Altered || error instanceof Problem) throw error
      if (isBeyondEnd(error)) throw new Altered(object, null)
      failures = at > begun ? 1 : failures + 1
      if (failures === mostFailures) throw new Problem('store-unavailable', undefined, { retryAfter: 10, cause: error })
      reached.log.info({ key: object.key, at, failures, err: error }, 'a read for a bundle is taken up again')
      await pause(pauseMs * failures, undefined, { signal })
    }
  }
  const found = hex(hash.digest())
  if (found !== object.sha256) throw new Altered(object, found)
}

/** Whether the store really holds other bytes, and they were not merely damaged on their way here. */
export const isAltered = async (reached: Reached, object: StoredObject, signal: AbortSignal): Promise<boolean> => {
  try {
    await pour(reached, object, async () => undefined, signal)
    return false
  } catch (error) {
    if (error instanceof Altered) return true
    throw error
  }
}
