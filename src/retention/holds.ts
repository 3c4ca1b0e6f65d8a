import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { type HoldId, IdOf, newId, type RecordingId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import type { HoldKind } from '../engines/retention-tables.ts'
import type { Outcome } from '../jobs/catalogue.ts'
import { owe } from '../jobs/outbox.ts'
import { record } from '../ledger/record.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { cutPage } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { checkMaybeReason, checkReason } from '../people/reasons.ts'
import { seesAll } from '../people/visibility.ts'
import { refuseUnseen } from '../recordings/actions.ts'
import { catalogueRow, recordingExists } from '../recordings/queries.ts'
import { originalKey } from '../uploads/upload.ts'
import { type HoldShown, holdById, holdsPage, insertHold, isHeld, openItem, releaseRow } from './hold-queries.ts'
import { checkDay, dayOf, instantOf } from './period.ts'
import { lockRecording } from './queries.ts'

type Order = { kind: HoldKind; reason: string; reviewOn?: string | undefined }

/** Puts a hold on a recording whose row the caller holds, with its entry, and owes the store's own hold. */
export const putHold = async (tx: Tx, engines: Engines, person: Person, recording: RecordingId, order: Order) => {
  const { clock } = engines
  const { kind, reason, reviewOn } = order
  const id = newId<HoldId>()
  const placedAt = clock.now()
  const entry = await record(tx, clock, {
    operation: 'administration',
    action: 'recording.held',
    subject: { type: 'recording', id: recording },
    actor: actor(person, kind === 'restored' ? 'recording.restore' : 'hold.place'),
    purpose: reason,
    detail: { hold: id, kind, ...(reviewOn === undefined ? {} : { reviewOn }) },
  })
  await insertHold(tx, { id, recording, kind, reviewOn: reviewOn ?? null, placedBy: person.id, placedAt, entry })
  await owe(tx, clock, 'hold-original', { recordingId: recording }, { cause: entry })
  return { id, placedAt }
}

/**
 * Keeps a recording from being destroyed, whatever any rule says, until the hold is released. In grace it restores nothing
 * but stops the erasure. Throws `bad-request`, `not-found`, `erased`, `conflict` once the erasure has begun.
 */
export const placeHold = async (engines: Engines, person: Person, id: RecordingId, order: Order) => {
  const { clock, config, db } = engines
  const reason = checkReason(config, person, order.reason)
  const { kind, reviewOn } = order
  if (reviewOn !== undefined) checkDay(reviewOn, 'The day of the review')
  if (reviewOn !== undefined && reviewOn < dayOf(instantOf(clock.now()), config.RETENTION_TIME_ZONE))
    throw new Problem('bad-request', 'The day of the review is over already.')
  const placed = await inTransaction(db, async (tx) => {
    const recording = await lockRecording(tx, id, 'share')
    if (recording === undefined || (await catalogueRow(tx, person, id)) === undefined) return undefined
    if (recording.status === 'erased')
      return new Problem('erased', 'The recording was erased: there is nothing to hold.')
    const item = await openItem(tx, id)
    if (item?.state === 'erasing')
      return new Problem('conflict', 'Its erasure has begun: there is nothing whole to hold.')
    const hold = await putHold(tx, engines, person, id, { kind, reason, reviewOn })
    return { hold, hidden: item !== undefined }
  })
  if (placed === undefined) return await refuseUnseen(engines, person, id, 'hold.place')
  if (placed instanceof Problem) {
    await recordRefusal(engines, {
      operation: 'administration',
      action: 'hold.place',
      subject: { type: 'recording', id },
      actor: actor(person, 'hold.place'),
      purpose: reason,
      detail: { kind },
    })
    throw placed
  }
  const said = placed.hidden
    ? 'The recording stays hidden, and is not erased while the hold is on it. To have it back, restore it.'
    : 'The recording is not destroyed while the hold is on it.'
  const { hold } = placed
  return { id: hold.id, recordingId: id, kind, reviewOn: reviewOn ?? null, placedAt: iso(hold.placedAt), said }
}

/** Releases a hold: who placed it may, and supervisors. Throws `not-found`, `not-allowed`, `conflict`. */
export const releaseHold = async (
  engines: Engines,
  person: Person,
  id: HoldId,
  reason: string | undefined,
): Promise<void> => {
  const { clock, config, db } = engines
  const purpose = checkMaybeReason(config, person, reason)
  const hold = await holdById(db, id)
  if (hold === undefined) throw new Problem('not-found')
  const act = {
    operation: 'administration',
    subject: { type: 'recording', id: hold.recording },
    actor: actor(person, 'hold.release'),
    ...(purpose === undefined ? {} : { purpose }),
    detail: { hold: id, kind: hold.kind },
  } as const
  if (hold.placedBy !== person.id && !person.roles.includes('supervisor')) {
    await recordRefusal(engines, { ...act, action: 'hold.release' })
    throw new Problem('not-allowed', 'Who placed a hold may release it, and supervisors.')
  }
  await inTransaction(db, async (tx) => {
    await lockRecording(tx, hold.recording, 'share')
    if (!(await releaseRow(tx, id, person.id, clock.now())))
      throw new Problem('conflict', 'The hold was released already.')
    const cause = await record(tx, clock, { ...act, action: 'recording.hold-released' })
    await owe(tx, clock, 'hold-original', { recordingId: hold.recording }, { cause })
  })
}

const holdView = ({ id, kind, reason, reviewOn, placedBy, placedAt, releasedBy, releasedAt }: HoldShown) => ({
  id,
  kind,
  reason,
  reviewOn,
  placedBy,
  placedAt: iso(placedAt),
  releasedBy,
  releasedAt: releasedAt === null ? null : iso(releasedAt),
})

/** What an officer is not told of a hold: it may be for a complaint about them. */
const unsaid = { kind: null, reason: null, reviewOn: null, placedBy: null, releasedBy: null }

/**
 * The holds on a recording, those that were released too, newest first; an officer learns only that they are there. Reading
 * them is an entry. Throws `not-found`.
 */
export const listHolds = async (
  engines: Engines,
  person: Person,
  id: RecordingId,
  limit: number,
  cursor: string | undefined,
) => {
  const { clock, db } = engines
  const [before] = cursor === undefined ? [] : decodeCursor(cursor)
  if (before !== undefined && !Value.Check(IdOf.hold, before)) throw cursorProblem()
  const page = await inTransaction(db, async (tx) => {
    if ((await catalogueRow(tx, person, id)) === undefined) return undefined
    await record(tx, clock, {
      operation: 'consultation',
      action: 'hold.list',
      subject: { type: 'recording', id },
      actor: actor(person, 'hold.list'),
    })
    return cutPage(
      await holdsPage(tx, id, before, limit + 1),
      limit,
      (row) => (seesAll(person) ? holdView(row) : { ...holdView(row), ...unsaid }),
      (row) => [row.id],
    )
  })
  return page ?? (await refuseUnseen(engines, person, id, 'hold.list'))
}

/** Brings the store's legal hold on the original in line with the holds there are. Repeatable. */
export const holdOriginal = async (engines: Engines, id: RecordingId): Promise<Outcome> => {
  const { db, enforced, store } = engines
  if ((await enforced.learn())?.lock !== true) return { outcome: 'skipped', because: 'the store enforces no locks' }
  if (!(await recordingExists(db, id))) return { outcome: 'skipped', because: 'there is no such recording' }
  for (let before: boolean | undefined; ; ) {
    const held = await isHeld(db, id)
    if (held === before) return { outcome: 'done', said: held ? 'held in the store too' : 'not held in the store' }
    const recording = await inTransaction(db, async (tx) => await lockRecording(tx, id, 'share'))
    if (recording?.objectVersion == null || recording.status === 'erased')
      return { outcome: 'skipped', because: 'there is no original to hold' }
    await store.setLegalHold(originalKey(id), recording.objectVersion, held)
    before = held
  }
}
