import { randomBytes } from 'node:crypto'
import { canonical, type Json } from '../base/canonical.ts'
import { hex, sha256 } from '../base/digest.ts'
import { type EntryId, newId } from '../base/ids.ts'
import { micros } from '../base/time.ts'
import type { Clock } from '../engines/clock.ts'
import type { SealedParts } from '../engines/ledger-tables.ts'

/** The statute's words (DPA 2018 s.62), or `administration` for what it does not name. */
export const operations = [
  'collection',
  'alteration',
  'consultation',
  'disclosure',
  'combination',
  'erasure',
  'administration',
] as const
export type Operation = (typeof operations)[number]
export const outcomes = ['allowed', 'denied', 'failed'] as const
export type Outcome = (typeof outcomes)[number]
type SubjectType =
  | 'bundle'
  | 'camera'
  | 'case'
  | 'clip'
  | 'dock'
  | 'entry'
  | 'job'
  | 'exhibit'
  | 'hold'
  | 'officer'
  | 'person'
  | 'policy'
  | 'purge'
  | 'recording'
  | 'route'
  | 'upload'
  | 'recordings'
  | 'cases'
  | 'entries'
  | 'uploads'
  | 'key'
export type Subject = { type: SubjectType; id: string }

/** Of an entry about one of these it stays known what it was about, when all that it said was erased (`entry_erasures`). */
export const footage: readonly string[] = [
  'recording',
  'upload',
  'clip',
  'exhibit',
  'bundle',
] satisfies readonly SubjectType[]

export type Actor = {
  kind: 'person' | 'dock' | 'service' | 'share' | 'operator'
  id: string
  role?: string
  job?: string
  cause?: string
}

/** One act, before it is written. */
export type Act = {
  operation: Operation
  /** The fine verb, such as `recording.verified`. */
  action: string
  subject: Subject
  outcome?: Outcome
  actor: Actor
  purpose?: Json
  recipient?: Json
  policy?: Json
  detail?: Json
}

export type SealedEntry = { id: EntryId; entry: string; salt: Buffer; parts: SealedParts; leaf: Buffer }

const sealable = ['actor', 'purpose', 'recipient', 'policy', 'detail'] as const

/** SHA-256(salt ‖ canonical JSON), in hex: what the entry says of a part. */
export const sealOf = (salt: Buffer, value: Json): string => hex(sha256(salt, canonical(value)))

/** Leaf data: SHA-256(salt ‖ canonical entry). */
export const leafOf = (salt: Buffer, entry: string): Buffer => sha256(salt, entry)

const saltBytes = 16
let drawn = Buffer.alloc(0)

/** Random bytes that are given out once. They are drawn for many salts together: each draw asks the kernel. */
const newSalt = (): Buffer => {
  if (drawn.length === 0) drawn = randomBytes(64 * saltBytes)
  const salt = Buffer.from(drawn.subarray(0, saltBytes))
  drawn = drawn.subarray(saltBytes)
  return salt
}

/** Makes the entry of an act (design, section 8). `random` gives salts: 16 bytes for each part and for the entry. */
export const sealEntry = (act: Act, clock: Clock, random: () => Buffer = newSalt): SealedEntry => {
  const id = newId<EntryId>()
  const parts: SealedParts = {}
  const sealed: Record<string, string> = {}
  for (const name of sealable) {
    const value = act[name]
    if (value === undefined) continue
    const salt = random()
    parts[name] = { value, salt: salt.toString('hex') }
    sealed[name] = sealOf(salt, value)
  }
  const entry = canonical({
    v: 1,
    id,
    at: micros(clock.instant()),
    operation: act.operation,
    action: act.action,
    subject: act.subject,
    outcome: act.outcome ?? 'allowed',
    sealed,
  })
  const salt = random()
  return { id, entry, salt, parts, leaf: leafOf(salt, entry) }
}
