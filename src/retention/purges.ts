import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { IdOf, newId, type PurgeId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import type { PurgeRow } from '../engines/retention-tables.ts'
import { owe } from '../jobs/outbox.ts'
import { jobForUpdate } from '../jobs/queries.ts'
import type { Actor } from '../ledger/entry.ts'
import { record } from '../ledger/record.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { cutPage } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { checkMaybeReason } from '../people/reasons.ts'
import {
  changePurge,
  insertPurge,
  purgeForUpdate,
  purgeGivenUp,
  purgeShown,
  purgesPage,
  purgeUnderWay,
  type ShownPurge,
  startedSince,
  wasAnythingToDo,
} from './purge-queries.ts'
import { isLost, lookAtPurges, type Standing } from './standing.ts'
import { asSentence } from './words.ts'

const whyLost = ({ jobSaid }: ShownPurge): string =>
  `It gave up: ${asSentence(jobSaid)} What it has hidden is in grace and can be restored, all else is as it was. Put that right and start a purge: it takes the place of this one, as the next daily purge does.`

/** Ends the purge that gave up, should one stand in the way. */
const endLost = async (tx: Tx, { clock }: Engines, by: Actor): Promise<void> => {
  const lost = await purgeGivenUp(tx)
  if (lost === undefined || lost.job === null) return
  // A purge that ends holds its job before its own row.
  const job = await jobForUpdate(tx, lost.job)
  const now = await purgeForUpdate(tx, lost.id)
  if (job?.state !== 'failed' || now?.state !== 'running' || now.job !== job.id) return
  const said = whyLost(lost)
  await changePurge(tx, now.id, { state: 'failed', said, endedAt: clock.now() })
  await record(tx, clock, {
    operation: 'erasure',
    action: 'purge.ended',
    subject: { type: 'purge', id: now.id },
    outcome: 'failed',
    actor: by,
    detail: { hidden: now.hidden, erased: now.erased, said },
  })
}

/**
 * Starts a purge, or answers the one that is under way: there is never more than one, and one that gave up is ended first.
 * `person` is null for the daily one.
 */
export const startPurge = async (engines: Engines, person: Person | null): Promise<PurgeId> => {
  const { clock, config, db } = engines
  const by: Actor = person === null ? { kind: 'service', id: 'daily-purge' } : actor(person, 'purge.start')
  const started = await inTransaction(db, async (tx) => {
    await endLost(tx, engines, by)
    const id = newId<PurgeId>()
    const purge = { id, state: 'running', allowed: config.PURGE_BRAKE, batch: null, said: null } as const
    if ((await insertPurge(tx, { ...purge, startedBy: person?.id ?? null, startedAt: clock.now() })) === undefined)
      return await purgeUnderWay(tx)
    const cause = await record(tx, clock, {
      operation: 'erasure',
      action: 'purge.started',
      subject: { type: 'purge', id },
      actor: by,
    })
    await changePurge(tx, id, { job: await owe(tx, clock, 'purge', { purgeId: id }, { cause }) })
    return id
  })
  // The one that was under way may have ended at this very moment.
  return started ?? (await startPurge(engines, person))
}

/** The last time it struck PURGE_HOUR in the time zone of retention. */
const lastHour = ({ clock, config }: Pick<Engines, 'clock' | 'config'>): Date => {
  const now = clock.instant().toZonedDateTimeISO(config.RETENTION_TIME_ZONE)
  const today = now.toPlainDate().toZonedDateTime({ timeZone: now.timeZoneId, plainTime: { hour: config.PURGE_HOUR } })
  const struck = Temporal.ZonedDateTime.compare(today, now) <= 0 ? today : today.subtract({ days: 1 })
  return new Date(struck.epochMilliseconds)
}

const retryClockMs = 3_600_000

/** Whether the newest did nothing by a wrong clock, and not just now. By such a clock it may have ended at any time. */
const clockAgain = ({ clock }: Engines, { newest, stopped }: Standing): boolean =>
  stopped === 'clock' && Math.abs(clock.now().getTime() - (newest?.endedAt?.getTime() ?? 0)) >= retryClockMs

/**
 * Once a day, where there was something at that hour that a purge could look for, and every hour while the clocks keep it
 * from being done. Answers how many purges it started.
 */
export const startDailyPurge = async (engines: Engines): Promise<number> => {
  const at = lastHour(engines)
  const again = clockAgain(engines, await lookAtPurges(engines))
  if ((!again && (await startedSince(engines.db, at))) || !(await wasAnythingToDo(engines.db, at))) return 0
  await startPurge(engines, null)
  return 1
}

/** A purge, as it stands. Throws `not-found`. */
export const readPurge = async ({ db }: Engines, id: PurgeId) => {
  const purge = await purgeShown(db, id)
  if (purge === undefined) throw new Problem('not-found')
  return purgeView(purge)
}

const purgeView = (purge: ShownPurge) => {
  const { id, hidden, erased, held, failed, batch, startedBy, startedAt, endedAt } = purge
  const [state, said] = isLost(purge) ? (['failed', whyLost(purge)] as const) : [purge.state, purge.said]
  const times = { startedAt: iso(startedAt), endedAt: endedAt === null ? null : iso(endedAt) }
  return { id, state, hidden, erased, held, failed, batch, said, startedBy, ...times }
}

/** One page of all purges, newest first. Throws `bad-request` for a foreign cursor. */
export const listPurges = async ({ db }: Engines, limit: number, cursor: string | undefined) => {
  const [before] = cursor === undefined ? [] : decodeCursor(cursor)
  if (before !== undefined && !Value.Check(IdOf.purge, before)) throw cursorProblem()
  return cutPage(await purgesPage(db, before, limit + 1), limit, purgeView, ({ id }) => [id])
}

/** What becomes of what a purge that is given up was for, in words. */
const whyAbandoned = ({ state, hidden, erased }: PurgeRow): string => {
  const so = state === 'braked' ? 'It braked' : 'It was under way'
  const kept = hidden === 0 ? 'It had hidden nothing' : `What it had hidden (${hidden}) is in grace and can be restored`
  const gone = erased === 0 ? '' : `; what it had erased (${erased}) is gone`
  return `${so}, and a person gave it up. ${kept}${gone}; what is due stays due, and the next purge counts it anew.`
}

/**
 * Ends a purge that is under way, be it at work, stuck or braked. What it had hidden stays in grace, and what is due stays
 * due: the next one counts it anew. A worker that is at it hides nothing more and begins no erasure, though it ends those it
 * has begun. Throws `not-found`, `conflict`.
 */
export const abandonPurge = async (engines: Engines, person: Person, id: PurgeId, reason: string): Promise<void> => {
  const { clock, db } = engines
  await inTransaction(db, async (tx) => {
    // Whoever hides or begins to erase holds this row in the transaction that does it.
    const purge = await purgeForUpdate(tx, id)
    if (purge === undefined) throw new Problem('not-found')
    const { batch, hidden, erased, state } = purge
    if (state !== 'braked' && state !== 'running')
      throw new Problem('conflict', `The purge is ${state}: only one that is under way is given up.`)
    await changePurge(tx, id, { state: 'abandoned', said: whyAbandoned(purge), endedAt: clock.now() })
    await record(tx, clock, {
      operation: 'erasure',
      action: 'purge.abandoned',
      subject: { type: 'purge', id },
      actor: actor(person, 'purge.release'),
      purpose: reason,
      detail: { batch, hidden, erased, was: state },
    })
  })
}

/**
 * A second person lets a purge go on that braked. It may hide as many more as it found, and as many on top as any purge
 * may; if there are more by then, it brakes again. Throws `bad-request`, `not-found`, `conflict`, `same-person`.
 */
export const releasePurge = async (
  engines: Engines,
  person: Person,
  id: PurgeId,
  reason: string | undefined,
): Promise<void> => {
  const { clock, config, db } = engines
  const purpose = checkMaybeReason(config, person, reason)
  const act = {
    operation: 'erasure',
    subject: { type: 'purge', id },
    actor: actor(person, 'purge.release'),
    ...(purpose === undefined ? {} : { purpose }),
  } as const
  const samePerson = await inTransaction(db, async (tx) => {
    const purge = await purgeForUpdate(tx, id)
    if (purge === undefined) throw new Problem('not-found')
    if (purge.state !== 'braked') throw new Problem('conflict', `The purge is ${purge.state}: nothing holds it back.`)
    if (purge.startedBy === person.id) return true
    const allowed = purge.hidden + (purge.batch ?? 0) + config.PURGE_BRAKE
    await changePurge(tx, id, {
      state: 'running',
      allowed,
      said: null,
      releasedBy: person.id,
      releasedAt: clock.now(),
    })
    const detail = { batch: purge.batch, allowed }
    const cause = await record(tx, clock, { ...act, action: 'purge.released', detail })
    await changePurge(tx, id, { job: await owe(tx, clock, 'purge', { purgeId: id }, { cause }) })
    return false
  })
  if (!samePerson) return
  await recordRefusal(engines, { ...act, action: 'purge.release' })
  throw new Problem('same-person', 'Who started a purge does not release it.')
}
