import type { HoldKind, SealedPart, Trigger } from '../engines/retention-tables.ts'

/** What a period may count from. */
export const triggers = [
  'recorded',
  'charged',
  'no_further_action',
  'acquitted',
  'convicted',
  'sentenced',
  'released',
  'closed',
] as const satisfies readonly Trigger[]

/** Why a person may keep a recording from being destroyed. */
export const holdReasons = [
  'legal',
  'complaint',
  'disclosure',
  'subject_access',
  'other',
] as const satisfies readonly HoldKind[]

/** `restored` is placed by a restoration: without it, what was restored would be due again the next day. */
export const holdKinds = [...holdReasons, 'restored'] as const satisfies readonly HoldKind[]

export const sealedParts = [
  'actor',
  'purpose',
  'recipient',
  'policy',
  'detail',
] as const satisfies readonly SealedPart[]

/** A trigger or a kind of hold as it is said in a sentence. */
export const inWords = (name: Trigger | HoldKind): string => name.replaceAll('_', ' ')

/** What the last attempt of a job had to say, as the end of a sentence. */
export const asSentence = (said: string | null): string => `${(said ?? 'nobody knows why').replace(/\.$/, '')}.`
