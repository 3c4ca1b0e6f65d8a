import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { canonical, type Json } from '../../base/canonical.ts'
import { hex } from '../../base/digest.ts'
import { Digest, IdOf } from '../../base/ids.ts'
import type { ReceiptClaims } from '../../custody/receipt.ts'
import { leafOf, sealOf } from '../../ledger/entry.ts'
import type { Find } from './finding.ts'
import { jsonOf } from './reading.ts'
import type { Source } from './source.ts'

const Salt = Type.String({ pattern: '^[0-9a-f]{32}$' })
const AnyJson = Type.Unsafe<Json>({})
const Disclosed = Type.Object(
  {
    entry: Type.Intersect([
      Type.Unsafe<{ [member: string]: Json }>({ type: 'object' }),
      Type.Object({
        v: Type.Literal(1),
        id: IdOf.entry,
        action: Type.String(),
        subject: Type.Object({ type: Type.String(), id: Type.String() }),
        outcome: Type.String(),
        sealed: Type.Record(Type.String(), Digest),
      }),
    ]),
    salt: Salt,
    parts: Type.Record(Type.String(), Type.Object({ value: AnyJson, salt: Salt }, { additionalProperties: false })),
  },
  { additionalProperties: false },
)

/**
 * A disclosed entry: its leaf data, what it is about, and where it is. `detail` is what it seals as such, where that is
 * disclosed and opens the seal, of an act that was allowed.
 */
type Leaf = { leaf: string; subject: string; path: string; action: string; detail: Json | undefined }
export type Leaves = ReadonlyMap<string, Leaf>

/** Computes every disclosed part's seal and every leaf. What is sealed and not disclosed stays withheld, and is no fault. */
export const checkEntries = async (source: Source, find: Find): Promise<Leaves> => {
  const leaves = new Map<string, Leaf>()
  for (const path of source.members.keys()) {
    if (!path.startsWith('proofs/entries/') || !path.endsWith('.entry.json')) continue
    const said = await jsonOf(source, path, 4 * 1024 * 1024, find)
    if (said === undefined) continue
    try {
      if (!Value.Check(Disclosed, said)) {
        find('entry', path, 'It is not an entry of the ledger with its salt and its parts.')
        continue
      }
      const { entry, salt, parts } = said
      const opened = new Map<string, Json>()
      for (const [name, part] of Object.entries(parts)) {
        if (entry.sealed[name] === undefined)
          find('entry', path, `It discloses "${name}", which the entry does not seal.`)
        else if (sealOf(Buffer.from(part.salt, 'hex'), part.value) !== entry.sealed[name]) {
          find('entry', path, `What it discloses as "${name}" is not what was sealed in the entry.`)
        } else opened.set(name, part.value)
      }
      if (leaves.has(entry.id)) find('entry', path, 'Another file discloses the same entry.')
      const leaf = hex(leafOf(Buffer.from(salt, 'hex'), canonical(entry)))
      const detail = entry.outcome === 'allowed' ? opened.get('detail') : undefined
      leaves.set(entry.id, { leaf, subject: entry.subject.id, path, action: entry.action, detail })
    } catch {
      find('entry', path, 'It has no canonical JSON, so no digest of it can be computed.')
    }
  }
  return leaves
}

/** Holds the leaf that each receipt states against the entry, where that one is disclosed. Answers how many were. */
export const checkLeaves = (receipts: ReadonlyMap<string, ReceiptClaims>, leaves: Leaves, find: Find): number => {
  let held = 0
  for (const [path, { entryId, leaf, recordingId }] of receipts) {
    const entry = leaves.get(entryId)
    if (entry === undefined) continue
    if (entry.leaf !== leaf) find('entry', path, 'The entry that the receipt names is disclosed, but has another leaf.')
    else if (entry.subject !== recordingId)
      find('entry', path, 'The entry that the receipt names is of something else.')
    else held++
  }
  return held
}
