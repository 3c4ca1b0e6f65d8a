import { cosignedAt, examineCheckpoint, type TreeHead } from '../../base/checkpoint.ts'
import { leafHash, verifyInclusion } from '../../base/merkle.ts'
import { isLineOf, type NoteKey, parseNote } from '../../base/note.ts'
import { parseProof } from '../../base/tlog-proof.ts'
import type { ReceiptClaims } from '../../custody/receipt.ts'
import type { Bag } from './bag.ts'
import type { Leaves } from './entries.ts'
import type { Find } from './finding.ts'
import { textOf } from './reading.ts'
import type { Source } from './source.ts'

const checkpointPath = 'proofs/checkpoint'
const isCheckpoint = (path: string): boolean => /^proofs\/checkpoint(-[1-9]\d{0,8})?$/.test(path)
const isProof = (path: string): boolean => /^proofs\/entries\/[^/]+\.tlog-proof$/.test(path)
const isStatement = (path: string): boolean => /^data\/exhibits\/[^/]+\/continuity\.pdf$/.test(path)

/** Longer is no proof, and no checkpoint. */
const longest = 65_536

/** A signed head in the bundle; `witnessed` by each witness that was asked for, when, in seconds since 1970. */
type Head = { path: string; origin: string; size: number; witnessed: { witness: string; at: number }[] }

/** `carried` is false of a bundle that was made before bundles carried proofs. */
export type Proofs = { carried: boolean; proven: number; heads: Head[] }

/** Whether there is any sign that the bundle was made with proofs: then each of them has to be there. */
export const carriesProofs = (source: Source, { payload, tags }: Bag, logKeysInside: number): boolean => {
  const paths = [...source.members.keys(), ...(payload?.keys() ?? []), ...tags.keys()]
  return logKeysInside > 0 || paths.some((path) => isCheckpoint(path) || isProof(path) || isStatement(path))
}

type Note = { note: string; head: TreeHead | null }
type Asked = { keys: readonly NoteKey[]; witnesses: readonly NoteKey[] }

const witnessedBy = (note: string, path: string, witnesses: readonly NoteKey[], find: Find): Head['witnessed'] => {
  const parsed = parseNote(note)
  return witnesses.flatMap((witness) => {
    const times = parsed?.signatures.filter((line) => isLineOf(line, witness)) ?? []
    const [at = null] = times
      .map((line) => cosignedAt(parsed?.text ?? '', line, witness))
      .filter((time) => time !== null)
    if (at !== null) return [{ witness: witness.name, at }]
    find('checkpoint', path, `It is not cosigned by the witness ${witness.name}.`)
    return []
  })
}

/** Verifies every checkpoint. Answers each note as it stands, by its path; its head is null where it is not to be believed. */
const checkCheckpoints = async (source: Source, asked: Asked, find: Find) => {
  const notes = new Map<string, Note>()
  const heads: Head[] = []
  for (const path of [...source.members.keys()].filter(isCheckpoint)) {
    const note = await textOf(source, path, longest, find)
    if (note === null) continue
    const origin = note.slice(0, note.indexOf('\n'))
    const key = asked.keys.find(({ name }) => name === origin)
    const found = key === undefined ? undefined : examineCheckpoint(note, key)
    const head = found !== undefined && 'head' in found ? found.head : null
    notes.set(path, { note, head })
    if (parseNote(note) === null) find('checkpoint', path, 'It is no signed note, or it is cut or altered.')
    else if (found === undefined) {
      find('checkpoint', path, 'It is of a log whose key is not among those that were given or came with the bundle.')
    } else if ('fault' in found) find('checkpoint', path, `It does not verify: ${found.fault}.`)
    else if (heads.some((other) => other.origin === origin)) {
      find('checkpoint', path, 'Another checkpoint in the bundle is of the same log.')
    } else {
      const witnessed = witnessedBy(note, path, asked.witnesses, find)
      heads.push({ path, origin, size: found.head.size, witnessed })
    }
  }
  return { notes, heads }
}

/** Why a proof does not hold, a sentence; undefined where it does, or where its checkpoint was found wrong already. */
const faultOf = (text: string, leaf: Buffer, notes: readonly Note[]): string | undefined => {
  const proof = parseProof(text)
  if (proof === null) return 'It is no proof of the log (C2SP tlog-proof), or it is cut or altered.'
  const on = notes.find(({ note }) => note === proof.checkpoint)
  if (on === undefined) return 'It stands on another checkpoint than those of the bundle.'
  if (proof.extra?.equals(leaf) === false) return 'It is about another leaf than that of the entry beside it.'
  if (on.head === null) return undefined
  const { size, root } = on.head
  const { index, path } = proof
  if (index >= size) return `It is for leaf ${index}, and the checkpoint covers ${size} leaves only.`
  return verifyInclusion({ index, size, path, root, leafHash: leafHash(leaf) })
    ? undefined
    : `Its path does not lead from the entry beside it, as leaf ${index}, to the root in the checkpoint.`
}

/** What stands beside no entry, though a manifest names it. */
const findStray = (source: Source, { tags }: Bag, find: Find): void => {
  for (const path of [...source.members.keys()].filter(isProof)) {
    const entry = path.replace(/\.tlog-proof$/, '.entry.json')
    if (tags.has(path) && !source.members.has(entry)) find('extra', path, 'It is a proof, and beside it is no entry.')
  }
}

/**
 * Verifies that every disclosed entry is in a log under a checkpoint of the bundle, and the entry of every receipt among
 * them. `leaves` is computed from the entries: what a proof says of itself is not believed.
 */
export const checkProofs = async (
  source: Source,
  bag: Bag,
  { leaves, receipts }: { leaves: Leaves; receipts: ReadonlyMap<string, ReceiptClaims> },
  asked: Asked,
  find: Find,
): Promise<Proofs> => {
  const { notes, heads } = await checkCheckpoints(source, asked, find)
  const missing = (path: string, says: string): void => {
    // Where a manifest names it, that it is gone was found already.
    if (!source.members.has(path) && !bag.tags.has(path)) find('missing', path, says)
  }
  missing(checkpointPath, 'It is the signed head of the log on which the proofs stand, and is not there.')
  findStray(source, bag, find)
  let proven = 0
  for (const { path: entry, leaf } of leaves.values()) {
    const path = entry.replace(/\.entry\.json$/, '.tlog-proof')
    missing(path, 'It is the proof that the entry beside it is in the log, and is not there.')
    const text = await textOf(source, path, longest, find)
    if (text === null) continue
    const fault = faultOf(text, Buffer.from(leaf, 'hex'), [...notes.values()])
    if (fault !== undefined) find('proof', path, fault)
    else if ([...notes.values()].some(({ note, head }) => head !== null && text.endsWith(`\n\n${note}`))) proven++
  }
  for (const [path, { entryId }] of receipts) {
    if (!leaves.has(entryId)) find('proof', path, 'The entry that the receipt names is not here, so it is not proven.')
  }
  return { carried: true, proven, heads }
}

/** Of a bundle without proofs, nothing but that a witness was asked for. */
export const noProofs = ({ witnesses }: Asked, find: Find): Proofs => {
  if (witnesses.length > 0)
    find('missing', checkpointPath, 'There is no checkpoint that a witness could have cosigned.')
  return { carried: false, proven: 0, heads: [] }
}
