import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { type CaseId, type EntryId, IdOf } from '../base/ids.ts'
import type { Engines } from '../engines/engines.ts'
import { record } from '../ledger/record.ts'
import { cutPage, defaultLimit } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { asked, caseOfMember } from './access.ts'
import { entriesOf, peopleNamed } from './history-queries.ts'
import { actions, lineOf, peopleIn } from './history-words.ts'
import type { PageQuery } from './schemas.ts'

const placeOf = (cursor: string): EntryId => {
  const [id] = decodeCursor(cursor)
  if (!Value.Check(IdOf.entry, id)) throw cursorProblem()
  return id
}

/**
 * One page of what was done to a case and its exhibits, in words, the newest first, for a member; reading it is an entry.
 * Who only looked, and who was refused, is in the ledger alone. Throws `not-found`.
 */
export const readHistory = async (engines: Engines, person: Person, id: CaseId, query: PageQuery) => {
  const { limit = defaultLimit, cursor } = query
  const after = cursor === undefined ? undefined : placeOf(cursor)
  return await asked(engines, person, 'case.read', async (tx) => {
    await caseOfMember(tx, person, id)
    const rows = await entriesOf(tx, id, actions, after, limit)
    const names = await peopleNamed(tx, rows.flatMap(peopleIn))
    await record(tx, engines.clock, {
      operation: 'consultation',
      action: 'case.history-read',
      subject: { type: 'case', id },
      actor: actor(person, 'case.read'),
    })
    return cutPage(
      rows,
      limit,
      (row) => lineOf(row, names),
      (row) => [row.id],
    )
  })
}
