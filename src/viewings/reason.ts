import { Problem } from '../base/problem.ts'
import type { Config } from '../engines/config.ts'
import { mayPerson } from '../people/permissions.ts'
import type { Person } from '../people/person.ts'
import { checkReason } from '../people/reasons.ts'

const strictness = ['off', 'optional', 'required'] as const

/** The strictest rule of the roles in which this person may watch; a role that REASON_RULE does not name is asked for one. */
const ruleFor = ({ REASON_RULE }: Config, { roles }: Person) => {
  const rules = roles
    .filter((role) => mayPerson([role], 'recording.viewing'))
    .map((role) => strictness.indexOf(REASON_RULE[role] ?? 'required'))
  return strictness[Math.max(...rules)] ?? 'required'
}

/**
 * The reason of a viewing as it is kept; undefined where none was given and none is needed. Where none is asked for at all
 * (`off`), one that is given is kept too, and held against no list. Throws `bad-request`.
 */
export const reasonOfViewing = (config: Config, person: Person, reason: string | undefined): string | undefined => {
  const rule = ruleFor(config, person)
  if (reason !== undefined)
    return checkReason(rule === 'off' ? { ...config, REASON_CODES: {} } : config, person, reason)
  if (rule === 'required') throw new Problem('bad-request', 'A reason is needed: say why you want to see this.')
  return undefined
}
