import type { EntryId, PurgeId, RecordingId, RequestId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import type { PurgeItemRow } from '../engines/retention-tables.ts'
import type { Run } from '../jobs/catalogue.ts'
import { owe } from '../jobs/outbox.ts'
import { record } from '../ledger/record.ts'
import { originalKey } from '../uploads/upload.ts'
import { dateOf, type Rule } from './date.ts'
import { endFrom, instantOf } from './period.ts'
import { usualGrace } from './policies.ts'
import { countHidden, insertItem, markProtected, setStatus } from './purge-queries.ts'
import { lockRecording, type Subject, subjectInTransaction } from './queries.ts'
import { serviceOf } from './simulations.ts'
import { isBy } from './sources.ts'

export type Purging = { id: PurgeId; run: Pick<Run, 'jobId' | 'cause'> }

/** The request to delete by which a recording is hidden or erased, where it is one. */
export const requestBehind = ({ request }: Subject, { rule }: Rule): RequestId | null =>
  rule === 'deletion-request' ? request : null

/** What an entry says of the rule under which something is hidden or erased. */
export const ruleInEntry = ({ policy, facts }: Subject, request: RequestId | null) => ({
  category: facts.category,
  ...(policy === null
    ? {}
    : { id: policy.id, version: policy.version, trigger: policy.trigger, period: policy.period, grace: policy.grace }),
  ...(request === null ? {} : { request }),
})

/** The purge has hidden as many as it may, or is not running any more: what was to be hidden is not. */
export class Spent extends Error {}

/**
 * Hides a recording whose time has come: under lock, and by its facts as they are then. `held`: a hold or an open case keeps
 * it; `not-due`: it is not due any more, or hidden already. Throws `Spent`.
 */
export const hide = async (
  engines: Engines,
  { id: purge, run }: Purging,
  id: RecordingId,
): Promise<'hidden' | 'held' | 'not-due'> => {
  const { clock, config, db } = engines
  const zone = config.RETENTION_TIME_ZONE
  return await inTransaction(db, async (tx) => {
    const recording = await lockRecording(tx, id, 'update')
    const previous = recording?.status
    if (previous !== 'verified' && previous !== 'active') return 'not-due'
    const subject = await subjectInTransaction(tx, id)
    if (subject === undefined) return 'not-due'
    const hiddenAt = clock.now()
    const now = instantOf(hiddenAt)
    const { when, otherwise, decided } = dateOf(subject.facts, zone)
    if (!isBy(when, now)) return isBy(otherwise, now) ? 'held' : 'not-due'
    const grace = subject.policy?.grace ?? usualGrace
    const graceUntil = new Date(endFrom(now, grace, zone).epochMilliseconds)
    const request = requestBehind(subject, decided)
    const item = { purge, recording: id, policy: subject.policy?.id ?? null, request, previous, hiddenAt, graceUntil }
    const row = { ...item, state: 'hiding', lockedUntil: null, objects: null, said: null, endedAt: null } as const
    await insertItem(tx, row)
    await setStatus(tx, id, 'grace')
    await record(tx, clock, {
      operation: 'erasure',
      action: 'recording.hidden',
      subject: { type: 'recording', id },
      actor: serviceOf('purge', run),
      policy: ruleInEntry(subject, request),
      detail: { purge, because: decided.words, until: graceUntil.toISOString() },
    })
    // The purge's row comes last, so that those who hide at the same time wait for each other's commit alone.
    if (!(await countHidden(tx, purge))) throw new Spent()
    return 'hidden'
  })
}

/** What was hidden before anybody had looked into it, or before it was made playable, has that done now that it is back. */
export const oweExamination = async (
  tx: Tx,
  { clock }: Pick<Engines, 'clock'>,
  { previous, recording }: PurgeItemRow,
  cause: EntryId,
): Promise<void> => {
  const name = previous === 'verified' ? 'take-into-custody' : 'make-renditions'
  await owe(tx, clock, name, { recordingId: recording }, { cause })
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && ['NoSuchKey', 'NoSuchVersion', 'NotFound'].includes(error.name)

/** Stores tell their time in whole seconds. */
const wholeSecondMs = 1000
/** A store needs a moment between being told of a lock and its end. */
const shortestMs = 1500

/**
 * Lets the store itself protect what is hidden, for as long as its grace, counted by the store's own clock. Repeatable.
 * What is hidden stays so whether this succeeds or not.
 */
export const protect = async (engines: Engines, item: PurgeItemRow): Promise<void> => {
  const { config, db, enforced, log, store } = engines
  const { recording, graceUntil, hiddenAt } = item
  const { objectVersion: version } = await db
    .selectFrom('recordings')
    .select('objectVersion')
    .where('id', '=', recording)
    .executeTakeFirstOrThrow()
  const promises = await enforced.learn()
  if (promises === undefined) throw new Problem('store-unavailable', 'What the store enforces could not be learnt.')
  let lockedUntil: Date | null = null
  if (promises.lock && version !== null) {
    const graceMs = graceUntil.getTime() - hiddenAt.getTime()
    const lengthMs = config.RETENTION_LOCK_SECONDS > 0 ? config.RETENTION_LOCK_SECONDS * 1000 : graceMs
    const until = new Date((await store.now()).getTime() + Math.max(lengthMs, shortestMs))
    try {
      lockedUntil = await store.lock(originalKey(recording), version, until)
    } catch (error) {
      if (isMissing(error)) log.error({ recording }, 'the store lacks an original that is to be protected')
      // A lock of a moment may be over before the store is told of it.
      else if ((await store.now()).getTime() + wholeSecondMs < until.getTime()) throw error
    }
  }
  await markProtected(db, item, lockedUntil)
}
