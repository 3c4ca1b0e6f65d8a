import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { hex } from '../base/digest.ts'
import type { RecordingId, Sha256 } from '../base/ids.ts'
import { chunksOf } from '../engines/chunks.ts'
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

const block = 1024 * 1024

/** Reads an original from its final place, by its version, hashing on the way. Null when it is not there. */
export const readBack = async (store: Store, wanted: Wanted): Promise<ReadBack | null> => {
  const { version, signal } = wanted
  const stream = await store.read('originals', originalKey(wanted.recording), { version, signal })
  if (stream === null) return null
  const chunks = chunksOf(stream, signal)
  const hash = createHash('sha256')
  const copy = wanted.copyTo === undefined ? undefined : await open(wanted.copyTo, 'wx', 0o644)
  let size = 0
  let told = 0
  try {
    const writer = copy === undefined ? undefined : blockWriter(copy)
    for (let chunk = await chunks.next(); chunk !== null; chunk = await chunks.next()) {
      hash.update(chunk)
      await writer?.write(chunk)
      size += chunk.length
      if (size - told < block) continue
      told = size
      wanted.progress(size / Math.max(size, wanted.size))
    }
    await writer?.end()
  } catch (error) {
    throw brokenRead(error)
  } finally {
    chunks.close()
    stream.destroy()
    await copy?.close()
  }
  wanted.progress(1)
  return { size, sha256: hex(hash.digest()) }
}

/** Gathers bytes into blocks and writes one while the next fills. */
const blockWriter = (file: FileHandle) => {
  let filling = Buffer.allocUnsafeSlow(block)
  let atWork = Buffer.allocUnsafeSlow(block)
  let filled = 0
  let writing: Promise<void> = Promise.resolve()

  const passOn = async (): Promise<void> => {
    await writing
    const full = filling.subarray(0, filled)
    filling = atWork
    atWork = full
    filled = 0
    writing = writeAll(file, full)
    writing.catch(() => undefined)
  }
  return {
    write: async (chunk: Buffer): Promise<void> => {
      for (let at = 0; at < chunk.length; ) {
        const taken = chunk.copy(filling, filled, at)
        at += taken
        filled += taken
        if (filled === block) await passOn()
      }
    },
    end: async (): Promise<void> => {
      await passOn()
      await writing
    },
  }
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
    const chunks = chunksOf(stream, wanted.signal)
    try {
      for (let chunk = await chunks.next(); chunk !== null; chunk = await chunks.next()) hash.update(chunk)
    } catch (error) {
      throw brokenRead(error)
    } finally {
      stream.destroy()
    }
    if (!hash.digest().equals(part.sha256)) return part.number
    first += part.size
  }
  return first === wanted.size ? null : parts.length
}
