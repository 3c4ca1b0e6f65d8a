import { hash } from 'node:crypto'
import { canonical, type Json } from '../../base/canonical.ts'
import type { EntryId } from '../../base/ids.ts'
import type { SealedParts } from '../../engines/ledger-tables.ts'
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

/** That `part` of an entry was erased, as its body says. */
export type ErasureNamed = { of: EntryId; part: string; erasure: EntryId }

export type Examined = { faults: Fault[]; erasures: ErasureNamed[] }

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
export const isTextOf = (leaf: Buffer, salt: Buffer, text: string): boolean =>
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
export const saidBy = (entry: string): Record<string, unknown> => {
  try {
    return membersOf(JSON.parse(entry))
  } catch {
    return {}
  }
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

/** Holds a body against its leaf. What it says of erasures is still to be proven. */
export const examineBody = (id: EntryId, leaf: Buffer, body: Body | undefined): Examined => {
  if (body === undefined) return { faults: [{ kind: 'body-deleted' }], erasures: [] }
  const { entry, salt, erased } = body
  const erasures = erased === null ? [] : Object.entries(erased).map(([part, erasure]) => ({ of: id, part, erasure }))
  if (erased?.body !== undefined) return { faults: faultsOfErased(body), erasures }
  if (entry === null || salt === null) return { faults: [{ kind: 'body-deleted' }], erasures }
  if (!isTextOf(leaf, salt, entry)) return { faults: [{ kind: 'body-changed' }], erasures }
  const said = saidBy(entry)
  const faults = faultsOfParts(membersOf(said.sealed), body)
  return { faults: said.id === id ? faults : [{ kind: 'body-misplaced' }, ...faults], erasures }
}
