import { examineCheckpoint, parseCheckpointText, parseHash, parseWhole, type TreeHead } from './checkpoint.ts'
import { leafHash, verifyInclusion } from './merkle.ts'
import { decodeBase64, isNoteText, type NoteKey, parseNote } from './note.ts'

/**
 * C2SP tlog-proof@v1: that a log holds a leaf, for whoever has the log's public key and no connection. `extra` is not
 * covered by any signature; `checkpoint` is a signed note, with cosignatures where there are some.
 */
export type TlogProof = { extra: Buffer | null; index: number; path: Buffer[]; checkpoint: string }

const firstLine = 'c2sp.org/tlog-proof@v1'

/** Beyond what a tree of 2^63 leaves needs. */
const longestPath = 63

/** Throws RangeError when the parts make no proof that can be read again. */
export const formatProof = ({ extra, index, path, checkpoint }: TlogProof): string => {
  const lines = [
    firstLine,
    ...(extra === null ? [] : [`extra ${extra.toString('base64')}`]),
    `index ${index}`,
    ...path.map((hash) => hash.toString('base64')),
  ]
  const text = `${lines.join('\n')}\n\n${checkpoint}`
  if (parseProof(text) === null) throw new RangeError('these parts make no proof of at most 64 KiB')
  return text
}

/** Null when it is not well formed, or over 64 KiB. What it says is not verified. */
export const parseProof = (text: string): TlogProof | null => {
  if (!isNoteText(text)) return null
  const end = text.indexOf('\n\n')
  if (end === -1) return null
  const [first, ...lines] = text.slice(0, end).split('\n')
  if (first !== firstLine) return null

  const extraLine = lines[0]?.startsWith('extra ') ? lines.shift() : undefined
  const extra = extraLine === undefined ? null : decodeBase64(extraLine.slice('extra '.length))
  if (extraLine !== undefined && extra === null) return null

  const [indexLine, ...pathLines] = lines
  if (!indexLine?.startsWith('index ') || pathLines.length > longestPath) return null
  const index = parseWhole(indexLine.slice('index '.length))
  const path = pathLines.map(parseHash)
  if (index === null || !path.every((hash) => hash !== null)) return null

  const checkpoint = text.slice(end + 2)
  const note = parseNote(checkpoint)
  if (note === null || parseCheckpointText(note.text) === null) return null
  return { extra, index, path, checkpoint }
}

/**
 * The tree head that holds the leaf, signed with the log's key; or the fault in plain words. `leaf` is leaf data, which
 * the verifier computed itself: `extra` is only what somebody says it is.
 */
export const verifyProof = (
  { index, path, checkpoint }: TlogProof,
  leaf: Buffer,
  key: NoteKey,
): { head: TreeHead } | { fault: string } => {
  const found = examineCheckpoint(checkpoint, key)
  if ('fault' in found) return found
  const { size, root } = found.head
  if (index >= size) return { fault: `the proof is for leaf ${index}, and the checkpoint covers ${size} leaves only` }
  if (!verifyInclusion({ index, size, leafHash: leafHash(leaf), path, root })) {
    return { fault: `the path does not lead from this entry, as leaf ${index}, to the root that the checkpoint gives` }
  }
  return found
}
