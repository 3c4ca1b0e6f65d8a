import { newId, type RecordingId, type RequestId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { lockFile } from '../custody/queries.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { actor, type Person } from '../people/person.ts'
import { checkMaybeReason } from '../people/reasons.ts'
import { takeBackRequest } from '../recordings/deletion-requests.ts'
import { endRequest } from '../recordings/queries.ts'
import { approveRequest, insertRequest, markReadmitted, requestForUpdate } from './decision-queries.ts'
import { oweExamination } from './hiding.ts'
import { putHold } from './holds.ts'
import { dayOf, instantOf } from './period.ts'
import { changeItem, itemForUpdate, setStatus } from './purge-queries.ts'
import { lockRecording } from './queries.ts'

/** Days until somebody looks again at what was restored. */
const reviewAfter = { days: 30 }

/**
 * Brings a hidden recording back. A hold of kind `restored` comes with it, since by its date it would be due again the next
 * day; a request to delete it is over. Throws `not-found`, `erased`, `conflict`.
 */
export const restore = async (engines: Engines, person: Person, id: RecordingId, reason: string) => {
  const { clock, config, db } = engines
  return await inTransaction(db, async (tx) => {
    const recording = await lockRecording(tx, id, 'update')
    if (recording === undefined) throw new Problem('not-found')
    if (recording.status === 'erased')
      throw new Problem('erased', 'The recording was erased: nothing is left to restore.')
    const item = await itemForUpdate(tx, id)
    if (item === undefined || recording.status !== 'grace')
      throw new Problem('conflict', `The recording is ${recording.status}: there is nothing to restore.`)
    if (item.state === 'erasing') throw new Problem('conflict', 'Its erasure has begun: there is no way back.')
    const today = Temporal.PlainDate.from(dayOf(instantOf(clock.now()), config.RETENTION_TIME_ZONE))
    const reviewOn = today.add(reviewAfter).toString()
    await changeItem(tx, item, { state: 'restored', endedAt: clock.now() })
    await setStatus(tx, id, item.previous)
    const request = await endRequest(tx, id, clock.now())
    const cause = await record(tx, clock, {
      operation: 'alteration',
      action: 'recording.restored',
      subject: { type: 'recording', id },
      actor: actor(person, 'recording.restore'),
      purpose: reason,
      detail: { purge: item.purge, ...(request === undefined ? {} : { request: request.id }) },
    })
    await oweExamination(tx, engines, item, cause)
    const hold = await putHold(tx, engines, person, id, { kind: 'restored', reason, reviewOn })
    const said = `A hold keeps it, to be reviewed on ${reviewOn}: released, its retention decides again.`
    return { id, status: item.previous, holdId: hold.id, reviewOn, said }
  })
}

/** Asks that a recording be destroyed before its time. Nothing happens until another person approves. Throws `not-found`, `conflict`. */
export const askDeletion = async (engines: Engines, person: Person, id: RecordingId, reason: string): Promise<void> => {
  const { clock, db } = engines
  await inTransaction(db, async (tx) => {
    const recording = await lockRecording(tx, id, 'update')
    if (recording === undefined) throw new Problem('not-found')
    if (recording.status !== 'verified' && recording.status !== 'active')
      throw new Problem('conflict', `The recording is ${recording.status}: its deletion cannot be asked for.`)
    if ((await requestForUpdate(tx, id)) !== undefined)
      throw new Problem('conflict', 'Its deletion was asked for already; another person may approve it.')
    const request = newId<RequestId>()
    await insertRequest(tx, { id: request, recording: id, askedBy: person.id, askedAt: clock.now() })
    await record(tx, clock, {
      operation: 'erasure',
      action: 'recording.deletion-asked',
      subject: { type: 'recording', id },
      actor: actor(person, 'deletion.ask'),
      purpose: reason,
      detail: { request },
    })
  })
}

/**
 * A second person approves: the recording is due at once, unless a hold, an open case or an event of its cases keeps it, and
 * goes by way of grace as any other. Throws `bad-request`, `not-found`, `conflict`, `same-person`.
 */
export const approveDeletion = async (
  engines: Engines,
  person: Person,
  id: RecordingId,
  reason: string | undefined,
): Promise<void> => {
  const { clock, config, db } = engines
  const purpose = checkMaybeReason(config, person, reason)
  const act = {
    operation: 'erasure',
    subject: { type: 'recording', id },
    actor: actor(person, 'deletion.approve'),
    ...(purpose === undefined ? {} : { purpose }),
  } as const
  const samePerson = await inTransaction(db, async (tx) => {
    const recording = await lockRecording(tx, id, 'update')
    if (recording === undefined) throw new Problem('not-found')
    const request = await requestForUpdate(tx, id)
    if (request === undefined) throw new Problem('conflict', 'Nobody asked for its deletion.')
    if (request.approvedAt !== null) throw new Problem('conflict', 'Its deletion was approved already.')
    if (request.askedBy === person.id) return true
    await approveRequest(tx, request.id, person.id, clock.now())
    const detail = { request: request.id, askedBy: request.askedBy }
    await record(tx, clock, { ...act, action: 'recording.deletion-approved', detail })
    return false
  })
  if (!samePerson) return
  await recordRefusal(engines, { ...act, action: 'deletion.approve' })
  throw new Problem('same-person')
}

/**
 * Takes a request back, approved or not, as long as the erasure has not begun. What it has hidden comes back with the next
 * purge, unless another rule has made it due. Throws `not-found`, `conflict`.
 */
export const withdrawDeletion = async (
  engines: Engines,
  person: Person,
  id: RecordingId,
  reason: string,
): Promise<void> => {
  const { clock, db } = engines
  await inTransaction(db, async (tx) => {
    const recording = await lockRecording(tx, id, 'update')
    if (recording === undefined) throw new Problem('not-found')
    if (recording.status === 'erased')
      throw new Problem('conflict', 'The recording was erased: there is nothing to take back.')
    if ((await requestForUpdate(tx, id)) === undefined) throw new Problem('conflict', 'Nobody asked for its deletion.')
    if ((await itemForUpdate(tx, id))?.state === 'erasing')
      throw new Problem('conflict', 'Its erasure has begun: there is no way back.')
    await takeBackRequest(tx, clock, id, { actor: actor(person, 'deletion.ask'), purpose: reason })
  })
}

/** Lets docks bring an erased file again, once: it becomes a recording of its own. Throws `not-found`, `conflict`. */
export const readmit = async (engines: Engines, person: Person, id: RecordingId, reason: string): Promise<void> => {
  const { clock, db } = engines
  await inTransaction(db, async (tx) => {
    const recording = await lockRecording(tx, id, 'update')
    if (recording === undefined) throw new Problem('not-found')
    if (recording.status !== 'erased' || recording.sha256 === null)
      throw new Problem('conflict', `The recording is ${recording.status}: only an erased file is re-admitted.`)
    if (recording.readmittedAt !== null) throw new Problem('conflict', 'The file was re-admitted already.')
    await lockFile(tx, recording.camera, recording.size, recording.sha256)
    await markReadmitted(tx, id, clock.now())
    await record(tx, clock, {
      operation: 'collection',
      action: 'recording.readmitted',
      subject: { type: 'recording', id },
      actor: actor(person, 'recording.readmit'),
      purpose: reason,
    })
  })
}
