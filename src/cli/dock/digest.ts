import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { hex } from '../../base/digest.ts'
import type { Sha256 } from '../../base/ids.ts'
import { Failure } from '../failure.ts'

const blockSize = 1024 * 1024

/**
 * The bytes [start, end) of a file, block by block. Every block is in the same memory: it is overwritten when the next one
 * is asked for. Throws when the file is shorter.
 */
export async function* readRange(
  handle: FileHandle,
  start: number,
  end: number,
  blockSize: number,
): AsyncGenerator<Buffer> {
  const memory = Buffer.allocUnsafeSlow(Math.min(blockSize, end - start))
  for (let at = start; at < end; ) {
    const { bytesRead } = await handle.read(memory, 0, Math.min(memory.length, end - at), at)
    if (bytesRead === 0) throw new Failure('The file became shorter while it was read.')
    yield memory.subarray(0, bytesRead)
    at += bytesRead
  }
}

/** SHA-256 of the bytes [start, end) of a file. */
export const digestOf = async (
  handle: FileHandle,
  start: number,
  end: number,
  { signal, onBytes }: { signal?: AbortSignal; onBytes?: (done: number) => void } = {},
): Promise<Buffer> => {
  const hash = createHash('sha256')
  let done = 0
  for await (const block of readRange(handle, start, end, blockSize)) {
    signal?.throwIfAborted()
    hash.update(block)
    done += block.length
    onBytes?.(done)
  }
  return hash.digest()
}

export const sha256OfFile = async (path: string): Promise<Sha256> => {
  await using handle = await open(path)
  const { size } = await handle.stat()
  return hex(await digestOf(handle, 0, size))
}
