import { type FileHandle, open } from 'node:fs/promises'
import { bytesOf, type Find } from './finding.ts'
import { findSameNames, unsafeBecause } from './names.ts'
import { Cut, type Member, mostFiles, type Source } from './source.ts'
import { directoryOf } from './zip-directory.ts'
import { frameOf } from './zip-frame.ts'
import { layOut, type Placed } from './zip-layout.ts'
import { walk } from './zip-walk.ts'

const blockSize = 1024 * 1024

async function* blocksOf(handle: FileHandle, start: number, size: number): AsyncGenerator<Uint8Array> {
  const memory = Buffer.allocUnsafeSlow(Math.max(1, Math.min(blockSize, size)))
  for (let at = 0; at < size; ) {
    const { bytesRead } = await handle.read(memory, 0, Math.min(memory.length, size - at), start + at)
    if (bytesRead === 0) throw new Cut(at)
    yield memory.subarray(0, bytesRead)
    at += bytesRead
  }
}

/** Every file of the ZIP and where it stands; finds what is put before, between and after them, and what is cut. */
const placesIn = async (handle: FileHandle, size: number, find: Find): Promise<Placed[]> => {
  const frame = await frameOf(handle, size)
  if (frame === null) {
    find(
      'cut',
      null,
      'The end of the ZIP is not there: it was cut short, or so much was put after it that it is no ZIP. What is there was read from its front.',
    )
    return await walk(handle, size, find)
  }
  const { shift, directory, directoryEnd, end } = frame
  if (shift > 0) find('padded', null, `Before the ZIP are ${bytesOf(shift)} that do not belong to it.`)
  if (shift < 0) find('cut', null, `At the beginning, ${bytesOf(-shift)} of the ZIP are gone.`)
  if (end < size) find('padded', null, `After the ZIP are ${bytesOf(size - end)} that do not belong to it.`)
  const { listed, length, broken, tooMany } = await directoryOf(handle, frame)
  if (broken !== null) {
    find('zip', null, `The ZIP's directory cannot be read (${broken}), so its files were read from its front.`)
    return await walk(handle, size, find)
  }
  if (tooMany) {
    find('too-many', null, `The ZIP lists more than ${mostFiles} files: the rest was not looked at.`)
  } else if (length !== directoryEnd - directory) {
    find('padded', null, "In the ZIP's directory are bytes that belong to no file.")
  }
  return await layOut(handle, listed, [Math.max(0, shift), directory], find)
}

const isFolder = (path: string): boolean => path.endsWith('/')

/** Sorts out names that are refused, and those that are there twice. */
const safeOnly = (places: readonly Placed[], find: Find): Map<string, Placed> => {
  const safe = new Map<string, Placed>()
  for (const place of places) {
    const path = place.name.toString('utf8')
    const unsafe = unsafeBecause(isFolder(path) ? path.slice(0, -1) : path)
    if (unsafe !== undefined) find('unsafe-name', path, `This name is refused: ${unsafe}.`)
    else if (isFolder(path)) {
      if (place.size > 0) find('zip', path, 'By its name this is a folder, and yet it holds bytes.')
    } else if (safe.has(path)) {
      find('same-name', path, 'The ZIP holds this name twice: which of them is seen, depends on who unpacks it.')
    } else safe.set(path, place)
  }
  findSameNames(safe.keys(), find)
  return safe
}

/** Opens a bundle as it was downloaded. Only its directory is held in memory. */
export const openZip = async (file: string, find: Find): Promise<Source> => {
  const handle = await open(file)
  const raised: Parameters<Find>[] = []
  const raise: Find = (...finding) => {
    raised.push(finding)
  }
  try {
    const places = safeOnly(await placesIn(handle, (await handle.stat()).size, raise), raise)
    const tops = new Set([...places.keys()].map((path) => (path.includes('/') ? path.slice(0, path.indexOf('/')) : '')))
    // Of several, the one that is named as we name bundles; what lies beside it is told of by its whole name.
    const root = [...tops].find((name) => name.startsWith('exhibit-bundle-')) ?? [...tops][0] ?? ''
    if (places.size > 0 && (root === '' || tops.size > 1)) {
      raise(
        'zip',
        null,
        `A bundle's ZIP holds one folder and all in it; ${root === '' ? 'this one holds none' : 'beside it is more'}.`,
      )
    }
    const inside = (path: string): string =>
      root !== '' && path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path
    for (const [kind, path, says] of raised) find(kind, path === null ? null : inside(path), says)
    const members = new Map<string, Member & { start: number }>()
    for (const [path, { name: _, ...place }] of places) {
      members.set(inside(path), place)
    }
    return {
      kind: 'zip',
      top: root === '' ? null : root,
      members,
      read: (path) => {
        const { start = 0, size = 0 } = members.get(path) ?? {}
        return blocksOf(handle, start, size)
      },
      [Symbol.asyncDispose]: async () => await handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}
