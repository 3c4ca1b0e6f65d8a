import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { hex } from '../base/digest.ts'
import type { RecordingId, Sha256 } from '../base/ids.ts'
import { chunksOf } from '../engines/chunks.ts'
import type { Store } from '../engines/store.ts'
import { brokenRead } from '../engines/store-refusals.ts'
import type { Part } from '../uploads/receive.ts'
import { originalKey } from '../uploads/upload.ts'

/** `partsIntact` is true where no parts were given. */
export type ReadBack = { size: number; sha256: Sha256; partsIntact: boolean }

type Wanted = {
  recording: RecordingId
  version: string
  size: number
  /** A file to write the same bytes into, for probing. */
  copyTo?: string
  /** Digested one by one too, where the digest of the whole is not known or not the expected one. */
  parts?: Part[]
  signal: AbortSignal
  progress(fraction: number): void
}

const block = 1024 * 1024

/** Reads an original from its final place, by its version, hashing on the way. Null when it is not there. */
export const readBack = async (store: Store, wanted: Wanted): Promise<ReadBack | null> => {
  const { version, signal } = wanted
  const stream = await store.read('originals', originalKey(wanted.recording), { version, signal })
  if (stream === null) return null
  const chunks = chunksOf(stream, { signal })
  const hash = createHash('sha256')
  const checker = wanted.parts === undefined ? undefined : partChecker(wanted.parts)
  const copy = wanted.copyTo === undefined ? undefined : await open(wanted.copyTo, 'wx', 0o644)
  let size = 0
  let told = 0
  try {
    const writer = copy === undefined ? undefined : blockWriter(copy)
    for (let chunk = await chunks.next(); chunk !== null; chunk = await chunks.next()) {
      hash.update(chunk)
      checker?.update(chunk)
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
  return { size, sha256: hex(hash.digest()), partsIntact: checker?.intact() ?? true }
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

/** Digests part after part. `intact` says whether all bytes lay in parts that are as they were acknowledged. */
const partChecker = (parts: Part[]) => {
  let index = 0
  let at = 0
  let hash = createHash('sha256')
  let intact = true
  return {
    update: (chunk: Buffer): void => {
      for (let taken = 0; taken < chunk.length && intact; ) {
        const part = parts[index]
        if (part === undefined) {
          intact = false
          return
        }
        const more = Math.min(part.size - at, chunk.length - taken)
        hash.update(chunk.subarray(taken, taken + more))
        taken += more
        at += more
        if (at < part.size) continue
        intact = hash.digest().equals(part.sha256)
        hash = createHash('sha256')
        index += 1
        at = 0
      }
    },
    intact: (): boolean => intact && index === parts.length,
  }
}
