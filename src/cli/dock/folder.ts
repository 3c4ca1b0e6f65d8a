import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises'
import path from 'node:path'
import { Failure } from '../failure.ts'
import { sidecarName } from './sidecar.ts'

/** A file in the folder, as it was when we looked. */
export type Found = {
  /** Relative to the folder, with slashes whatever the system: what the installation is told. */
  name: string
  path: string
  size: number
  mtime: Date
  /** Changes whenever the file does: size and time of last change in nanoseconds. (FAT cards have no lasting inodes.) */
  stamp: string
}

const stampOf = ({ size, mtimeNs }: BigIntStats): string => `${size} ${mtimeNs}`

const isGone = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

/**
 * Every regular file in a folder and below, the oldest first. Names that begin with a dot are passed over, as is the
 * sidecar; links are never followed and are named in `passedOver` with whatever else is no file.
 */
export const look = async (folder: string): Promise<{ files: Found[]; passedOver: string[] }> => {
  const files: Found[] = []
  const passedOver: string[] = []

  const walk = async (prefix: string): Promise<void> => {
    for (const entry of await readdir(path.join(folder, prefix), { withFileTypes: true })) {
      const name = `${prefix}${entry.name}`
      if (entry.name.startsWith('.') || name === sidecarName) continue
      if (entry.isDirectory()) await walk(`${name}/`)
      else if (entry.isFile()) await add(name)
      else passedOver.push(name)
    }
  }
  const add = async (name: string): Promise<void> => {
    const file = path.join(folder, name)
    try {
      const stats = await lstat(file, { bigint: true })
      files.push({ name, path: file, size: Number(stats.size), mtime: stats.mtime, stamp: stampOf(stats) })
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }

  await walk('')
  files.sort((a, b) => a.mtime.getTime() - b.mtime.getTime() || (a.name < b.name ? -1 : 1))
  return { files, passedOver }
}

/** Whether the file is still the very one that was found. */
export const isUnchanged = async ({ path: file, stamp }: Found): Promise<boolean> => {
  const stats = await lstat(file, { bigint: true })
  return stats.isFile() && stampOf(stats) === stamp
}

/** Opens the very file that was found, without following a link. Throws Failure when it has changed since. */
export const openFound = async (found: Found): Promise<FileHandle> => {
  const handle = await open(found.path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    await refuseChanged(handle, found)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

export const refuseChanged = async (handle: FileHandle, { stamp }: Found): Promise<void> => {
  if (stampOf(await handle.stat({ bigint: true })) !== stamp) {
    throw new Failure(
      'The file was changed while it was being worked on: it is kept, and the next look takes it as it is then.',
    )
  }
}
