import { constants } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import path from 'node:path'
import type { Find } from './finding.ts'
import { findSameNames, unsafeBecause } from './names.ts'
import { Cut, type Member, mostFiles, type Source } from './source.ts'

const blockSize = 1024 * 1024

// Neither follows a link that took the place of a file meanwhile, nor waits for a writer of a pipe.
const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** What the system says of a failure, in its own short word: `EACCES`. */
export const systemWord = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error)

async function* blocksOf(file: string, size: number): AsyncGenerator<Uint8Array> {
  await using handle = await open(file, flags)
  const memory = Buffer.allocUnsafeSlow(Math.max(1, Math.min(blockSize, size + 1)))
  for (let at = 0; ; ) {
    const { bytesRead } = await handle.read(memory, 0, memory.length, at)
    if (bytesRead === 0) {
      if (at < size) throw new Cut(at)
      return
    }
    yield memory.subarray(0, bytesRead)
    at += bytesRead
  }
}

const sizeOf = async (file: string): Promise<number | null> => {
  await using handle = await open(file, flags)
  const stat = await handle.stat()
  return stat.isFile() ? stat.size : null
}

/** Where the bag is: the folder itself, or the one folder in it that is named as we name bundles. */
const rootOf = async (folder: string): Promise<string> => {
  const entries = await readdir(folder, { withFileTypes: true })
  if (entries.some(({ name }) => name === 'bagit.txt' || name === 'data')) return folder
  const [bundle, ...more] = entries.filter((entry) => entry.isDirectory() && entry.name.startsWith('exhibit-bundle-'))
  return bundle === undefined || more.length > 0 ? folder : path.join(folder, bundle.name)
}

/** Opens an unpacked bundle. Links and what is neither file nor folder are found and never opened. */
export const openFolder = async (folder: string, find: Find): Promise<Source> => {
  const root = await rootOf(folder)
  const members = new Map<string, Member>()
  const waiting = ['']
  const look = async (at: string): Promise<void> => {
    const entries = await readdir(path.join(root, at), { withFileTypes: true }).catch((error: unknown) => {
      find('unreadable', at, `This folder cannot be read (${systemWord(error)}), so nothing in it was checked.`)
      return []
    })
    for (const entry of entries) {
      const name = at === '' ? entry.name : `${at}/${entry.name}`
      const unsafe = unsafeBecause(name)
      if (unsafe !== undefined) {
        find('unsafe-name', name, `This name is refused: ${unsafe}.`)
      } else if (entry.isDirectory()) {
        waiting.push(name)
      } else if (entry.isSymbolicLink()) {
        find('link', name, 'This is a symbolic link: a bundle holds files only, and a link may lead anywhere.')
        members.set(name, { size: 0, barred: true })
      } else if (!entry.isFile()) {
        find('special', name, 'This is neither a file nor a folder (a pipe, socket or device). It was not opened.')
        members.set(name, { size: 0, barred: true })
      } else {
        const size = await sizeOf(path.join(root, name)).catch((error: unknown) => {
          find('unreadable', name, `This file cannot be read (${systemWord(error)}), so it was not checked.`)
          return null
        })
        members.set(name, size === null ? { size: 0, barred: true } : { size })
      }
    }
  }
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    await look(at)
    if (members.size <= mostFiles) continue
    find('too-many', null, `There are more than ${mostFiles} files in it: the rest was not looked at.`)
    break
  }
  findSameNames(members.keys(), find)
  return {
    kind: 'folder',
    top: path.basename(path.resolve(root)),
    members,
    read: (name) => blocksOf(path.join(root, ...name.split('/')), members.get(name)?.size ?? 0),
    [Symbol.asyncDispose]: async () => {},
  }
}
