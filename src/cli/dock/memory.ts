import { constants } from 'node:fs'
import { access, open, readFile, rename } from 'node:fs/promises'
import path from 'node:path'
import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { hex, sha256 } from '../../base/digest.ts'
import { Digest, type Sha256 } from '../../base/ids.ts'
import { sentence } from '../failure.ts'
import type { Found } from './folder.ts'

/**
 * What a dock remembers of its files between runs, in a small file. It saves work and proves nothing: the manifest tells
 * what is owed, so a dock that lost it only has to read its files again.
 */
export type Memory = {
  digest(file: Found): Sha256 | undefined
  rememberDigest(file: Found, digest: Sha256): void
  /** The address of the upload that was begun for this very file. */
  upload(file: Found): string | undefined
  rememberUpload(file: Found, address: string): void
  forget(name: string): void
  /** Forgets the files that are not there any more. */
  keepOnly(names: Iterable<string>): void
  /** Resolves when all that was said before is on the disk, or cannot be put there. */
  save(): Promise<void>
}

const stateName = '.exhibit-dock-state.json'
const racyMs = 3000

const Line = Type.Object({ stamp: Type.String(), sha256: Digest, upload: Type.Optional(Type.String()) })
const Document = Type.Object({
  v: Type.Literal(1),
  dock: Type.String(),
  camera: Type.String(),
  files: Type.Record(Type.String(), Line),
})
type Lines = Map<string, Static<typeof Line>>

type Owner = { folder: string; keyFile: string; dock: string; camera: string; note(text: string): void }

/** In the folder; beside the dock's key when the folder cannot be written to, as with a card that is locked. */
const placeOf = async ({ folder, keyFile }: Owner): Promise<string> => {
  try {
    await access(folder, constants.W_OK)
    return path.join(folder, stateName)
  } catch {
    return `${keyFile}.${hex(sha256(path.resolve(folder))).slice(0, 16)}.state.json`
  }
}

const recall = async (file: string, { dock, camera, note }: Owner): Promise<Lines> => {
  let document: unknown
  try {
    document = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return new Map()
  }
  if (!Value.Check(Document, document)) {
    note(`${file} cannot be read and is made anew: the files are read again.`)
    return new Map()
  }
  const same = document.dock === dock && document.camera === camera
  return new Map(
    Object.entries(document.files).map(([name, { stamp, sha256: digest, upload }]) => [
      name,
      { stamp, sha256: digest, ...(same && upload !== undefined ? { upload } : {}) },
    ]),
  )
}

/** Whoever reads the file sees the one before or the whole new one, whenever the power goes. */
const write = async (file: string, content: string): Promise<void> => {
  const next = `${file}.new`
  const handle = await open(next, 'w', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(next, file)
}

/** A file changed so lately that a further change may carry the same time: its digest is not to be relied on later. */
export const isRacy = ({ mtime }: Found, now: number): boolean => Math.abs(now - mtime.getTime()) < racyMs

export const openMemory = async (owner: Owner): Promise<Memory> => {
  const { dock, camera, note } = owner
  const file = await placeOf(owner)
  const lines = await recall(file, owner)
  let dirty = false
  let saving: Promise<void> | undefined
  let failing = false

  const lineOf = ({ name, stamp }: Found) => {
    const line = lines.get(name)
    return line?.stamp === stamp ? line : undefined
  }
  const saveAll = async (): Promise<void> => {
    while (dirty) {
      dirty = false
      try {
        await write(file, JSON.stringify({ v: 1, dock, camera, files: Object.fromEntries(lines) }))
      } catch (error) {
        if (!failing) note(`What was done so far cannot be noted: ${sentence(error)}`)
        failing = true
      }
    }
  }

  return {
    digest: (found) => lineOf(found)?.sha256,
    rememberDigest: (found, digest) => {
      if (isRacy(found, Date.now())) return
      lines.set(found.name, { stamp: found.stamp, sha256: digest })
      dirty = true
    },
    upload: (found) => lineOf(found)?.upload,
    rememberUpload: (found, address) => {
      const line = lineOf(found)
      if (line === undefined) return
      line.upload = address
      dirty = true
    },
    forget: (name) => {
      dirty = lines.delete(name) || dirty
    },
    keepOnly: (names) => {
      const kept = new Set(names)
      for (const name of lines.keys()) if (!kept.has(name)) dirty = lines.delete(name) || dirty
    },
    save: async () => {
      while (dirty || saving !== undefined) {
        saving ??= saveAll().finally(() => {
          saving = undefined
        })
        await saving
      }
    },
  }
}
