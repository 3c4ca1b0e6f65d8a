import type { FileHandle } from 'node:fs/promises'

/** What stands where a number does not fit into 32 bits, and the least that does not. */
export const most32 = 0xffffffff

/** Exactly the bytes [at, at + length) of a file, or as many of them as there are. */
export const bytesAt = async (handle: FileHandle, at: number, length: number): Promise<Buffer> => {
  if (at < 0) return Buffer.alloc(0)
  const memory = Buffer.alloc(length)
  let got = 0
  while (got < length) {
    const { bytesRead } = await handle.read(memory, got, length - got, at + got)
    if (bytesRead === 0) break
    got += bytesRead
  }
  return memory.subarray(0, got)
}

/** The same, for many small pieces one after the other: they are cut out of larger reads. */
export const piecewise = (handle: FileHandle): ((at: number, length: number) => Promise<Buffer>) => {
  let start = 0
  let held: Buffer = Buffer.alloc(0)
  return async (at, length) => {
    if (at < start || at + length > start + held.length) {
      start = at
      held = await bytesAt(handle, at, Math.max(length, 128 * 1024))
    }
    return Buffer.from(held.subarray(at - start, at - start + length))
  }
}

/** Where a ZIP's directory stands in its file, in bytes from the file's start. */
export type Frame = {
  /** What to add to every offset in the ZIP: bytes put before it, or, below zero, cut off there. */
  shift: number
  directory: number
  /** The end of the directory itself: what closes the ZIP begins here. */
  directoryEnd: number
  /** The end of the last record, without its comment. */
  end: number
}

const endLength = 22
const locatorLength = 20
const end64Length = 56
const tail = 1024 * 1024

const u64 = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at))

type Stated = { offset: number; size: number; directoryEnd: number }

/** What the record at `at` of `bytes` states; `start` is where `bytes` begins in the file. */
const statedAt = async (handle: FileHandle, bytes: Buffer, at: number, start: number): Promise<Stated> => {
  const offset = bytes.readUInt32LE(at + 16)
  const size = bytes.readUInt32LE(at + 12)
  const locator = at - locatorLength
  if (locator < 0 || bytes.readUInt32LE(locator) !== 0x07064b50) return { offset, size, directoryEnd: start + at }
  // Ours is always just before its locator; what the locator says may be off by what was put before the ZIP.
  const at64 = start + locator - end64Length
  const end64 = at64 < 0 ? Buffer.alloc(0) : await bytesAt(handle, at64, end64Length)
  if (end64.length < end64Length || end64.readUInt32LE(0) !== 0x06064b50) {
    return { offset, size, directoryEnd: start + at }
  }
  return { offset: u64(end64, 48), size: u64(end64, 40), directoryEnd: at64 }
}

/** Finds the end of a ZIP, also behind bytes that were put after it; null where there is none in the last MiB. */
export const frameOf = async (handle: FileHandle, size: number): Promise<Frame | null> => {
  const start = Math.max(0, size - tail)
  const bytes = await bytesAt(handle, start, size - start)
  for (let at = bytes.length - endLength; at >= 0; at--) {
    at = bytes.lastIndexOf('PK\u0005\u0006', at, 'latin1')
    if (at < 0) return null
    if (at + endLength > bytes.length) continue
    const stated = await statedAt(handle, bytes, at, start)
    const directory = stated.directoryEnd - stated.size
    if (directory < 0) continue
    const first = await bytesAt(handle, directory, 4)
    if (stated.size > 0 && first.toString('latin1') !== 'PK\u0001\u0002') continue
    return {
      shift: directory - stated.offset,
      directory,
      directoryEnd: stated.directoryEnd,
      end: start + at + endLength,
    }
  }
  return null
}
