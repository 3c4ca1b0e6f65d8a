import type { Collar, PersonId } from '../base/ids.ts'
import type { Actor } from '../ledger/entry.ts'
import { mayPerson, type Permission } from './permissions.ts'
import type { Role } from './role.ts'

/** Someone who is calling, as their token of this moment describes them. */
export type Person = { id: PersonId; name: string; roles: Role[]; collar?: Collar }

/** How entries name a person: by id, and by the role they act in (the first that carries the permission, where one is given). */
export const actor = (person: Person, permission?: Permission): Actor => {
  const role = person.roles.find((each) => permission === undefined || mayPerson([each], permission)) ?? person.roles[0]
  return { kind: 'person', id: person.id, ...(role === undefined ? {} : { role }) }
}
