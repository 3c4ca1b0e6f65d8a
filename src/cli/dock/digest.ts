import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { hex } from '../../base/digest.ts'
import type { Sha256 } from '../../base/ids.ts'
import { Failure } from '../failure.ts'

const blockSize = 1024 * 1024

/** The bytes [start, end) of a file, in blocks that are new each time. Throws when the file is shorter. */
export async function* readRange(
  handle: FileHandle,
  start: number,
  end: number,
  block = blockSize,
): AsyncGenerator<Buffer> {
  for (let at = start; at < end; ) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(Math.min(block, end - at)), 0, null, at)
    if (bytesRead === 0) throw new Failure('The file became shorter while it was read.')
    yield buffer.subarray(0, bytesRead)
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
  for await (const block of readRange(handle, start, end)) {
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
