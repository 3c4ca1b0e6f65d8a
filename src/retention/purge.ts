import type { PurgeId, RecordingId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import type { PurgeRow } from '../engines/retention-tables.ts'
import type { Outcome, Run } from '../jobs/catalogue.ts'
import { isOutage, wordsOf } from '../jobs/job.ts'
import { record } from '../ledger/record.ts'
import { clocksInWords } from './clocks.ts'
import { complain, erase } from './erasing.ts'
import { hide, protect, Spent } from './hiding.ts'
import { instantOf } from './period.ts'
import { changePurge, itemsToErase, purgeById, purgeForUpdate, unprotectedItems } from './purge-queries.ts'
import { serviceOf } from './simulations.ts'
import { candidates, isBy } from './sources.ts'

type Job = Pick<Run, 'jobId' | 'attempt' | 'cause' | 'signal' | 'progress' | 'fence'>
/** `putOff`: how the store failed with single ones, which the next attempt tries again, or the next purge. */
type Working = {
  engines: Engines
  id: PurgeId
  run: Job
  held: number
  failed: number
  done: number
  putOff: Map<RecordingId, Problem>
}

/** Items at once: each waits for the store and the database in turn. */
const atOnce = 4
const pageSize = 200
/** From this attempt on, what the store fails with alone keeps no purge from its end. */
const lastTry = 6
/** Where it fails with more in one attempt, whichever that is, it is the store that is away: throttled, or short of a disk. */
const putOffAtMost = 20

/**
 * One purge: hides what is due, lets the store protect it, and erases whose grace is over. Every item is looked at under
 * lock and in a transaction of its own, so it may be cut off anywhere and a next attempt goes on; two attempts at one moment
 * harm nothing. What the store fails with alone is tried in some attempts, then left to the next purge. Throws when the store
 * or the database is away.
 */
export const runPurge = async (engines: Engines, id: PurgeId, run: Job): Promise<Outcome> => {
  const purge = await purgeById(engines.db, id)
  if (purge?.state !== 'running') return skipped(purge)
  const working: Working = { engines, id, run, held: 0, failed: 0, done: 0, putOff: new Map() }
  const wrongClock = await clocksInWords(engines)
  if (wrongClock !== undefined) return await end(working, wrongClock)
  for (let all = false; !all; ) {
    const stopped = await brakes(working)
    if (stopped !== undefined) return stopped
    all = await hideDue(working)
    await protectHidden(working)
  }
  if (!(await eraseOver(working))) return skipped(await purgeById(engines.db, id))
  const [trouble] = working.putOff.values()
  if (trouble !== undefined && run.attempt < lastTry) throw trouble
  await leaveToNext(working)
  return await end(working, null)
}

const skipped = (purge: PurgeRow | undefined): Outcome => ({
  outcome: 'skipped',
  because: `the purge is ${purge?.state ?? 'not there'}`,
})

const dueUntil = ({ engines }: Working) => instantOf(engines.clock.now())

const counted = (count: number): string => (count === 1 ? '1 recording' : `${count} recordings`)

const whyBraked = ({ hidden, erased, allowed }: PurgeRow, batch: number): string =>
  hidden + erased === 0
    ? `${batch} recordings are due, and a purge may hide ${allowed}: a second person has to release it, or somebody to give it up. Nothing was hidden and nothing erased.`
    : `It had hidden ${counted(hidden)} when it found ${batch} more due, and a purge may hide ${allowed}: a second person has to release it, or somebody to give it up. What it has hidden is in grace and can be restored; nothing more is hidden or erased until then.`

/**
 * Looks at everything that is due before the first of it is hidden: a batch larger than allowed stops whole, and what an
 * earlier attempt has hidden counts. What comes to be due after that is stopped where it is hidden, and counted here.
 */
const brakes = async (working: Working): Promise<Outcome | undefined> => {
  const { engines, id, run } = working
  const { clock, config, db } = engines
  const purge = await purgeById(db, id)
  if (purge?.state !== 'running') return skipped(purge)
  const until = dueUntil(working)
  let batch = 0
  for await (const page of candidates(db, until, config.RETENTION_TIME_ZONE)) {
    run.signal.throwIfAborted()
    batch += page.filter(({ verdict }) => isBy(verdict.when, until)).length
    run.progress(0.1)
  }
  if (purge.hidden + batch <= purge.allowed) return undefined
  await inTransaction(db, async (tx) => {
    await run.fence(tx)
    const now = await purgeForUpdate(tx, id)
    if (now?.state !== 'running') return
    await changePurge(tx, id, { state: 'braked', batch, said: whyBraked(now, batch) })
    await record(tx, clock, {
      operation: 'erasure',
      action: 'purge.braked',
      subject: { type: 'purge', id },
      outcome: 'denied',
      actor: serviceOf('purge', run),
      detail: { batch, allowed: now.allowed, hidden: now.hidden },
    })
  })
  engines.log.warn({ purge: id, batch, allowed: purge.allowed }, 'a purge braked')
  return { outcome: 'done', said: 'braked' }
}

/** The problem where the store answers, and fails with this one alone. */
const troubleWithOne = async ({ store }: Engines, error: unknown): Promise<Problem | undefined> => {
  if (!(error instanceof Problem) || error.code !== 'store-unavailable') return undefined
  try {
    await store.answers()
    return error
  } catch {
    return undefined
  }
}

/** Notes that one could not be dealt with, or throws where that is no trouble of its own. */
const leave = async (working: Working, id: RecordingId, error: unknown): Promise<void> => {
  const { engines, id: purge, putOff, run } = working
  if (error instanceof Spent || run.signal.aborted) throw error
  if (!isOutage(error)) {
    working.failed += 1
    await complain(engines, { id: purge, run }, id, wordsOf(error))
    return
  }
  const trouble = await troubleWithOne(engines, error)
  if (trouble === undefined || putOff.set(id, trouble).size > putOffAtMost) throw error
}

/** Not before all were tried: only then is it known that the store fails with these alone. */
const leaveToNext = async (working: Working): Promise<void> => {
  const { engines, id: purge, putOff, run } = working
  for (const id of putOff.keys()) {
    working.failed += 1
    await complain(engines, { id: purge, run }, id, 'The store answers, and fails with this recording each time.')
  }
}

/** Works at several items at once; what goes wrong with one is said there and hinders no other, unless it is an outage. */
const each = async (
  working: Working,
  ids: readonly RecordingId[],
  work: (id: RecordingId) => Promise<void>,
): Promise<void> => {
  const { run } = working
  const one = async (id: RecordingId): Promise<void> => await work(id).catch((error) => leave(working, id, error))
  for (let first = 0; first < ids.length; first += atOnce) {
    run.signal.throwIfAborted()
    const results = await Promise.allSettled(ids.slice(first, first + atOnce).map(one))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    working.done += results.length
    run.progress(working.done / (working.done + 100))
  }
}

/** False when it came upon the brake. */
const hideDue = async (working: Working): Promise<boolean> => {
  const { engines, id: purge, run } = working
  const { config, db } = engines
  const until = dueUntil(working)
  working.held = 0
  try {
    for await (const page of candidates(db, until, config.RETENTION_TIME_ZONE)) {
      const due = page.filter(({ verdict }) => isBy(verdict.when, until))
      working.held += page.length - due.length
      await each(
        working,
        due.map(({ subject }) => subject.id),
        async (id) => {
          if ((await hide(engines, { id: purge, run }, id)) === 'held') working.held += 1
        },
      )
    }
  } catch (error) {
    if (error instanceof Spent) return false
    throw error
  }
  return true
}

/** What was hidden now, and what an attempt that was cut off, or a store that refused, left unprotected before. */
const protectHidden = async (working: Working): Promise<void> => {
  const { engines } = working
  for (let after: RecordingId | undefined; ; ) {
    const items = await unprotectedItems(engines.db, after, pageSize)
    const byId = new Map(items.map((item) => [item.recording, item]))
    await each(working, [...byId.keys()], async (id) => {
      const item = byId.get(id)
      if (item !== undefined) await protect(engines, item)
    })
    after = items.at(-1)?.recording
    if (after === undefined || items.length < pageSize) return
  }
}

/** False when the purge was given up meanwhile. */
const eraseOver = async (working: Working): Promise<boolean> => {
  const { engines, id: purge, run } = working
  const by = engines.clock.now()
  const one = async (id: RecordingId): Promise<void> => {
    const outcome = await erase(engines, { id: purge, run }, id)
    if (outcome === 'held') working.held += 1
    if (outcome === 'failed') working.failed += 1
  }
  try {
    for (let after: { at: string; recording: RecordingId } | undefined; ; ) {
      const items = await itemsToErase(engines.db, by, after, pageSize)
      await each(
        working,
        items.map(({ recording }) => recording),
        one,
      )
      after = items.at(-1)
      if (after === undefined || items.length < pageSize) return true
    }
  } catch (error) {
    if (error instanceof Spent) return false
    throw error
  }
}

const end = async ({ engines, id, run, held, failed }: Working, said: string | null): Promise<Outcome> => {
  const { clock, db } = engines
  const counts = await inTransaction(db, async (tx) => {
    await run.fence(tx)
    const now = await purgeForUpdate(tx, id)
    if (now?.state !== 'running') return undefined
    await changePurge(tx, id, { state: 'done', held, failed, said, endedAt: clock.now() })
    const found = { hidden: now.hidden, erased: now.erased, held, failed }
    await record(tx, clock, {
      operation: 'erasure',
      action: 'purge.ended',
      subject: { type: 'purge', id },
      ...(said === null ? {} : { outcome: 'failed' }),
      actor: serviceOf('purge', run),
      detail: { ...found, ...(said === null ? {} : { said }) },
    })
    return found
  })
  if (counts === undefined) return { outcome: 'skipped', because: 'the purge ended meanwhile' }
  if (said === null) engines.log.info({ purge: id, ...counts }, 'a purge ended')
  else engines.log.warn({ purge: id, said }, 'a purge did nothing')
  return { outcome: 'done', said: said ?? `${counts.hidden} hidden, ${counts.erased} erased` }
}
