import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { hex } from '../base/digest.ts'
import type { RecordingId, Sha256 } from '../base/ids.ts'
import { brokenRead, type Store } from '../engines/store.ts'
import type { Part } from '../uploads/receive.ts'
import { originalKey } from '../uploads/upload.ts'

export type ReadBack = { size: number; sha256: Sha256 }

type Wanted = {
  recording: RecordingId
  version: string
  size: number
  /** A file to write the same bytes into, for probing. */
  copyTo?: string
  signal: AbortSignal
  progress(fraction: number): void
}

const batch = 1024 * 1024

/** Reads an original from its final place, by its version, hashing on the way. Null when it is not there. */
export const readBack = async (store: Store, wanted: Wanted): Promise<ReadBack | null> => {
  const { version, signal } = wanted
  const stream = await store.read('originals', originalKey(wanted.recording), { version, signal })
  if (stream === null) return null
  const hash = createHash('sha256')
  const copy = wanted.copyTo === undefined ? undefined : await open(wanted.copyTo, 'wx', 0o644)
  let size = 0
  let writing: Promise<unknown> = Promise.resolve()
  const pass = async (bytes: Buffer): Promise<void> => {
    await writing
    if (copy !== undefined) {
      writing = writeAll(copy, bytes)
      writing.catch(() => undefined)
    }
    hash.update(bytes)
    wanted.progress(wanted.size === 0 ? 1 : size / wanted.size)
  }
  try {
    let waiting: Buffer[] = []
    let waitingBytes = 0
    for await (const chunk of stream) {
      if (!Buffer.isBuffer(chunk)) throw new TypeError('the store sent something other than bytes')
      size += chunk.length
      waiting.push(chunk)
      waitingBytes += chunk.length
      if (waitingBytes < batch) continue
      await pass(Buffer.concat(waiting, waitingBytes))
      waiting = []
      waitingBytes = 0
    }
    await pass(Buffer.concat(waiting, waitingBytes))
    await writing
  } catch (error) {
    throw brokenRead(error)
  } finally {
    stream.destroy()
    await copy?.close()
  }
  return { size, sha256: hex(hash.digest()) }
}

const writeAll = async (file: FileHandle, bytes: Buffer): Promise<void> => {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten
}

/** Reads the original again and names the first part that is not as it was acknowledged; null when all are. */
export const damagedPart = async (
  store: Store,
  wanted: Omit<Wanted, 'copyTo' | 'progress'>,
  parts: Part[],
): Promise<number | null> => {
  let first = 0
  for (const part of parts) {
    const range = { first, last: first + part.size - 1 }
    const stream = await store.read('originals', originalKey(wanted.recording), {
      version: wanted.version,
      range,
      signal: wanted.signal,
    })
    if (stream === null) return part.number
    const hash = createHash('sha256')
    try {
      for await (const chunk of stream) hash.update(chunk)
    } catch (error) {
      throw brokenRead(error)
    }
    if (!hash.digest().equals(part.sha256)) return part.number
    first += part.size
  }
  return first === wanted.size ? null : parts.length
}
