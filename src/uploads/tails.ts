import { sha256 } from '../base/digest.ts'
import type { Store } from '../engines/store.ts'
import { brokenRead } from '../engines/store-refusals.ts'

/** A piece of an upload that waits in staging until it makes a part. */
export type Tail = { start: number; size: number; sha256: Buffer; key: string }

/** Reads pieces that follow each other into `target`, and checks each against the digest it was kept under. */
export const readTails = async (store: Store, tails: Tail[], target: Buffer, signal?: AbortSignal): Promise<number> => {
  let at = 0
  for (const tail of tails) {
    const stream = await store.read('staging', tail.key, signal === undefined ? {} : { signal })
    if (stream === null) throw new Error('a piece of an upload is missing in staging')
    const begin = at
    try {
      for await (const chunk of stream) {
        if (!Buffer.isBuffer(chunk) || at + chunk.length > begin + tail.size)
          throw new Error('a piece in staging has another size')
        chunk.copy(target, at)
        at += chunk.length
      }
    } catch (error) {
      throw brokenRead(error)
    }
    if (!sha256(target.subarray(begin, at)).equals(tail.sha256))
      throw new Error('a piece in staging has another digest')
  }
  return at
}
