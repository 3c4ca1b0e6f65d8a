import { chmod, copyFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pino } from 'pino'
import { type Footage, makeFootage } from '../src/cli/demo/footage.ts'
import { type Examination, examine } from '../src/custody/examination/probe.ts'
import { type Ffmpeg, type FfmpegLimits, makeFfmpeg } from '../src/engines/ffmpeg.ts'
import { makeScratch, type Scratch } from '../src/engines/scratch.ts'

/** ffmpeg in its cage and a place to make and examine files, in a folder of the test's own. */
export type Studio = AsyncDisposable & {
  folder: string
  ffmpeg: Ffmpeg
  scratch: Scratch
  /** Makes footage of 320 × 240, or gives the file when it was made before. The name is a file's, without folders. */
  make(name: string, footage?: Partial<Footage>): Promise<string>
  /** Writes a file from bytes. */
  write(name: string, bytes: Buffer | string): Promise<string>
  /** Examines a copy in a scratch folder, as custody does. */
  examine(file: string, signal?: AbortSignal): Promise<Examination>
}

export const openStudio = async (limits: Partial<FfmpegLimits> = {}): Promise<Studio> => {
  const folder = await mkdtemp(path.join(tmpdir(), 'exhibit-footage-'))
  // Where ffmpeg runs as another user, that user has to get through to the scratch folders.
  await chmod(folder, 0o711)
  const scratch = await makeScratch(path.join(folder, 'scratch'))
  const ffmpeg = await makeFfmpeg({ log: pino({ level: 'silent' }), scratch, limits })
  const made = new Map<string, Promise<void>>()
  return {
    folder,
    ffmpeg,
    scratch,
    make: async (name, footage = {}) => {
      const file = path.join(folder, name)
      const whole = { width: 320, height: 240, seconds: 3, ...footage, path: file }
      const making = made.get(name) ?? makeFootage({ ffmpeg, scratch }, whole, AbortSignal.timeout(60_000))
      made.set(name, making)
      await making
      return file
    },
    write: async (name, bytes) => {
      const file = path.join(folder, name)
      await writeFile(file, bytes)
      return file
    },
    examine: async (file, signal = AbortSignal.timeout(60_000)) => {
      await using copy = await scratch('examine')
      const original = copy.path('original')
      await copyFile(file, original)
      return await examine(ffmpeg, { path: original, size: (await stat(original)).size }, { signal })
    },
    [Symbol.asyncDispose]: async () => await rm(folder, { recursive: true, force: true }),
  }
}

/** Where a box stands in a file: `start` of its header, `end` of its content. */
type Found = { start: number; end: number; type: string }

/** The boxes between two offsets. */
export const boxesWithin = (bytes: Buffer, from: number, to: number): Found[] => {
  const found: Found[] = []
  for (let start = from; start + 8 <= to; ) {
    const size = bytes.readUInt32BE(start)
    if (size < 8) break
    found.push({ start, end: start + size, type: bytes.toString('latin1', start + 4, start + 8) })
    start += size
  }
  return found
}

/** Every box at a path such as `moov/trak/mdia`, in file order. Only for well-formed files with 32-bit sizes. */
export const boxesAt = (bytes: Buffer, path: string): Found[] => {
  let parents: Found[] = [{ start: -8, end: bytes.length, type: '' }]
  for (const type of path.split('/')) {
    parents = parents.flatMap((box) =>
      boxesWithin(bytes, box.start + 8, box.end).filter((child) => child.type === type),
    )
  }
  return parents
}

export const boxAt = (bytes: Buffer, path: string): Found => {
  const [box] = boxesAt(bytes, path)
  if (box === undefined) throw new Error(`this file has no ${path}`)
  return box
}

/** A copy of a file's bytes, changed by `change`, which may also return a shorter one. */
export const altered = async (file: string, change: (bytes: Buffer) => Buffer | undefined): Promise<Buffer> => {
  const bytes = await readFile(file)
  return change(bytes) ?? bytes
}

/** A box from its type and contents. */
export const box = (type: string, ...contents: (Buffer | string)[]): Buffer => {
  const content = Buffer.concat(contents.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)))
  const header = Buffer.alloc(8)
  header.writeUInt32BE(content.length + 8, 0)
  header.write(type, 4, 'latin1')
  return Buffer.concat([header, content])
}

/** Numbers as big-endian 32-bit words. */
export const words = (...numbers: number[]): Buffer => {
  const bytes = Buffer.alloc(numbers.length * 4)
  for (const [index, number] of numbers.entries()) bytes.writeUInt32BE(number >>> 0, index * 4)
  return bytes
}

/** An SRT file's text with one line of NMEA a second. */
export const nmeaSubtitles = (...sentences: string[]): string =>
  sentences
    .map((sentence, second) => {
      const at = (seconds: number) => `00:00:${String(seconds).padStart(2, '0')},000`
      return `${second + 1}\n${at(second)} --> ${at(second + 1)}\n${sentence}\n`
    })
    .join('\n')
