import { expect } from 'vitest'
import { canonical } from '../src/base/canonical.ts'
import { hex, sha256 } from '../src/base/digest.ts'
import { newId, type PersonId, type RecordingId } from '../src/base/ids.ts'
import type { Around, EntryRow, Act as ToldAct } from '../src/continuity/act.ts'
import { type Act, sealEntry } from '../src/ledger/entry.ts'

/** Entries about one recording, and who acted, for tests that need no database. */

export const somebody = newId<PersonId>()
export const now = Temporal.Instant.from('2026-11-26T08:02:11.480Z')
const clock = { now: () => new Date(now.epochMilliseconds), instant: () => now }
export const recording = newId<RecordingId>()
export const digest = hex(sha256('footage'))

/** That somebody watched, unless it is to be something else. */
export const rowOf = (wanted: Partial<Act>): EntryRow => {
  const sealed = sealEntry(
    {
      operation: 'consultation',
      action: 'recording.viewing',
      subject: { type: 'recording', id: recording },
      actor: { kind: 'person', id: somebody, role: 'investigator' },
      purpose: 'Complaint 26/0193',
      detail: { viewing: newId() },
      ...wanted,
    },
    clock,
  )
  const { id, leaf, entry, salt, parts } = sealed
  return { id, leaf, entry, salt, parts, erased: {} }
}

export const around = (over: Partial<Around> = {}): Around => ({
  about: recording,
  caseOf: new Map(),
  nameOf: (kind, id) => (kind === 'person' && id === somebody ? 'Asha Rao' : null),
  standing: { origin: 'exhibit.local/test', index: 4711, underCheckpoint: true },
  source: digest,
  ...over,
})

/** Computes from what is given, as docs/verify.md says, and with nothing of ours but SHA-256 and canonical JSON. */
export const leafIn = (told: ToldAct): string => {
  if (told.shown !== 'whole' && told.shown !== 'in-part') return told.leaf
  const { entry, salt, parts } = told.disclosed
  for (const [name, part] of Object.entries(parts)) {
    const seal = hex(sha256(Buffer.from(part.salt, 'hex'), canonical(part.value)))
    expect(Object(entry.sealed)[name]).toBe(seal)
  }
  expect({ ...told.sealed, ...Object(entry.sealed) }).toEqual(entry.sealed)
  return hex(sha256(Buffer.from(salt, 'hex'), canonical(entry)))
}
