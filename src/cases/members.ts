import type { CaseId, PersonId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { MemberRole } from '../engines/case-tables.ts'
import type { Engines } from '../engines/engines.ts'
import type { Tx } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { actor, type Person } from '../people/person.ts'
import { asked, caseToChange } from './access.ts'
import { canBe } from './case.ts'
import { hasOtherInvestigator, memberRole, personToJoin, removeMember, setMember } from './queries.ts'

const mustNotBeLast = async (tx: Tx, id: CaseId, member: PersonId): Promise<void> => {
  if (await hasOtherInvestigator(tx, id, member)) return
  throw new Problem('last-member', 'This is the last member who may change the case.')
}

/**
 * Makes a person a member in this role, or gives a member another. They must have signed in with a role that carries it.
 * Throws `not-found`, `not-allowed`, `conflict`, `last-member`.
 */
export const putMember = async (engines: Engines, person: Person, id: CaseId, member: PersonId, role: MemberRole) =>
  await asked(engines, person, 'case.set-members', async (tx) => {
    const { clock } = engines
    await caseToChange(tx, person, id, { lock: 'update' })
    const joining = await personToJoin(tx, member)
    if (joining === undefined) throw new Problem('not-found', 'Nobody with this id has signed in here.')
    const { name, roles, suspendedAt } = joining
    const before = await memberRole(tx, id, member)
    if (before === role) return { id: member, name, role }
    if (suspendedAt !== null) throw new Problem('conflict', 'The account of this person is suspended.')
    if (!canBe(role, roles))
      throw new Problem('conflict', `When last seen, this person held no role that can be a member as ${role}.`)
    if (before === 'investigator') await mustNotBeLast(tx, id, member)
    await setMember(tx, { case: id, person: member, role, since: clock.now() })
    await record(tx, clock, {
      operation: 'administration',
      action: 'case.member-set',
      subject: { type: 'case', id },
      actor: actor(person, 'case.set-members'),
      detail: { person: member, role, ...(before === undefined ? {} : { before }) },
    })
    return { id: member, name, role }
  })

/** Removes a member. Who is none stays none, without an entry. Throws `not-found`, `not-allowed`, `last-member`. */
export const dropMember = async (engines: Engines, person: Person, id: CaseId, member: PersonId): Promise<void> =>
  await asked(engines, person, 'case.set-members', async (tx) => {
    await caseToChange(tx, person, id, { lock: 'update' })
    const before = await memberRole(tx, id, member)
    if (before === undefined) return
    if (before === 'investigator') await mustNotBeLast(tx, id, member)
    await removeMember(tx, id, member)
    await record(tx, engines.clock, {
      operation: 'administration',
      action: 'case.member-removed',
      subject: { type: 'case', id },
      actor: actor(person, 'case.set-members'),
      detail: { person: member, before },
    })
  })
