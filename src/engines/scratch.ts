import { chmod, chown, lstat, mkdir, mkdtemp, realpath, rm, statfs } from 'node:fs/promises'
import path from 'node:path'
import { nobody } from './sandbox.ts'
import { keepTidy, ownName, removeLeftovers } from './scratch-leftovers.ts'

/** A folder of its own for one piece of work; it goes, with all in it, when the work is over. */
export type ScratchFolder = AsyncDisposable & {
  folder: string
  /** Whether this many bytes fit on the disk and leave some room. */
  hasRoomFor(bytes: number): Promise<boolean>
  /** The absolute path of a file in it. The name is ours and plain; one that could lead elsewhere throws. */
  path(file: string): string
}

export type Scratch = {
  (name: string): Promise<ScratchFolder>
  /** Bytes that can still be written. */
  free(): Promise<number>
  /** Whether this many bytes fit on the disk and leave some room. */
  hasRoomFor(bytes: number): Promise<boolean>
}

/** With this begins what a job says that waits for room. */
export const noRoom = 'There is no room in the scratch folder'

/** The disk of the scratch folder is full, which says nothing about the work: it can be done when there is room. */
export class ScratchFull extends Error {
  constructor(message = `${noRoom} to work on this recording: free space, and it is tried again.`, cause?: unknown) {
    super(message, { cause })
    this.name = 'ScratchFull'
  }
}

/** Left free on the disk beyond what the work asks for. */
const reserve = 64 * 1024 * 1024

const plain = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,100}$/

/** Looked at this often: whoever is silent for minutes is taken for dead. */
const tidyMs = 60_000

/** Others may pass through but not look around: the cage's user has to reach its own folder. */
const passage = 0o711

const makeRoot = async (rootDir: string): Promise<string> => {
  const made = await mkdir(rootDir, { recursive: true, mode: passage })
  const stat = await lstat(rootDir)
  // In a folder everybody may write to, such as /tmp, somebody else may have been there first.
  if (!stat.isDirectory() || (process.getuid !== undefined && stat.uid !== process.getuid()))
    throw new Error(`The scratch folder ${rootDir} belongs to somebody else. Set SCRATCH_DIR to a folder of this user.`)
  // One that was there already keeps the permissions somebody gave it.
  if (made !== undefined) await chmod(rootDir, passage)
  return await realpath(rootDir)
}

/**
 * Folders for working files under `rootDir`, which is made where it is missing. What others left there and did not live to
 * remove goes, now and as long as this process lives: footage must not outlast its erasure here.
 */
export const makeScratch = async (rootDir: string, everyMs = tidyMs): Promise<Scratch> => {
  const root = await makeRoot(path.resolve(rootDir))
  await removeLeftovers(root)
  const own = path.join(root, await ownName())
  keepTidy(root, own, everyMs)

  const free = async () => {
    const { bavail, bsize } = await statfs(root)
    return bavail * bsize
  }

  const hasRoomFor = async (bytes: number) => (await free()) >= bytes + reserve

  const open = async (name: string): Promise<ScratchFolder> => {
    if (!plain.test(name)) throw new TypeError('a scratch folder is named after an id')
    await mkdir(own, { recursive: true, mode: passage })
    await chmod(own, passage)
    const folder = await mkdtemp(path.join(own, `${name}-`))
    if (process.getuid?.() === 0) {
      // As owner for bubblewrap, in which root has lost its privileges; as group for ffmpeg run as nobody.
      await chown(folder, 0, nobody)
      await chmod(folder, 0o770)
    }
    return {
      folder,
      hasRoomFor,
      path: (file) => {
        if (!plain.test(file)) throw new TypeError('a scratch file has a plain name')
        return path.join(folder, file)
      },
      [Symbol.asyncDispose]: async () => await rm(folder, { recursive: true, force: true }),
    }
  }
  return Object.assign(open, { free, hasRoomFor })
}
