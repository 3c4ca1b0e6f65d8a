import type { FileHandle } from 'node:fs/promises'
import { fromRandomAccessReaderPromise, RandomAccessReader } from 'yauzl'
import { mostFiles } from './source.ts'
import { strayIn, wideOf } from './zip-extra.ts'
import { type Frame, piecewise } from './zip-frame.ts'

/** A file as a ZIP's directory names it. `header` is where its local header begins in the file. */
export type Listed = {
  name: Buffer
  header: number
  size: number
  packed: number
  method: number
  flags: number
  crc: number
  /** Bytes of its comment, and of extra fields that tell nothing a packer has to tell. */
  stray: number
  /** The kind of file in unix's mode bits; 0 where none is given. */
  kind: number
}

/** The ZIP inside of the file, without what was put before and after it. */
class Window extends RandomAccessReader {
  readonly #bytesAt: ReturnType<typeof piecewise>
  readonly #shift: number

  constructor(handle: FileHandle, shift: number) {
    super()
    this.#bytesAt = piecewise(handle)
    this.#shift = shift
  }

  override read(to: Buffer, offset: number, length: number, position: number, done: (error: Error | null) => void) {
    this.#bytesAt(position + this.#shift, length).then(
      (bytes) => done(bytes.copy(to, offset) < length ? new Error('the directory ends too early') : null),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    )
  }
}

/** `length` is how many bytes the entries that were read take in the directory. */
export type Directory = { listed: Listed[]; length: number; broken: string | null; tooMany: boolean }

/** Reads the directory to its end, or to where it cannot be read further: `broken` says why. */
export const directoryOf = async (handle: FileHandle, { shift, end }: Frame): Promise<Directory> => {
  const listed: Listed[] = []
  let length = 0
  const until = (broken: string | null, tooMany = false): Directory => ({ listed, length, broken, tooMany })
  try {
    const zip = await fromRandomAccessReaderPromise(new Window(handle, shift), end - shift, {
      autoClose: false,
      decodeStrings: false,
      validateEntrySizes: false,
    })
    for await (const entry of zip.eachEntry()) {
      if (listed.length >= mostFiles) return until(null, true)
      length += 46 + entry.fileNameLength + entry.extraFieldLength + entry.fileCommentLength
      const wide = wideOf(entry.uncompressedSize, entry.compressedSize, entry.relativeOffsetOfLocalHeader)
      listed.push({
        name: Buffer.from(entry.fileNameRaw),
        header: entry.relativeOffsetOfLocalHeader + shift,
        size: entry.uncompressedSize,
        packed: entry.compressedSize,
        method: entry.compressionMethod,
        flags: entry.generalPurposeBitFlag,
        crc: entry.crc32,
        stray: entry.fileCommentLength + strayIn(entry.extraFieldRaw, wide),
        kind: (entry.externalFileAttributes >>> 16) & 0xf000,
      })
    }
    return until(null)
  } catch (error) {
    return until(error instanceof Error ? error.message : String(error))
  }
}
