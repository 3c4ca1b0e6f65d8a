import type { CaseId, ExhibitId, RecordingId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import type { Operation, Subject } from '../ledger/entry.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { type Permission, ruleOf } from '../people/permissions.ts'
import { actor, type Person } from '../people/person.ts'
import { exhibitPlace } from './exhibit-queries.ts'
import { type CaseRow, caseRow, memberRole } from './queries.ts'

/** A problem that is an entry too: what was asked for is there, and not for the one who asked. */
export class Refusal extends Error {
  readonly problem: Problem
  readonly subject: Subject
  constructor(problem: Problem, subject: Subject) {
    super(problem.message)
    this.name = 'Refusal'
    this.problem = problem
    this.subject = subject
  }
}

const operationOf = (action: Permission): Operation => {
  const rule = ruleOf(action)
  return rule === 'anyone' ? 'consultation' : rule.operation
}

/** Records that the person was refused `action` on the subject. Never call it inside a transaction that may be undone. */
export const refused = async (engines: Engines, person: Person, action: Permission, subject: Subject): Promise<void> =>
  await recordRefusal(engines, { operation: operationOf(action), action, subject, actor: actor(person, action) })

/** Runs `work` in one transaction. A Refusal undoes it, becomes an entry of its own, and its problem is thrown. */
export const asked = async <T>(
  engines: Engines,
  person: Person,
  action: Permission,
  work: (tx: Tx) => Promise<T>,
): Promise<T> => {
  try {
    return await inTransaction(engines.db, work)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    await refused(engines, person, action, error.subject)
    throw error.problem
  }
}

/** `share`: the case stays as it is until the transaction ends; `update`: nobody else changes or shares it meanwhile. */
type Lock = 'share' | 'update'
type Wish = { lock?: Lock; subject?: Subject }

/**
 * The case, for a member. To anybody else it is not there, whatever their role; only the ledger (under `subject`, the case
 * unless something in it was asked for) tells a case that is hidden from one that never was.
 */
export const caseOfMember = async (tx: Tx, person: Person, id: CaseId, { lock, subject }: Wish = {}) => {
  const found = await caseRow(tx, id, lock)
  if (found === undefined) throw new Problem('not-found')
  // Asked for after the lock, so that whoever was removed meanwhile is no member.
  const role = await memberRole(tx, id, person.id)
  if (role === undefined) throw new Refusal(new Problem('not-found'), subject ?? { type: 'case', id })
  return { ...found, role }
}

/** The case, locked, for a member who may change it. */
export const caseToChange = async (
  tx: Tx,
  person: Person,
  id: CaseId,
  wish: Wish & { lock: Lock },
): Promise<CaseRow> => {
  const { role, ...found } = await caseOfMember(tx, person, id, wish)
  if (role === 'investigator') return found
  const problem = new Problem('not-allowed', 'A case is changed by its members with the role investigator.')
  throw new Refusal(problem, wish.subject ?? { type: 'case', id })
}

export const mustBeOpen = ({ status }: CaseRow): void => {
  if (status === 'closed') throw new Problem('case-closed', 'The exhibits of a closed case stay as they are.')
}

/** In which case an exhibit is, and of which recording. Who asks need not be a member: that is the next question. */
export const placeOfExhibit = async (tx: Tx, id: ExhibitId): Promise<{ case: CaseId; recording: RecordingId }> => {
  const found = await exhibitPlace(tx, id)
  if (found === undefined) throw new Problem('not-found')
  return found
}
