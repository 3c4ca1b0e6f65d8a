import { type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Person } from './person.ts'
import type { Role } from './role.ts'

/** `retention` sees the facts of every recording and never footage: that no route of footage names it is in `permissions`. */
const seeAll: readonly Role[] = ['investigator', 'disclosure', 'supervisor', 'retention']

/**
 * Whether a role of this person's sees every recording, as against an officer's own. Of holds, the others learn only that
 * there is one: they may be what a complaint is about.
 */
export const seesAll = ({ roles }: { roles: readonly Role[] }): boolean => roles.some((role) => seeAll.includes(role))

/**
 * A condition on the table `recordings` (under its own name): whether this person may know of the row. An officer sees
 * what a camera recorded while it was assigned to them, by the corrected clock. Others than these see nothing.
 */
export const visibleTo = (person: Person): RawBuilder<SqlBool> => {
  if (seesAll(person)) return sql<SqlBool>`true`
  if (!person.roles.includes('officer') || person.collar === undefined) return sql<SqlBool>`false`
  return sql<SqlBool>`exists (
    select from assignments
    where assignments.camera = recordings.camera and assignments.officer = ${person.collar}
      and assignments.during @> recordings.corrected_at
  )`
}
