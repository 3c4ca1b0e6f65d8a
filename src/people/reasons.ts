import { Type } from 'typebox'
import { Problem } from '../base/problem.ts'
import type { Config } from '../engines/config.ts'
import type { Person } from './person.ts'

const longest = 500

/** Why a person looked, downloaded, disclosed or decided. Its rules by role are `checkReason`'s. */
export const Reason = Type.String({
  minLength: 1,
  maxLength: longest,
  description: 'Why. Where the role has a list of codes: a code, optionally followed by ": " and text.',
  examples: ['Complaint 26/0193'],
})

/**
 * The reason as it is kept: trimmed, 1 to 500 characters, and where a role of this person has a list of codes
 * (REASON_CODES), one of them, alone or followed by `: ` and text. Throws `bad-request` otherwise.
 */
export const checkReason = (config: Config, person: Person, reason: string): string => {
  const said = reason.trim()
  if (said === '') throw new Problem('bad-request', 'The reason is empty.')
  if (said.length > longest) throw new Problem('bad-request', `The reason is longer than ${longest} characters.`)
  const codes = person.roles.flatMap((role) => config.REASON_CODES[role] ?? [])
  if (codes.length === 0 || codes.some((code) => said === code || said.startsWith(`${code}: `))) return said
  throw new Problem('bad-request', `The reason must begin with one of these codes: ${codes.join(', ')}.`)
}

/** The same of an act that may be explained, or not: a reason that is given holds to the rules. */
export const checkMaybeReason = (config: Config, person: Person, reason: string | undefined): string | undefined =>
  reason === undefined ? undefined : checkReason(config, person, reason)
