import { cosignedAt, parseCheckpointText, parseWhole, type TreeHead } from '../../base/checkpoint.ts'
import {
  decodeBase64,
  isLineOf,
  isSignedBy,
  type NoteKey,
  parseNote,
  type SignatureLine,
  signatureLine,
} from '../../base/note.ts'

/** What a log hands to a witness (C2SP tlog-witness, add-checkpoint). `old` is the size that it believes to be cosigned. */
export type Submission = { old: number; path: Buffer[]; text: string; head: TreeHead; signatures: SignatureLine[] }

const mostProofLines = 63
/** A note of 64 KiB, the proof, and the line before it. */
export const longestSubmission = 65_536 + mostProofLines * 45 + 64

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const decode = (body: Uint8Array): string | null => {
  try {
    return utf8.decode(body)
  } catch {
    return null
  }
}

const parseHash = (line: string): Buffer | null => {
  const hash = decodeBase64(line)
  return hash?.length === 32 ? hash : null
}

/** Null when the body is not well formed to the letter. */
export const parseSubmission = (body: Uint8Array): Submission | null => {
  const whole = decode(body)
  const end = whole?.indexOf('\n\n') ?? -1
  if (whole === null || end === -1) return null
  const [oldLine = '', ...proofLines] = whole.slice(0, end).split('\n')
  const old = oldLine.startsWith('old ') ? parseWhole(oldLine.slice(4)) : null
  if (old === null || proofLines.length > mostProofLines) return null
  const path = proofLines.map(parseHash)
  const note = parseNote(whole.slice(end + 2))
  const head = note === null ? null : parseCheckpointText(note.text)
  if (note === null || head === null || !path.every((hash) => hash !== null)) return null
  return { old, path, head, ...note }
}

const isRight = (text: string, line: SignatureLine, key: NoteKey): boolean =>
  key.type === 4 ? cosignedAt(text, line, key) !== null : isSignedBy(text, line.signature, key)

/**
 * The signature lines by the given keys of the log, ended by newlines. Null when there is none, or one that names such a key
 * and is not by it: the note is then malformed. Lines by keys that are not known are passed over.
 */
export const linesOfLog = ({ text, signatures }: Pick<Submission, 'text' | 'signatures'>, keys: readonly NoteKey[]) => {
  const lines = new Set<string>()
  for (const line of signatures) {
    const key = keys.find((each) => isLineOf(line, each))
    if (key === undefined) continue
    if (!isRight(text, line, key)) return null
    lines.add(signatureLine(key, line.signature))
  }
  return lines.size === 0 ? null : [...lines].join('')
}
