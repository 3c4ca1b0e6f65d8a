import { Problem } from '../base/problem.ts'
import type { CaseEventKind, CaseStatus, MemberRole } from '../engines/case-tables.ts'
import type { Role } from '../people/role.ts'

export const caseStatuses = ['open', 'closed'] as const satisfies readonly CaseStatus[]
export const memberRoles = ['investigator', 'disclosure'] as const satisfies readonly MemberRole[]

/** What may happen to a case, of which retention counts its periods. */
export const eventKinds = [
  'charged',
  'no_further_action',
  'acquitted',
  'convicted',
  'sentenced',
  'released',
  'closed',
] as const satisfies readonly CaseEventKind[]

/** Which of a person's own roles lets them be a member in this one. */
const carriedBy: Record<MemberRole, readonly Role[]> = {
  investigator: ['investigator', 'supervisor'],
  disclosure: ['disclosure'],
}

/** Whether someone whose token names these roles can do what a member in this role does. */
export const canBe = (role: MemberRole, held: readonly string[]): boolean =>
  carriedBy[role].some((each) => held.includes(each))

const longest = 100

/**
 * The reference of a case as it is kept: trimmed, its letters composed (NFC), 1 to 100 characters. Throws `bad-request`
 * for what cannot be seen on paper: control characters, invisible ones and those that turn the direction of writing.
 */
export const caseReference = (given: string): string => {
  const reference = given.normalize('NFC').trim()
  if (reference === '') throw new Problem('bad-request', 'The reference is empty.')
  if (reference.length > longest)
    throw new Problem('bad-request', `The reference is longer than ${longest} characters.`)
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(reference))
    throw new Problem('bad-request', 'The reference holds control characters or invisible ones.')
  return reference
}

/** Beyond this an event's day is a slip of the pen, and a wrong day is a wrong date of erasure. */
const earliest = Temporal.PlainDate.from('1900-01-01')
const farthest = Temporal.Duration.from({ years: 100 })

const dayOf = (text: string): Temporal.PlainDate | undefined => {
  try {
    return Temporal.PlainDate.from(text, { overflow: 'reject' })
  } catch {
    return undefined
  }
}

/** The day it is now, where the day begins first: nobody's today lies in the future. */
const today = (now: Temporal.Instant): Temporal.PlainDate => now.toZonedDateTimeISO('+14:00').toPlainDate()

/**
 * Why an event of this kind cannot have happened on this day (YYYY-MM-DD), or undefined. Only a release is known before it
 * comes: its day may lie ahead. Everything may be noted late, and in any order.
 */
export const whyNotOn = (kind: CaseEventKind, on: string, now: Temporal.Instant): string | undefined => {
  const day = dayOf(on)
  if (day === undefined) return 'on is not a day that exists.'
  if (Temporal.PlainDate.compare(day, earliest) < 0) return `on lies before ${earliest}.`
  const latest = kind === 'released' ? today(now).add(farthest) : today(now)
  if (Temporal.PlainDate.compare(day, latest) <= 0) return undefined
  return kind === 'released' ? 'on lies more than a hundred years ahead.' : 'on lies in the future.'
}
