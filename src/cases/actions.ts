import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { type CaseId, IdOf, newId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { CaseStatus } from '../engines/case-tables.ts'
import type { Engines } from '../engines/engines.ts'
import { brokeConstraint, inTransaction, type Tx } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { cutPage, defaultLimit } from '../people/page.ts'
import type { Permission } from '../people/permissions.ts'
import { actor, type Person } from '../people/person.ts'
import { checkReason } from '../people/reasons.ts'
import { asked, caseOfMember, caseToChange, refused } from './access.ts'
import { caseReference, whyNotOn } from './case.ts'
import { close, reopen } from './closing.ts'
import { closingEvent } from './event-queries.ts'
import {
  type CaseRow,
  caseUnder,
  holdRecordings,
  insertCase,
  membersOf,
  pageOfCases,
  setMember,
  updateCase,
} from './queries.ts'
import type { CaseChange, CasesQuery } from './schemas.ts'

const viewOf = ({ openedAt, closedAt, ...row }: CaseRow) => ({
  ...row,
  openedAt: iso(openedAt),
  closedAt: closedAt === null ? null : iso(closedAt),
})

/**
 * References are unique among all cases of the force: two under one would mix their footage. So a taken one says to anybody
 * that there is a case under it, and nothing else of it; that a stranger to it learnt this is an entry on that case.
 */
const orTaken = async <T>(
  engines: Engines,
  person: Person,
  action: Permission,
  reference: string | undefined,
  work: Promise<T>,
): Promise<T> => {
  try {
    return await work
  } catch (error) {
    if (reference === undefined || !brokeConstraint(error, 'case_reference')) throw error
    const other = await caseUnder(engines.db, reference, person.id)
    if (other?.member === false) await refused(engines, person, action, { type: 'case', id: other.id })
    throw new Problem('reference-taken', 'A case has this reference, or one that looks the same.')
  }
}

/** Opens a case; its maker is its first member, as an investigator. Throws `bad-request`, `reference-taken`. */
export const openCase = async (
  engines: Engines,
  person: Person,
  wanted: { reference: string; title: string },
): Promise<{ id: CaseId }> => {
  const { db, clock } = engines
  const reference = caseReference(wanted.reference)
  const title = wanted.title.trim()
  const opening = inTransaction(db, async (tx) => {
    const id = newId<CaseId>()
    const at = clock.now()
    await insertCase(tx, { id, reference, title, openedAt: at })
    await setMember(tx, { case: id, person: person.id, role: 'investigator', since: at })
    await record(tx, clock, {
      operation: 'administration',
      action: 'case.opened',
      subject: { type: 'case', id },
      actor: actor(person, 'case.open'),
      detail: { reference, title },
    })
    return { id }
  })
  return await orTaken(engines, person, 'case.open', reference, opening)
}

/** One page of the cases this person is a member of, newest first. Throws `bad-request` for a foreign cursor. */
export const listCases = async ({ db, clock }: Engines, person: Person, query: CasesQuery) => {
  const { limit = defaultLimit, cursor, status } = query
  const [after] = cursor === undefined ? [] : decodeCursor(cursor)
  if (after !== undefined && !Value.Check(IdOf.case, after)) throw cursorProblem()
  return await inTransaction(db, async (tx) => {
    const rows = await pageOfCases(tx, person.id, status, after, limit)
    const page = cutPage(
      rows,
      limit,
      ({ role, ...row }) => ({ ...viewOf(row), role }),
      (row) => [row.id],
    )
    await record(tx, clock, {
      operation: 'consultation',
      action: 'case.list',
      subject: { type: 'cases', id: 'own' },
      actor: actor(person, 'case.list'),
      detail: {
        query: { limit, ...(status === undefined ? {} : { status }), ...(after === undefined ? {} : { after }) },
        found: page.items.map(({ id }) => id),
      },
    })
    return page
  })
}

const whole = async (tx: Tx, row: CaseRow) => {
  const members = await membersOf(tx, row.id)
  return { ...viewOf(row), members: members.map(({ since, ...member }) => ({ ...member, since: iso(since) })) }
}

/** A case and its members, for a member; reading it is an entry. Throws `not-found`. */
export const readCase = async (engines: Engines, person: Person, id: CaseId) =>
  await asked(engines, person, 'case.read', async (tx) => {
    const { role: _, ...found } = await caseOfMember(tx, person, id)
    await record(tx, engines.clock, {
      operation: 'consultation',
      action: 'case.read',
      subject: { type: 'case', id },
      actor: actor(person, 'case.read'),
    })
    return await whole(tx, found)
  })

type StatusChange = { status: CaseStatus; reason: string; on: string } | undefined

/** What the change says of the status. Throws `bad-request` where it says too little or too much. */
const statusChange = (engines: Engines, person: Person, { status, reason, on }: CaseChange): StatusChange => {
  if (on !== undefined && status !== 'closed') throw new Problem('bad-request', 'on goes with the status closed.')
  if (status === undefined && reason === undefined) return undefined
  if (status === undefined) throw new Problem('bad-request', 'A reason goes with a change of the status.')
  if (reason === undefined) throw new Problem('bad-request', 'Closing and reopening a case need a reason.')
  const now = engines.clock.instant()
  const day = on ?? now.toZonedDateTimeISO(engines.config.RETENTION_TIME_ZONE).toPlainDate().toString()
  const fault = whyNotOn('closed', day, now)
  if (fault !== undefined) throw new Problem('bad-request', fault)
  return { status, reason: checkReason(engines.config, person, reason), on: day }
}

/** Gives the case other words. Answers what it is then; without an entry where they are the same. */
const rename = async (
  tx: Tx,
  { clock }: Engines,
  person: Person,
  found: CaseRow,
  wanted: { reference?: string; title?: string },
): Promise<CaseRow> => {
  const { id, reference, title } = found
  const after = { reference: wanted.reference ?? reference, title: wanted.title ?? title }
  if (after.reference === reference && after.title === title) return found
  await updateCase(tx, id, after)
  await record(tx, clock, {
    operation: 'administration',
    action: 'case.renamed',
    subject: { type: 'case', id },
    actor: actor(person, 'case.change'),
    detail: { before: { reference, title }, after },
  })
  return { ...found, ...after }
}

/** A day that would be ignored is a date of erasure that somebody believes they have put right. Throws `conflict`. */
const mustBeItsDay = async (tx: Tx, { id, closedAt }: CaseRow, on: string | undefined): Promise<void> => {
  if (closedAt === null || on === undefined) return
  const day = (await closingEvent(tx, id, closedAt))?.onDate
  if (day === on) return
  const so = day === undefined ? 'It is closed already' : `It is closed already, on ${day}`
  const way = 'reopen it, take back that event, and close it again on the right day'
  throw new Problem('conflict', `${so}: on changes nothing. Where the day is wrong, ${way}.`)
}

/**
 * Renames, closes or reopens a case. What is so already stays so, without an entry. Throws `bad-request`, `not-found`,
 * `not-allowed`, `reference-taken`, and `conflict` for a case that was closed on another day.
 */
export const changeCase = async (engines: Engines, person: Person, id: CaseId, change: CaseChange) => {
  const reference = change.reference === undefined ? undefined : caseReference(change.reference)
  const wanted = {
    ...(reference === undefined ? {} : { reference }),
    ...(change.title === undefined ? {} : { title: change.title.trim() }),
  }
  const turn = statusChange(engines, person, change)
  const by = { person, action: 'case.change' } as const
  const changing = asked(engines, person, 'case.change', async (tx) => {
    if (turn?.status === 'open') await holdRecordings(tx, id)
    const found = await caseToChange(tx, person, id, { lock: 'update' })
    const renamed = await rename(tx, engines, person, found, wanted)
    if (turn?.status === 'closed') await mustBeItsDay(tx, found, change.on)
    if (turn === undefined || turn.status === found.status) return await whole(tx, renamed)
    if (turn.status === 'open') {
      await reopen(tx, engines, by, found, turn.reason)
      return await whole(tx, { ...renamed, status: 'open', closedAt: null })
    }
    const { closedAt } = await close(tx, engines, by, found, { on: turn.on, note: turn.reason })
    return await whole(tx, { ...renamed, status: 'closed', closedAt })
  })
  return await orTaken(engines, person, 'case.change', reference, changing)
}
