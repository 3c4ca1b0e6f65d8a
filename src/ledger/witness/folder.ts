import type { KeyObject } from 'node:crypto'
import { existsSync, mkdirSync, realpathSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Type } from 'typebox'
import { type NoteKey, noteKey, parseVkey, vkeyOf } from '../../base/note.ts'
import { readKept } from '../../engines/embedded/data-folder.ts'
import { lockDataFolder } from '../../engines/embedded/data-folder-lock.ts'
import { makeOnce } from '../../engines/embedded/make-once.ts'
import { SetupError } from '../../engines/embedded/setup-error.ts'
import { makeKeyFile, readKeyFile } from '../../engines/receipt-key.ts'
import { replace, settle, unfinished } from './durable.ts'
import { DamagedRecord, hashOfOrigin, type Kept, keepFork, readRecord, writeRecord } from './records.ts'
import { makeTurns } from './turns.ts'

/** Names the key, and every log of which a record must be there. */
const Index = Type.Object({ v: Type.Literal(1), vkey: Type.String(), logs: Type.Array(Type.String()) })

/** Everything a witness has: its key, and the newest checkpoint of each log that it cosigned. */
export type WitnessFolder = {
  key: NoteKey
  privateKey: KeyObject
  /** Whether this start made it. */
  isNew: boolean
  /** Undefined for a log of which nothing was cosigned. Throws DamagedRecord rather than forget one. */
  read(hash: string): Promise<Kept | undefined>
  /** Resolves when it would survive a power cut. Callers take turns, log by log. */
  write(kept: Pick<Kept, 'head' | 'note'>): Promise<void>
  keepFork(kept: Pick<Kept, 'head' | 'note'>): Promise<string>
  /** Frees the folder for another process. */
  close(): Promise<void>
}

const keyIn = async (folder: string, name: string) => {
  const file = join(folder, 'key.json')
  const { privateKey, publicJwk } = await readKeyFile(file).catch((cause: unknown) => {
    throw new SetupError(`The witness's key ${file} cannot be read: put back what was there.`, cause)
  })
  return { privateKey, key: noteKey(name, 4, Buffer.from(publicJwk.x, 'base64url')) }
}

const indexText = (vkey: string, logs: readonly string[]): string =>
  `${JSON.stringify({ v: 1, vkey, logs }, null, 2)}\n`

/** All of it or, when this is cut short, nothing: a folder that lacks something later has lost it. */
const makeWitness = async (folder: string, name: string): Promise<void> =>
  await makeOnce(folder, async (aside) => {
    await makeKeyFile(join(aside, 'key.json'))
    await settle(join(aside, 'key.json'))
    for (const part of ['logs', 'forks']) await mkdir(join(aside, part), { mode: 0o700 })
    const { key } = await keyIn(aside, name)
    await replace(join(aside, 'witness.json'), indexText(vkeyOf(key), []))
  })

const readIndex = (folder: string, key: NoteKey): Set<string> => {
  const file = join(folder, 'witness.json')
  const index = readKept(file, Index)
  if (index === undefined) throw new DamagedRecord(`The list of logs ${file} is missing.`)
  if (index.vkey === vkeyOf(key)) return new Set(index.logs)
  const made = parseVkey(index.vkey)
  if (made?.publicKey.equals(key.publicKey) && made.name !== key.name)
    throw new SetupError(
      `The witness in ${folder} has the name ${made.name}: a key has one name for ever. For another witness, name another folder.`,
    )
  throw new SetupError(`The key in ${folder} is not the one that this witness was made with: put back what was there.`)
}

/** Logs that a kill left out of the list are listed; a log without its record is damage, and so is a bad record. */
const checkRecords = async (records: string, key: NoteKey, listed: Set<string>): Promise<string[]> => {
  const there: string[] = []
  for (const hash of await readdir(records)) {
    if (hash.endsWith(unfinished)) await rm(join(records, hash))
    else {
      const kept = await readRecord(records, hash, key)
      if (kept !== undefined) there.push(kept.head.origin)
    }
  }
  const lost = listed.difference(new Set(there))
  for (const origin of lost) throw new DamagedRecord(`The record of the log ${origin} is missing in ${records}.`)
  return there
}

const lock = async (dataDir: string) => {
  mkdirSync(join(dataDir, 'run'), { recursive: true, mode: 0o700 })
  const path = realpathSync(dataDir)
  return { path, ...(await lockDataFolder(path)) }
}

/**
 * Opens the folder of a witness, and makes the witness at the first start. Throws a SetupError or DamagedRecord, in words,
 * when it is not whole, another process has it, or it is the folder of a witness of another name.
 */
export const openWitnessFolder = async (dataDir: string, name: string): Promise<WitnessFolder> => {
  const { path, release } = await lock(resolve(dataDir))
  try {
    const folder = join(path, 'witness')
    const isNew = !existsSync(folder)
    await makeWitness(folder, name)
    await settle(path)
    const { key, privateKey } = await keyIn(folder, name)
    const listed = readIndex(folder, key)
    const records = join(folder, 'logs')
    const logs = new Map<string, string>()
    const inTurn = makeTurns()
    const list = async (origins: readonly string[]): Promise<void> => {
      const all = listed.union(new Set(origins))
      if (all.size > listed.size) await replace(join(folder, 'witness.json'), indexText(vkeyOf(key), [...all]))
      for (const origin of origins) {
        listed.add(origin)
        logs.set(hashOfOrigin(origin), origin)
      }
    }
    await list(await checkRecords(records, key, listed))
    return {
      key,
      privateKey,
      isNew,
      read: async (hash) => {
        const kept = await readRecord(records, hash, key)
        const origin = logs.get(hash)
        if (kept === undefined && origin !== undefined)
          throw new DamagedRecord(`The record of the log ${origin} is missing in ${records}.`)
        return kept
      },
      write: async (kept) => {
        await writeRecord(records, kept)
        await inTurn('list', async () => await list([kept.head.origin]))
      },
      keepFork: async ({ head, note }) => await keepFork(join(folder, 'forks'), head, note),
      close: release,
    }
  } catch (error) {
    await release()
    throw error
  }
}
