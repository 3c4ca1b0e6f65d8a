import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { type CaseEventId, type CaseId, newId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { CaseEventKind } from '../engines/case-tables.ts'
import type { Engines } from '../engines/engines.ts'
import { record } from '../ledger/record.ts'
import { cutPage, defaultLimit } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { asked, caseOfMember, caseToChange } from './access.ts'
import { whyNotOn } from './case.ts'
import { close } from './closing.ts'
import {
  closingEvent,
  type EventPlace,
  eventForUpdate,
  insertEvent,
  markEventWithdrawn,
  pageOfEvents,
} from './event-queries.ts'
import { holdRecordings } from './queries.ts'
import { EventKeys, type PageQuery } from './schemas.ts'

type NewEvent = { kind: CaseEventKind; on: string; note?: string }

/**
 * Notes what happened to a case on a day, late or in any order; `closed` closes it. Throws `bad-request` for a day that
 * cannot be, `not-found`, `not-allowed`, `case-closed`.
 */
export const noteEvent = async (
  engines: Engines,
  person: Person,
  id: CaseId,
  { kind, on, note }: NewEvent,
): Promise<{ id: CaseEventId }> => {
  const { clock } = engines
  const fault = whyNotOn(kind, on, clock.instant())
  if (fault !== undefined) throw new Problem('bad-request', fault)
  const said = note === undefined || note.trim() === '' ? null : note.trim()
  return await asked(engines, person, 'case.note-event', async (tx) => {
    await holdRecordings(tx, id)
    const found = await caseToChange(tx, person, id, { lock: 'update' })
    const by = { person, action: 'case.note-event' } as const
    if (kind === 'closed') return { id: (await close(tx, engines, by, found, { on, note: said })).event }
    const event = newId<CaseEventId>()
    const entry = await record(tx, clock, {
      operation: 'administration',
      action: 'case.event-noted',
      subject: { type: 'case', id },
      actor: actor(person, 'case.note-event'),
      detail: { event, kind, on, ...(said === null ? {} : { note: said }) },
    })
    const row = { id: event, case: id, kind, onDate: on, note: said, notedAt: clock.now(), person: person.id, entry }
    await insertEvent(tx, row)
    return { id: event }
  })
}

/**
 * Takes back an event that was wrong: it stays in the history, and counts for nothing. The one that closed a closed case
 * stays until the case is reopened. Throws `not-found`, `not-allowed`, `conflict`.
 */
export const withdrawEvent = async (
  engines: Engines,
  person: Person,
  id: CaseId,
  event: CaseEventId,
  reason: string,
): Promise<void> =>
  await asked(engines, person, 'case.note-event', async (tx) => {
    const { clock } = engines
    const { closedAt } = await caseToChange(tx, person, id, { lock: 'update' })
    const wrong = await eventForUpdate(tx, event)
    if (wrong === undefined || wrong.case !== id) throw new Problem('not-found', 'The case has no such event.')
    if (wrong.withdrawnAt !== null) throw new Problem('conflict', 'The event was withdrawn already.')
    const { kind, onDate: on } = wrong
    if (closedAt !== null && (await closingEvent(tx, id, closedAt))?.id === event)
      throw new Problem('conflict', 'The case is closed by this event. Reopen the case first.')
    await markEventWithdrawn(tx, event, clock.now(), reason)
    await record(tx, clock, {
      operation: 'administration',
      action: 'case.event-withdrawn',
      subject: { type: 'case', id },
      actor: actor(person, 'case.note-event'),
      purpose: reason,
      detail: { event, kind, on },
    })
  })

const placeOf = (cursor: string): EventPlace => {
  const keys: unknown = decodeCursor(cursor)
  if (!Value.Check(EventKeys, keys)) throw cursorProblem()
  const [on, id] = keys
  return { on, id }
}

/** One page of a case's events, the latest day first, for a member; reading them is an entry. Throws `not-found`. */
export const listEvents = async (engines: Engines, person: Person, id: CaseId, query: PageQuery) => {
  const { limit = defaultLimit, cursor } = query
  const after = cursor === undefined ? undefined : placeOf(cursor)
  return await asked(engines, person, 'case.read', async (tx) => {
    await caseOfMember(tx, person, id)
    await record(tx, engines.clock, {
      operation: 'consultation',
      action: 'case.events-read',
      subject: { type: 'case', id },
      actor: actor(person, 'case.read'),
    })
    return cutPage(
      await pageOfEvents(tx, id, after, limit),
      limit,
      ({ onDate, notedAt, by, byName, withdrawnAt, withdrawnBecause, note, ...row }) => ({
        ...row,
        on: onDate,
        note,
        notedAt: iso(notedAt),
        by: { id: by, name: byName },
        withdrawnAt: withdrawnAt === null ? null : iso(withdrawnAt),
        withdrawnBecause,
      }),
      (row) => [row.onDate, row.id],
    )
  })
}
