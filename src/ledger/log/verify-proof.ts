import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { canonical, type Json } from '../../base/canonical.ts'
import { cosignedAt } from '../../base/checkpoint.ts'
import { type NoteKey, parseNote, parseVkey } from '../../base/note.ts'
import { parseProof, verifyProof } from '../../base/tlog-proof.ts'
import { leafOf } from '../entry.ts'

const Vkey = Type.Object({ vkey: Type.String() })
const Published = Type.Object({ log: Type.Optional(Vkey), logs: Type.Optional(Type.Array(Vkey)) })

/** Keys of logs in the answer of /ledger/keys (`document`), or in a text of vkeys, one a line. */
export const logKeysIn = (document: unknown, text: string): NoteKey[] => {
  const { log, logs = [] } = Value.Check(Published, document) ? document : {}
  const vkeys = [...(log === undefined ? [] : [log.vkey]), ...logs.map(({ vkey }) => vkey), ...text.split('\n')]
  return [...new Set(vkeys)].flatMap((vkey) => parseVkey(vkey.trim()) ?? []).filter(({ type }) => type === 1)
}

export type ProvenLeaf = {
  origin: string
  index: number
  size: number
  leaf: Buffer
  /** Of each witness that was asked for: when it saw this checkpoint, in seconds since 1970. */
  witnessed: { witness: string; at: number }[]
}

const witnessedBy = (checkpoint: string, witness: NoteKey): number | null => {
  const note = parseNote(checkpoint)
  const line = note?.signatures.find(({ name, keyId }) => name === witness.name && keyId === witness.id)
  return note === null || line === undefined ? null : cosignedAt(note.text, line, witness)
}

/**
 * Checks a proof (C2SP tlog-proof@v1) offline. `leaf` is leaf data that was got elsewhere, from a receipt or a disclosed
 * entry; null believes the proof's own `extra` line, which says only which leaf it is about. Every one of `witnesses` must
 * have cosigned the checkpoint. `fault` is a sentence.
 */
export const checkProof = (
  text: string,
  leaf: Buffer | null,
  keys: readonly NoteKey[],
  witnesses: readonly NoteKey[] = [],
): ProvenLeaf | { fault: string } => {
  const proof = parseProof(text)
  if (proof === null) return { fault: 'This is no proof of the log (C2SP tlog-proof), or it is cut or altered.' }
  const about = leaf ?? proof.extra
  if (about === null)
    return { fault: 'The proof does not say which leaf it is about: give the receipt or the entry too.' }
  if (leaf !== null && proof.extra !== null && !proof.extra.equals(leaf))
    return { fault: 'The proof is about another entry than this one.' }
  const origin = proof.checkpoint.slice(0, proof.checkpoint.indexOf('\n'))
  const key = keys.find(({ name }) => name === origin)
  if (key === undefined) return { fault: 'The proof is of a log whose key is not among those you gave.' }
  const found = verifyProof(proof, about, key)
  if ('fault' in found) return { fault: `It does not verify: ${found.fault}.` }
  const witnessed: ProvenLeaf['witnessed'] = []
  for (const witness of witnesses) {
    const at = witnessedBy(proof.checkpoint, witness)
    if (at === null) return { fault: `The checkpoint is not cosigned by the witness ${witness.name}.` }
    witnessed.push({ witness: witness.name, at })
  }
  return { origin, index: proof.index, size: found.head.size, leaf: about, witnessed }
}

const Disclosed = Type.Object({
  entry: Type.Record(Type.String(), Type.Unknown()),
  salt: Type.String({ pattern: '^[0-9a-f]{32}$' }),
})

/** The leaf data of a disclosed entry (`{entry, salt, parts}`); null when it is none. */
export const leafOfDisclosed = (document: unknown): Buffer | null => {
  if (!Value.Check(Disclosed, document)) return null
  try {
    return leafOf(Buffer.from(document.salt, 'hex'), canonical(document.entry as Json))
  } catch {
    return null
  }
}
