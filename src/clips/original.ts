import { type FileHandle, open } from 'node:fs/promises'
import { boxesIn, type ReadAt, TooMuch } from '../custody/examination/boxes.ts'
import { headLength, sniff } from '../custody/examination/container.ts'
import { readBack } from '../custody/read-back.ts'
import { copyName } from '../custody/take.ts'
import { chunksOf } from '../engines/chunks.ts'
import type { Engines } from '../engines/engines.ts'
import { type ScratchFolder, ScratchFull } from '../engines/scratch.ts'
import { brokenRead } from '../engines/store-refusals.ts'
import type { RecordingRow } from '../engines/tables.ts'
import type { Run } from '../jobs/catalogue.ts'
import { originalKey } from '../uploads/upload.ts'
import { type Movie, movieOf, NoIndex } from './movie.ts'

/** An original that is read in place; bytes are counted as they come. */
export type Original = {
  recording: RecordingRow
  version: string
  demuxer: string
  /** Bytes `first` to `end` exclusive. */
  read(first: number, end: number): Promise<Buffer>
  /** Writes those bytes into a file, from `at` on. */
  copy(first: number, end: number, file: FileHandle, at: number): Promise<void>
  bytesRead(): number
}

const largestIndex = 256 * 1024 * 1024
const mostBoxes = 200
const tampered =
  'The original no longer is what was taken into custody: its custody has to be looked into before a clip is cut.'

/**
 * Opens the original by its version. Whether the store holds it at its size is asked first; more than that can only be told
 * by reading all of it. Throws where it cannot be what was taken into custody.
 */
export const openOriginal = async (
  { store }: Engines,
  recording: RecordingRow,
  { signal }: Pick<Run, 'signal'>,
): Promise<Original> => {
  const { id, size, objectVersion: version } = recording
  const key = originalKey(id)
  const facts = await store.facts('originals', key)
  if (version === null || facts?.size !== size || facts.version !== version) throw new Error(tampered)
  let bytesRead = 0
  const each = async (first: number, end: number, take: (bytes: Buffer) => Promise<void> | void): Promise<void> => {
    if (end <= first) return
    const stream = await store.read('originals', key, { version, range: { first, last: end - 1 }, signal })
    if (stream === null) throw new Error(tampered)
    const chunks = chunksOf(stream, { signal })
    let came = 0
    try {
      for (let chunk = await chunks.next(); chunk !== null; chunk = await chunks.next()) {
        came += chunk.length
        await take(chunk)
      }
    } catch (error) {
      throw brokenRead(error)
    } finally {
      chunks.close()
      stream.destroy()
    }
    bytesRead += came
    if (came !== end - first) throw new Error(tampered)
  }
  const original = {
    recording,
    version,
    read: async (first: number, end: number) => {
      const parts: Buffer[] = []
      await each(first, Math.min(end, size), (chunk) => void parts.push(Buffer.from(chunk)))
      return Buffer.concat(parts)
    },
    copy: async (first: number, end: number, file: FileHandle, at: number) => {
      let to = at
      await each(first, end, async (chunk) => {
        for (let done = 0; done < chunk.length; ) {
          const { bytesWritten } = await file.write(chunk, done, chunk.length - done, to)
          done += bytesWritten
          to += bytesWritten
        }
      })
    },
    bytesRead: () => bytesRead,
  }
  const container = sniff(await original.read(0, headLength))
  if (container === null) throw new Error('what was examined is no container any more')
  return { ...original, demuxer: container.demuxer }
}

/** The index of an MP4 or QuickTime file, wherever in the file it stands. Throws NoIndex where there is none that is plain. */
export const indexOf = async (read: Original['read'], size: number): Promise<Movie> => {
  const readAt: ReadAt = async (offset, length) => await read(offset, offset + length)
  try {
    for await (const { type, start, end, cut } of boxesIn(readAt, 0, size, { boxes: mostBoxes, rows: 0 })) {
      if (type === 'moof') throw new NoIndex('it is in fragments')
      if (type !== 'moov') continue
      if (cut || end - start > largestIndex) throw new NoIndex('its index is cut short or too large')
      return movieOf(await read(start, end))
    }
  } catch (error) {
    if (error instanceof TooMuch) throw new NoIndex('it has too many parts', { cause: error })
    throw error
  }
  throw new NoIndex('it has no index')
}

/** Brings all of it into the folder, digested on the way. Answers the copy's path. */
export const wholeOf = async (
  { store }: Engines,
  { recording, version }: Original,
  folder: ScratchFolder,
  { signal, progress }: Pick<Run, 'signal' | 'progress'>,
): Promise<string> => {
  const path = folder.path(copyName)
  const { id, size, sha256 } = recording
  if (!(await folder.hasRoomFor(size))) throw new ScratchFull()
  const told = (fraction: number) => progress(fraction * 0.3)
  const read = await readBack(store, { recording: id, version, size, copyTo: path, signal, progress: told })
  if (read?.sha256 !== sha256) throw new Error(tampered)
  return path
}

/** The same original, read from its copy. */
export const atHand = (original: Original, file: FileHandle): Original => {
  const read = async (first: number, end: number) => {
    const wanted = Math.max(0, Math.min(end, original.recording.size) - first)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(wanted), 0, wanted, first)
    return buffer.subarray(0, bytesRead)
  }
  return {
    ...original,
    read,
    copy: async (first, end, to, at) => {
      for (let done = first; done < end; ) {
        const bytes = await read(done, Math.min(end, done + 1024 * 1024))
        if (bytes.length === 0) throw new Error(tampered)
        await to.write(bytes, 0, bytes.length, at + done - first)
        done += bytes.length
      }
    },
    bytesRead: () => original.recording.size,
  }
}

/** The index of a file that ffmpeg wrote for us. */
export const indexOfFile = async (path: string): Promise<Movie> => {
  await using file = await open(path)
  const { size } = await file.stat()
  return await indexOf(async (first, end) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.min(end, size) - first), 0, null, first)
    return buffer.subarray(0, bytesRead)
  }, size)
}
