import { type KeyObject, sign } from 'node:crypto'
import {
  decodeBase64,
  isLineOf,
  isNoteText,
  isSignedBy,
  type NoteKey,
  parseNote,
  type SignatureLine,
  signatureLine,
  vkeyOf,
} from './note.ts'

// C2SP tlog-checkpoint, and the Ed25519 cosignatures of tlog-cosignature.

/** What a log says of itself: how many leaves it has, and the root over them, 32 bytes. */
export type TreeHead = { origin: string; size: number; root: Buffer }

/** A whole number up to 2^53-1 in decimal digits without leading zeros; null for anything else. */
export const parseWhole = (text: string): number | null => {
  const number = /^(?:0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(number) ? number : null
}

/** A SHA-256 hash in base64; null for anything else. */
export const parseHash = (text: string): Buffer | null => {
  const bytes = decodeBase64(text)
  return bytes?.length === 32 ? bytes : null
}

/** Throws RangeError when no checkpoint can say it. */
export const checkpointText = (head: TreeHead): string => {
  const text = `${head.origin}\n${head.size}\n${head.root.toString('base64')}\n`
  const read = parseCheckpointText(text)
  if (read?.origin !== head.origin || read.size !== head.size) throw new RangeError('this is no head of a tree')
  return text
}

/** Extension lines are let pass, and left out. Null when the text is not well formed or its size is beyond 2^53-1. */
export const parseCheckpointText = (text: string): TreeHead | null => {
  if (!isNoteText(text)) return null
  const lines = text.slice(0, -1).split('\n')
  const [origin, sizeLine, rootLine] = lines
  if (origin === undefined || sizeLine === undefined || rootLine === undefined || lines.includes('')) return null
  const size = parseWhole(sizeLine)
  const root = parseHash(rootLine)
  return size === null || root === null ? null : { origin, size, root }
}

/** The head that the log's key signed; or, in words, why there is none to believe. */
export const examineCheckpoint = (note: string, key: NoteKey): { head: TreeHead } | { fault: string } => {
  const parsed = parseNote(note)
  const head = parsed === null ? null : parseCheckpointText(parsed.text)
  if (parsed === null || head === null) return { fault: 'the checkpoint is not well formed' }
  if (head.origin !== key.name) return { fault: `the checkpoint is of another log than ${key.name}` }
  const own = parsed.signatures.filter((line) => isLineOf(line, key))
  if (key.type !== 1 || own.length === 0) return { fault: `the checkpoint is not signed with the key ${vkeyOf(key)}` }
  if (!own.every((line) => isSignedBy(parsed.text, line.signature, key))) {
    return { fault: `a signature of the checkpoint is not by the key ${vkeyOf(key)} that it names` }
  }
  return { head }
}

/**
 * The head that the log's key signed; null when the note is not well formed, is of another origin, or a signature under
 * that key is missing or wrong.
 */
export const openCheckpoint = (note: string, key: NoteKey): TreeHead | null => {
  const found = examineCheckpoint(note, key)
  return 'head' in found ? found.head : null
}

const cosignedMessage = (text: string, seconds: number): string => `cosignature/v1\ntime ${seconds}\n${text}`

/**
 * The signature line of a witness over a checkpoint's text, `seconds` after the Unix epoch. Throws RangeError when the
 * text is no checkpoint's, the time is none, or the key is of another type than 4.
 */
export const cosign = (text: string, seconds: number, key: NoteKey, privateKey: KeyObject): string => {
  if (parseCheckpointText(text) === null) throw new RangeError('a cosignature stands under the text of a checkpoint')
  if (!Number.isSafeInteger(seconds) || seconds < 0) throw new RangeError(`${seconds} is no time in seconds`)
  if (key.type !== 4) throw new RangeError('a cosignature is made with a key of type 4')
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(BigInt(seconds))
  const signature = sign(null, Buffer.from(cosignedMessage(text, seconds)), privateKey)
  return signatureLine(key, Buffer.concat([time, signature]))
}

/** The time of a witness's cosignature, in seconds after the Unix epoch; null unless it verifies. */
export const cosignedAt = (text: string, line: SignatureLine, key: NoteKey): number | null => {
  if (key.type !== 4 || !isLineOf(line, key) || line.signature.length !== 72) return null
  if (parseCheckpointText(text) === null) return null
  const seconds = Number(line.signature.readBigUInt64BE())
  if (!Number.isSafeInteger(seconds)) return null
  return isSignedBy(cosignedMessage(text, seconds), line.signature.subarray(8), key) ? seconds : null
}
