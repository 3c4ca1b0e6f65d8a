import type { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { Problem } from '../base/problem.ts'
import { begun } from '../engines/begun.ts'
import type { Engines } from '../engines/engines.ts'
import type { Served } from './download.ts'
import type { Range } from './range.ts'

type Reached = Pick<Engines, 'log' | 'store'>

/** Failures in a row, without a byte between them, after which a download breaks. */
const mostFailures = 4
const pauseMs = 250

/**
 * Bytes of exactly the version that is wanted. A read that the store breaks off, or that stood still for so long behind
 * a slow client that it timed out, is taken up where it stopped. Throws rather than end early.
 */
async function* bytesOf(reached: Reached, served: Served, range: Range, signal: AbortSignal) {
  const { of, bucket, key, version } = served
  const { last } = range
  let at = range.first
  let failures = 0
  while (at <= last) {
    const begun = at
    try {
      const wanted = { ...(version === undefined ? {} : { version }), range: { first: at, last }, signal }
      const source = await reached.store.read(bucket, key, wanted)
      if (source === null) throw new MissingFile(`the store lacks the file of the ${of.type} ${of.id}`)
      for await (const chunk of source) {
        if (!Buffer.isBuffer(chunk) || at + chunk.length > last + 1)
          throw new Error('the store gave more than was asked')
        at += chunk.length
        yield chunk
      }
      if (at <= last) throw new Error('the store ended a read early')
    } catch (error) {
      failures = at > begun ? 1 : failures + 1
      const hopeless = error instanceof MissingFile || (error instanceof Problem && at === range.first)
      // Without a cause it is not logged: nobody is left to be told.
      if (signal.aborted) throw new Problem('store-unavailable')
      if (hopeless || failures === mostFailures) throw unavailable(error)
      reached.log.info({ [of.type]: of.id, at, failures, err: error }, 'a read for a download is taken up again')
      await pause(pauseMs * failures, undefined, { signal })
    }
  }
}

class MissingFile extends Error {}

const unavailable = (error: unknown): unknown =>
  error instanceof Problem || error instanceof MissingFile
    ? error
    : new Problem('store-unavailable', undefined, { retryAfter: 10, cause: error })

/**
 * A stream of the range, its first bytes already here: what keeps them from coming is thrown, as `store-unavailable`,
 * while an answer can still say so. Later the stream breaks. Closing it, or the signal, ends the read.
 */
export const openFile = async (
  reached: Reached,
  served: Served,
  range: Range,
  signal: AbortSignal,
): Promise<Readable> => {
  const closed = new AbortController()
  const bytes = bytesOf(reached, served, range, AbortSignal.any([signal, closed.signal]))
  return await begun(bytes, closed)
}
