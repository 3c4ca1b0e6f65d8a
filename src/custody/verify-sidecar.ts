import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { canonical, type Json } from '../base/canonical.ts'
import { hex, sha256 } from '../base/digest.ts'
import { Digest, type EntryId, IdOf } from '../base/ids.ts'
import { leafOf, sealOf } from '../ledger/entry.ts'
import type { ReceiptClaims } from './receipt.ts'
import { sidecarType } from './sidecar.ts'
import { NotVerified, type PublicKey, verifyReceipt, verifyStatement } from './verify-receipt.ts'

const Salt = Type.String({ pattern: '^[0-9a-f]{32}$' })
const AnyMembers = Type.Unsafe<{ [member: string]: Json }>({ type: 'object' })
const Sealed = Type.Object({ value: Type.Unsafe<Json>({}), salt: Salt }, { additionalProperties: false })

const Entry = Type.Object({
  id: IdOf.entry,
  log: Type.String({ minLength: 1 }),
  index: Type.Integer({ minimum: 0 }),
  entry: Type.Optional(
    Type.Intersect([
      AnyMembers,
      Type.Object({
        id: IdOf.entry,
        subject: Type.Object({ type: Type.String(), id: Type.String() }),
        sealed: Type.Record(Type.String(), Digest),
      }),
    ]),
  ),
  salt: Type.Optional(Salt),
  parts: Type.Optional(Type.Record(Type.String(), Sealed)),
  erased: Type.Optional(Type.Record(Type.String(), IdOf.entry)),
  leaf: Type.Optional(Digest),
})
const Claims = Type.Object({
  v: Type.Literal(1),
  iss: Type.String(),
  iat: Type.Integer(),
  recordingId: IdOf.recording,
  recording: AnyMembers,
  upload: Type.Intersect([AnyMembers, Type.Object({ id: IdOf.upload })]),
  receipt: Type.Optional(Type.String()),
  clips: Type.Array(IdOf.clip),
  exhibits: Type.Array(IdOf.exhibit),
  earlier: Type.Array(Type.Object({ key: Type.String(), sha256: Digest, entries: Type.Integer({ minimum: 1 }) })),
  entries: Type.Array(Entry),
})
const Part = Type.Object({ v: Type.Literal(1), recordingId: IdOf.recording, entries: Type.Array(Entry) })

type Entry = Type.Static<typeof Entry>
type Claims = Type.Static<typeof Claims>
type Find = (words: string) => void

/** Which leaf of which log an entry is; `leaf` is its leaf data, in hex. */
type SidecarLeaf = { log: string; index: number; leaf: string }

export type VerifiedSidecar = {
  claims: Claims
  receipt: ReceiptClaims | undefined
  /** Of every entry, in the order of the logs: to be held against a log, which a sidecar does not prove. */
  leaves: Map<EntryId, SidecarLeaf>
  /** What is wrong, one sentence each. None: everything is there, agrees with itself, and was signed. */
  faults: string[]
}

const parsed = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
}

const checkParts = ({ id, parts = {} }: Entry, sealed: Record<string, string>, find: Find): void => {
  for (const [name, part] of Object.entries(parts)) {
    if (sealed[name] === undefined) find(`Entry ${id} comes with "${name}", which it does not seal.`)
    else if (sealOf(Buffer.from(part.salt, 'hex'), part.value) !== sealed[name])
      find(`What entry ${id} comes with as "${name}" is not what was sealed in it.`)
  }
}

/** The entry's leaf data in hex, computed where its body is there. */
const leafIn = (kept: Entry, find: Find): string | undefined => {
  const { id, entry, salt, leaf, erased } = kept
  if (entry === undefined || salt === undefined) {
    if (leaf === undefined || erased?.body === undefined || kept.parts !== undefined) {
      find(`Entry ${id} has neither a body nor the leaf data and the erasure of one that was erased.`)
      return undefined
    }
    return leaf
  }
  if (entry.id !== id) find(`Under the id ${id} there is another entry.`)
  checkParts(kept, entry.sealed, find)
  for (const name of Object.keys(entry.sealed))
    if (kept.parts?.[name] === undefined && erased?.[name] === undefined)
      find(`Of entry ${id} "${name}" is missing, and nothing says that it was erased.`)
  return hex(leafOf(Buffer.from(salt, 'hex'), canonical(entry)))
}

const withoutOrder = (one: SidecarLeaf | undefined, next: Entry): boolean =>
  one !== undefined && one.log === next.log && next.index <= one.index

/** What an entry is about, where that is neither the recording nor its upload. */
const strangeSubject = ({ entry }: Entry, { recordingId, upload }: Claims): string | undefined =>
  entry === undefined || entry.subject.id === recordingId || entry.subject.id === upload.id
    ? undefined
    : entry.subject.id

async function* allEntries(
  { earlier, entries, recordingId }: Claims,
  partOf: (key: string) => Promise<Uint8Array | null>,
  find: Find,
): AsyncGenerator<Entry> {
  for (const { key, sha256: digest, entries: count } of earlier) {
    const bytes = await partOf(key)
    if (bytes === null || hex(sha256(bytes)) !== digest) {
      find(bytes === null ? `${key} is missing.` : `${key} is not what was signed.`)
      continue
    }
    const part = parsed(bytes)
    if (!Value.Check(Part, part) || part.recordingId !== recordingId || part.entries.length !== count)
      find(`${key} is as it was signed, and does not hold ${count} entries of this recording.`)
    else yield* part.entries
  }
  yield* entries
}

const receiptIn = async ({ receipt, recordingId }: Claims, keys: readonly PublicKey[], find: Find) => {
  if (receipt === undefined) return undefined
  try {
    const claims = await verifyReceipt(receipt, keys)
    if (claims.recordingId !== recordingId) find('The receipt is of another recording.')
    return claims
  } catch (error) {
    if (!(error instanceof NotVerified)) throw error
    find(`The receipt is not right: ${error.message}`)
    return undefined
  }
}

/**
 * Verifies a sidecar offline: its signature by one of `keys`, that every object it names is what was signed, and of every
 * entry its seals, its leaf and its place after the one before. `partOf` gives the bytes of an object, or null where it is
 * not there. Throws NotVerified for what was never signed as a sidecar.
 */
export const verifySidecar = async (
  jws: string,
  keys: readonly PublicKey[],
  partOf: (key: string) => Promise<Uint8Array | null>,
): Promise<VerifiedSidecar> => {
  const claims = await verifyStatement<Claims>(jws, keys, {
    typ: sidecarType,
    name: 'sidecar',
    isClaims: (value) => Value.Check(Claims, value),
  })
  const faults: string[] = []
  const find: Find = (words) => faults.push(words)
  const receipt = await receiptIn(claims, keys, find)
  const leaves = new Map<EntryId, SidecarLeaf>()
  const strange = new Map<EntryId, string>()
  let last: SidecarLeaf | undefined
  for await (const kept of allEntries(claims, partOf, find)) {
    const { id, log, index } = kept
    if (withoutOrder(last, kept)) find(`Entry ${id} stands after one of a later leaf.`)
    if (leaves.has(id)) find(`Entry ${id} is there twice.`)
    last = { log, index, leaf: leafIn(kept, find) ?? '' }
    leaves.set(id, last)
    const subject = strangeSubject(kept, claims)
    if (subject !== undefined) strange.set(id, subject)
  }
  const ids = new Set<string>(leaves.keys())
  // The erasure of what another entry said is about that entry.
  for (const [id, subject] of strange) if (!ids.has(subject)) find(`Entry ${id} is about something else.`)
  if (receipt !== undefined && leaves.get(receipt.entryId)?.leaf !== receipt.leaf)
    find('The entry that the receipt names is missing, or has another leaf.')
  return { claims, receipt, leaves, faults }
}
