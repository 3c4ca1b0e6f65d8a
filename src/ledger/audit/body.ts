import { hash } from 'node:crypto'
import { canonical, type Json } from '../../base/canonical.ts'
import type { EntryId } from '../../base/ids.ts'
import type { SealedParts } from '../../engines/ledger-tables.ts'
import { footage } from '../entry.ts'
import type { Kind } from './kinds.ts'

/** What is kept of an entry beside its leaf. */
export type Body = {
  id: EntryId
  entry: string | null
  salt: Buffer | null
  parts: SealedParts
  /** Null where nothing was erased. */
  erased: Record<string, EntryId> | null
}

type Fault = { kind: Kind; part?: string }

/** The footage that an entry is about; null where it is about something else. */
export type About = { type: string; id: string } | null

/** That `part` of an entry was erased, as its body says. `about` is undefined where the body is gone. */
export type ErasureNamed = { of: EntryId; part: string; erasure: EntryId; about: About | undefined }

/** That `part` of an entry was erased, as the entry of the erasure says. `about` is known where that was a whole body. */
export type Taken = { erasure: EntryId; of: EntryId; part: string; about: About | undefined }

/** `taken` is null unless it is the entry of an erasure. */
export type Examined = { faults: Fault[]; named: ErasureNamed[]; taken: Taken | null }

// Of what is hashed there is much and each is short: one place for all of it. Nothing waits between writing and hashing.
const scratch = Buffer.allocUnsafe(65_536)
/** Of UTF-8, for each unit of a string. */
const mostBytes = 3
const saltBytes = 16

/** SHA-256 of a salt and a text, in hex. */
const salted = (salt: Uint8Array, text: string): string => {
  const room = salt.length + text.length * mostBytes
  const input = room > scratch.length ? Buffer.allocUnsafe(room) : scratch
  input.set(salt)
  return hash('sha256', input.subarray(0, salt.length + input.write(text, salt.length)), 'hex')
}

/** Whether the text of an entry under its salt is the one of this leaf. */
const isTextOf = (leaf: Buffer, salt: Buffer, text: string): boolean =>
  salt.length === saltBytes && salted(salt, text) === leaf.toString('hex')

/** Whether the members stand in the order of RFC 8785 already, and every number is one. */
const isInOrder = (value: Json | undefined): boolean => {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) return value.every(isInOrder)
  let last: string | undefined
  for (const name in value) {
    if ((last !== undefined && name < last) || !isInOrder(value[name])) return false
    last = name
  }
  return true
}

/** RFC 8785 of what was parsed as JSON; most of it is in order as it is. */
const canonicalText = (value: Json): string => (isInOrder(value) ? JSON.stringify(value) : canonical(value))

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** Members of a JSON object; none when it is no object. */
export const membersOf = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {})

/** What the text of an entry says; nothing when it is no JSON. */
const saidBy = (entry: string): Record<string, unknown> => {
  try {
    return membersOf(JSON.parse(entry))
  } catch {
    return {}
  }
}

export const isId = (id: unknown): id is EntryId =>
  typeof id === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)

const aboutIn = (subject: unknown): About => {
  const { type, id } = membersOf(subject)
  return typeof type === 'string' && typeof id === 'string' && footage.includes(type) ? { type, id } : null
}

/** The seal of a part in hex; undefined for what was never sealed. */
const sealOf = (salt: unknown, value: Json): string | undefined => {
  const bytes = typeof salt === 'string' ? Buffer.from(salt, 'hex') : undefined
  if (bytes?.length !== saltBytes || bytes.toString('hex') !== salt) return undefined
  try {
    return salted(bytes, canonicalText(value))
  } catch {
    // It has no canonical form, such as a number beyond all.
    return undefined
  }
}

const faultsOfParts = (sealed: Record<string, unknown>, { parts, erased }: Body): Fault[] => {
  const faults: Fault[] = []
  const kept: Record<string, { value: Json; salt: string } | undefined> = parts
  for (const part in sealed) {
    const there = kept[part]
    const isErased = erased?.[part] !== undefined
    if (there === undefined) {
      if (!isErased) faults.push({ kind: 'part-deleted', part })
    } else if (isErased) faults.push({ kind: 'erasure-not-done', part })
    else if (there?.value === undefined || sealOf(there.salt, there.value) !== sealed[part])
      faults.push({ kind: 'part-changed', part })
  }
  for (const part in kept) if (sealed[part] === undefined) faults.push({ kind: 'part-added', part })
  return faults
}

const faultsOfErased = ({ entry, salt, parts }: Body): Fault[] => {
  const isEmpty = entry === null && salt === null && Object.keys(parts).length === 0
  return isEmpty ? [] : [{ kind: 'erasure-not-done', part: 'body' }]
}

const takenIn = (said: Record<string, unknown>, { parts: { detail } }: Body): Taken | null => {
  const { id: of, type } = membersOf(said.subject)
  if (said.operation !== 'erasure' || type !== 'entry' || detail === undefined) return null
  const { part, about } = membersOf(detail.value)
  if (!isId(said.id) || !isId(of) || typeof part !== 'string') return null
  if (sealOf(detail.salt, detail.value) !== membersOf(said.sealed).detail) return null
  return { erasure: said.id, of, part, about: aboutIn(about) ?? undefined }
}

/** What the entry of an erasure took, proven by its leaf; null where it says no such thing. */
export const takenBy = (body: Body | undefined, leaf: Buffer | undefined): Taken | null => {
  if (body === undefined || leaf === undefined || body.entry === null || body.salt === null) return null
  if (!isTextOf(leaf, body.salt, body.entry)) return null
  const taken = takenIn(saidBy(body.entry), body)
  return taken?.erasure === body.id ? taken : null
}

/** Holds a body against its leaf. What is said of erasures is still to be proven. */
export const examineBody = (id: EntryId, leaf: Buffer, body: Body | undefined): Examined => {
  if (body === undefined) return { faults: [{ kind: 'body-deleted' }], named: [], taken: null }
  const { entry, salt, erased } = body
  const namedOf = (about: About | undefined): ErasureNamed[] =>
    Object.entries(erased ?? {}).map(([part, erasure]) => ({ of: id, part, erasure, about }))
  const without = (faults: Fault[]): Examined => ({ faults, named: namedOf(undefined), taken: null })
  if (erased?.body !== undefined) return without(faultsOfErased(body))
  if (entry === null || salt === null) return without([{ kind: 'body-deleted' }])
  if (!isTextOf(leaf, salt, entry)) return without([{ kind: 'body-changed' }])
  const said = saidBy(entry)
  const faults = faultsOfParts(membersOf(said.sealed), body)
  return {
    faults: said.id === id ? faults : [{ kind: 'body-misplaced' }, ...faults],
    named: erased === null ? [] : namedOf(aboutIn(said.subject)),
    taken: said.operation === 'erasure' ? takenIn(said, body) : null,
  }
}
