import type { RecordingId } from '../base/ids.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import type { PurgeItemRow } from '../engines/retention-tables.ts'
import { signingKey } from '../ledger/keys/receipt-keys.ts'
import { eraseFromEntry, record, recordSealed } from '../ledger/record.ts'
import { endRequest } from '../recordings/queries.ts'
import { dateOf } from './date.ts'
import { countObjects, destroy, protectedUntil } from './destroying.ts'
import { oweExamination, type Purging, requestBehind, ruleInEntry, Spent } from './hiding.ts'
import { isHeld } from './hold-queries.ts'
import { instantOf } from './period.ts'
import { policyById } from './policy-queries.ts'
import { signErasure } from './proof.ts'
import {
  changeItem,
  countErased,
  dropRenditions,
  insertErasure,
  itemForUpdate,
  leaveTombstone,
  mayErase,
  sealedAbout,
  setStatus,
} from './purge-queries.ts'
import { lockRecording, subjectInTransaction } from './queries.ts'
import { serviceOf } from './simulations.ts'
import { isBy } from './sources.ts'

export type Erased = 'erased' | 'held' | 'failed' | 'gone'

/**
 * Erases a recording whose grace is over: looked at once more under lock, then every object deleted and asked for again, and
 * only when nothing is there any more is it erased, with its entry and its signed proof. Cut off anywhere, a next call goes
 * on. Throws `store-unavailable`, and `Spent` once the purge was given up.
 */
export const erase = async (engines: Engines, purging: Purging, id: RecordingId): Promise<Erased> => {
  // What is to be kept comes back whatever the store says: that it fails with this one too.
  const lockedUntil = await protectedUntil(engines, id).catch((error: Error) => error)
  const begun = await begin(engines, purging, id, lockedUntil)
  if (typeof begun === 'string') return begun
  const { item, upload } = begun
  if (item.objects === null) await changeItem(engines.db, item, { objects: await countObjects(engines, id) })
  const trouble = await destroy(engines, id, upload)
  if (trouble !== undefined) {
    await complain(engines, purging, id, trouble)
    return 'failed'
  }
  return await conclude(engines, purging, id)
}

/** A purge that was given up begins nothing more. */
const mustBeUnderWay = async (tx: Tx, purge: Purging['id']): Promise<void> => {
  if (!(await mayErase(tx, purge))) throw new Spent()
}

type Begun = { item: PurgeItemRow; upload: Parameters<typeof leaveTombstone>[2] }

/**
 * From here on it is neither served nor restored, unless its facts say by now that it is to be kept. `lockedUntil`: what the
 * store says, or why it does not, which is thrown where it matters.
 */
const begin = async (
  engines: Engines,
  { id: purge, run }: Purging,
  id: RecordingId,
  lockedUntil: Date | null | Error,
): Promise<Begun | Erased> => {
  const { clock, config, db } = engines
  return await inTransaction(db, async (tx) => {
    const recording = await lockRecording(tx, id, 'update')
    const item = await itemForUpdate(tx, id)
    if (recording === undefined || item === undefined) return 'gone'
    if (item.state === 'erasing') {
      await mustBeUnderWay(tx, purge)
      return { item, upload: recording.upload }
    }
    const subject = await subjectInTransaction(tx, id)
    const now = instantOf(clock.now())
    if (subject === undefined) return 'gone'
    const { when, decided } = dateOf(subject.facts, config.RETENTION_TIME_ZONE)
    if (!isBy(when, now)) {
      await mustBeUnderWay(tx, purge)
      await keep(tx, engines, { id: purge, run }, item, decided.words)
      return 'held'
    }
    if (item.state === 'hiding' || item.graceUntil > clock.now()) return 'gone'
    if (lockedUntil instanceof Error) throw lockedUntil
    await mustBeUnderWay(tx, purge)
    if (lockedUntil !== null) {
      await changeItem(tx, item, { said: `The store protects it until ${iso(lockedUntil)}.` })
      return 'failed'
    }
    const request = requestBehind(subject, decided)
    const rule = { policy: subject.policy?.id ?? null, request }
    await changeItem(tx, item, { state: 'erasing', said: null, ...rule })
    await dropRenditions(tx, id)
    await record(tx, clock, {
      operation: 'erasure',
      action: 'recording.erasure-begun',
      subject: { type: 'recording', id },
      actor: serviceOf('purge', run),
      policy: ruleInEntry(subject, request),
      detail: { purge, because: decided.words },
    })
    return { item: { ...item, ...rule, state: 'erasing' }, upload: recording.upload }
  })
}

/** Under a hold it stays hidden, which is what a hold promises. Whatever else keeps it, brings it back. */
const keep = async (
  tx: Tx,
  engines: Engines,
  { id: purge, run }: Purging,
  item: PurgeItemRow,
  because: string,
): Promise<void> => {
  const { clock } = engines
  const { recording } = item
  await changeItem(tx, item, { said: because })
  if (await isHeld(tx, recording)) return
  await changeItem(tx, item, { state: 'restored', endedAt: clock.now() })
  await setStatus(tx, recording, item.previous)
  const cause = await record(tx, clock, {
    operation: 'alteration',
    action: 'recording.restored',
    subject: { type: 'recording', id: recording },
    actor: serviceOf('purge', run),
    detail: { purge, because },
  })
  await oweExamination(tx, engines, item, cause)
}

/**
 * Says of a hidden recording why a purge could not deal with it; the next one tries again. An erasure that was not carried
 * out is an alarm: an entry and a metric.
 */
export const complain = async (
  { clock, db, log, metrics }: Engines,
  { id: purge, run }: Purging,
  id: RecordingId,
  why: string,
): Promise<void> => {
  const overdue = await inTransaction(db, async (tx) => {
    const item = await itemForUpdate(tx, id)
    if (item === undefined) return false
    await changeItem(tx, item, { said: why })
    if (item.state !== 'erasing' && (item.state === 'hiding' || item.graceUntil > clock.now())) return false
    await record(tx, clock, {
      operation: 'erasure',
      action: 'recording.erasure-failed',
      subject: { type: 'recording', id },
      outcome: 'failed',
      actor: serviceOf('purge', run),
      detail: { purge, why },
    })
    return true
  })
  if (overdue) metrics.erasuresFailed.inc()
  log.error(
    { recording: id, why },
    overdue ? 'an erasure was not carried out' : 'a purge could not deal with a recording',
  )
}

/** Nothing is there any more: the one transaction that says so. */
const conclude = async (engines: Engines, { id: purge, run }: Purging, id: RecordingId): Promise<Erased> => {
  const { clock, config, db } = engines
  return await inTransaction(db, async (tx) => {
    const recording = await lockRecording(tx, id, 'update')
    const item = await itemForUpdate(tx, id)
    if (recording === undefined || item?.state !== 'erasing') return 'gone'
    if (recording.sha256 === null) throw new Error('a recording in custody without its digest')
    const policy = item.policy === null ? undefined : await policyById(tx, item.policy)
    const key = await signingKey(tx, engines)
    const at = clock.now()
    const authority = item.request === null ? `policy ${item.policy}` : `deletion-request ${item.request}`
    const stated = {
      ...(policy === undefined ? {} : { policyVersion: policy.version }),
      objects: item.objects ?? 0,
      sha256: recording.sha256,
      authority,
    }
    const entry = await recordSealed(tx, clock, {
      operation: 'erasure',
      action: 'recording.erased',
      subject: { type: 'recording', id },
      actor: serviceOf('purge', run),
      detail: {
        ...stated,
        purge,
        size: recording.size,
        hiddenAt: iso(item.hiddenAt),
        graceUntil: iso(item.graceUntil),
      },
    })
    for (const { id: about, part } of await sealedAbout(tx, id, recording.upload, policy?.sealed ?? []))
      await eraseFromEntry(tx, clock, about, part, {
        action: 'entry.part-erased',
        actor: serviceOf('purge', run),
        detail: { part, recording: id, because: entry.id },
      })
    const jws = await signErasure(
      {
        iss: config.RECEIPT_ISSUER,
        iat: Math.floor(at.getTime() / 1000),
        recordingId: id,
        erasedAt: iso(at),
        ...stated,
        entryId: entry.id,
        leaf: entry.leaf.toString('hex'),
      },
      key,
    )
    await insertErasure(tx, { recording: id, purge, erasedAt: at, objects: stated.objects, entry: entry.id, jws })
    await leaveTombstone(tx, id, recording.upload)
    await changeItem(tx, item, { state: 'erased', said: null, endedAt: at })
    await endRequest(tx, id, at)
    await countErased(tx, purge)
    return 'erased'
  })
}
