import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cosignedAt, parseCheckpointText, type TreeHead } from '../../base/checkpoint.ts'
import { hex, sha256 } from '../../base/digest.ts'
import { isLineOf, type NoteKey, parseNote } from '../../base/note.ts'
import { replace } from './durable.ts'

/** The newest checkpoint of a log that was cosigned: with the log's signature and, below it, the witness's own. */
export type Kept = { head: TreeHead; note: string; seconds: number }

export class DamagedRecord extends Error {
  constructor(sentence: string, cause?: unknown) {
    super(
      `${sentence} Without it the witness would not know what it has seen, so it does nothing. Put back what was there a moment before; never an older copy. If that cannot be had, begin a new witness, under a new name and in another folder.`,
      { cause },
    )
    this.name = 'DamagedRecord'
  }
}

/** By which a log is asked for: lower-case hex SHA-256. */
export const hashOfOrigin = (origin: string): string => hex(sha256(origin))

/** The witness's signature over it says whether it still is what was written. */
const parseKept = (note: string, key: NoteKey): Kept | null => {
  const parsed = parseNote(note)
  const head = parsed === null ? null : parseCheckpointText(parsed.text)
  const own = parsed?.signatures.find((line) => isLineOf(line, key))
  if (parsed === null || head === null || own === undefined) return null
  const seconds = cosignedAt(parsed.text, own, key)
  return seconds === null ? null : { head, note, seconds }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT'

/** Undefined when there is no such file. Throws DamagedRecord when it is not what the witness wrote. */
export const readRecord = async (folder: string, hash: string, key: NoteKey): Promise<Kept | undefined> => {
  const file = join(folder, hash)
  let note: string
  try {
    note = await readFile(file, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw new DamagedRecord(`The record ${file} cannot be read.`, error)
  }
  const kept = parseKept(note, key)
  if (kept !== null && hashOfOrigin(kept.head.origin) === hash) return kept
  throw new DamagedRecord(`The record ${file} is damaged: it is not what this witness signed.`)
}

/** Callers take turns, log by log. */
export const writeRecord = async (folder: string, kept: Pick<Kept, 'head' | 'note'>): Promise<void> =>
  await replace(join(folder, hashOfOrigin(kept.head.origin)), kept.note)

const mostForks = 100

/**
 * Keeps a checkpoint that the log signed and that contradicts the one of that size which was cosigned: with that, it proves
 * that the log shows different people different histories. Answers the file; the first 100 are kept.
 */
export const keepFork = async (folder: string, head: TreeHead, note: string): Promise<string> => {
  const file = join(folder, `${hashOfOrigin(head.origin)}-${head.size}-${head.root.toString('hex', 0, 8)}`)
  if ((await readdir(folder)).length < mostForks) await replace(file, note)
  return file
}
