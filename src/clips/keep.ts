import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { hex, sha256 } from '../base/digest.ts'
import type { ClipId, RecordingId, Sha256 } from '../base/ids.ts'
import { chunksOf } from '../engines/chunks.ts'
import type { Engines } from '../engines/engines.ts'
import type { Store, StoredPart } from '../engines/store.ts'
import { brokenRead } from '../engines/store-refusals.ts'
import { clipKey, clipPrefix } from './clip.ts'

export type Kept = { sha256: Sha256; size: number }

const partSize = 32 * 1024 * 1024

const readBack = async (store: Store, key: string, signal: AbortSignal): Promise<Kept | null> => {
  const stream = await store.read('derived', key, { signal })
  if (stream === null) return null
  const chunks = chunksOf(stream, { signal })
  const hash = createHash('sha256')
  let size = 0
  try {
    for (let chunk = await chunks.next(); chunk !== null; chunk = await chunks.next()) {
      hash.update(chunk)
      size += chunk.length
    }
  } catch (error) {
    throw brokenRead(error)
  } finally {
    chunks.close()
    stream.destroy()
  }
  return { sha256: hex(hash.digest()), size }
}

/** Stores a file under a key that nobody else writes to, and reads it back: what is answered is what the store holds. */
export const keepFile = async ({ store }: Engines, path: string, key: string, signal: AbortSignal): Promise<Kept> => {
  await using file = await open(path)
  const { size } = await file.stat()
  const hash = createHash('sha256')
  const read = async (at: number): Promise<Buffer> => {
    const wanted = Math.min(partSize, size - at)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(wanted), 0, wanted, at)
    if (bytesRead !== wanted) throw new Error('a finished clip is shorter than it was')
    hash.update(buffer)
    return buffer
  }
  if (size <= partSize) {
    const bytes = await read(0)
    await store.put('derived', key, bytes, sha256(bytes), signal)
  } else {
    const multipart = await store.startMultipart('derived', key, 'video/mp4')
    try {
      const parts: StoredPart[] = []
      for (let at = 0; at < size; at += partSize) {
        const body = await read(at)
        const number = parts.length + 1
        const etag = await store.putPart('derived', key, multipart, { number, body, sha256: sha256(body) }, signal)
        parts.push({ number, etag })
      }
      await store.completeMultipart('derived', key, multipart, parts)
    } catch (error) {
      await store.abortMultipart('derived', key, multipart).catch(() => undefined)
      throw error
    }
  }
  const digest = hex(hash.digest())
  const held = await readBack(store, key, signal)
  if (held?.sha256 !== digest) {
    await store.delete('derived', key)
    throw new Error('the store does not hold the clip as it was given to it')
  }
  return held
}

/** Deletes whatever attempts before this one stored, wholly or in part, and did not live to publish. */
export const clearAttempts = async (
  { store }: Engines,
  recording: RecordingId,
  clip: ClipId,
  attempt: number,
): Promise<void> => {
  for (const key of await store.list('derived', clipPrefix(recording, clip))) await store.delete('derived', key)
  for (let before = 1; before < attempt; before++) {
    const key = clipKey(recording, clip, before)
    for (const multipart of await store.multiparts('derived', key))
      await store.abortMultipart('derived', key, multipart)
  }
}
