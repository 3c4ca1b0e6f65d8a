import { type CaseEventId, newId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { Engines } from '../engines/engines.ts'
import type { Tx } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import type { Permission } from '../people/permissions.ts'
import { actor, type Person } from '../people/person.ts'
import { insertEvent } from './event-queries.ts'
import { type CaseRow, updateCase } from './queries.ts'

/** Who does it, and under which permission. */
type By = { person: Person; action: Permission }

/**
 * Closes a case that is locked for update: its event `closed`, on a day, is what closes it. Throws `case-closed` when it is
 * closed already.
 */
export const close = async (
  tx: Tx,
  { clock }: Pick<Engines, 'clock'>,
  { person, action }: By,
  { id, status }: CaseRow,
  { on, note }: { on: string; note: string | null },
): Promise<{ event: CaseEventId; closedAt: Date }> => {
  if (status === 'closed') throw new Problem('case-closed', 'It is closed already.')
  const event = newId<CaseEventId>()
  const closedAt = clock.now()
  const entry = await record(tx, clock, {
    operation: 'administration',
    action: 'case.closed',
    subject: { type: 'case', id },
    actor: actor(person, action),
    ...(note === null ? {} : { purpose: note }),
    detail: { event, on },
  })
  const noted = { note, notedAt: closedAt, person: person.id, entry }
  await insertEvent(tx, { id: event, case: id, kind: 'closed', onDate: on, ...noted })
  await updateCase(tx, id, { status: 'closed', closedAt })
  return { event, closedAt }
}

/** Opens a closed case again. Its events stay: that it was closed, and when, remains true. */
export const reopen = async (
  tx: Tx,
  { clock }: Pick<Engines, 'clock'>,
  { person, action }: By,
  { id }: CaseRow,
  reason: string,
): Promise<void> => {
  await updateCase(tx, id, { status: 'open', closedAt: null })
  await record(tx, clock, {
    operation: 'administration',
    action: 'case.reopened',
    subject: { type: 'case', id },
    actor: actor(person, action),
    purpose: reason,
  })
}
