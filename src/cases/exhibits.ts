import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { type CaseId, type ClipId, type EntryId, type ExhibitId, IdOf, newId, type RecordingId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { isGivenUp } from '../custody/queries.ts'
import type { Engines } from '../engines/engines.ts'
import { brokeConstraint, type Tx } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { cutPage, defaultLimit } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { takeBackRequest } from '../recordings/deletion-requests.ts'
import { recordingExists } from '../recordings/queries.ts'
import { asked, caseOfMember, caseToChange, mustBeOpen, placeOfExhibit, Refusal } from './access.ts'
import { type ExhibitWords, exhibitReference, exhibitViewOf, type Source, sourceOf, whyNoExhibit } from './exhibit.ts'
import {
  clipFacts,
  exhibitForUpdate,
  exhibitRow,
  insertExhibit,
  markExhibitWithdrawn,
  pageOfExhibits,
  shareRecording,
  updateExhibit,
} from './exhibit-queries.ts'
import type { ExhibitsQuery } from './schemas.ts'

/** Says so where a reference is or was in use in the case: also by whoever was a moment faster. */
export const orReferenceTaken = async <T>(reference: string, work: Promise<T>): Promise<T> => {
  try {
    return await work
  } catch (error) {
    if (!brokeConstraint(error, 'exhibit_reference')) throw error
    const detail = `${reference} is, or once was, an exhibit of this case. A reference is given once and for ever.`
    throw new Problem('reference-taken', detail)
  }
}

/** What was found of what is to become an exhibit, its recording held as it is until the transaction ends. */
type Found = { recording: RecordingId; clip: ClipId | null; fault: Problem | undefined }

/** undefined where there is no such recording or clip that this person may know of. */
const lockSource = async (tx: Tx, person: Person, source: Source): Promise<Found | undefined> => {
  if ('recording' in source) {
    const held = await shareRecording(tx, person, source.recording)
    if (held === undefined) return undefined
    const givenUp = await isGivenUp(tx, source.recording, held.status)
    const fault = whyNoExhibit(held.status, { givenUp })
    return { recording: source.recording, clip: null, fault }
  }
  const known = await clipFacts(tx, source.clip)
  const held = known && (await shareRecording(tx, person, known.recording))
  if (known === undefined || held === undefined) return undefined
  return { recording: known.recording, clip: source.clip, fault: whyNoExhibit(held.status, { clip: known.state }) }
}

/** Throws `not-found`, as a refusal where what was named is there and not for this person. */
const refuseSource = async (tx: Tx, source: Source): Promise<never> => {
  const problem = new Problem('not-found', 'There is no such recording or clip.')
  if ('recording' in source) {
    if (!(await recordingExists(tx, source.recording))) throw problem
    throw new Refusal(problem, { type: 'recording', id: source.recording })
  }
  if ((await clipFacts(tx, source.clip)) === undefined) throw problem
  throw new Refusal(problem, { type: 'clip', id: source.clip })
}

/**
 * What becomes an exhibit is not deleted before its time on a request from when it was none: that would lie in wait for the
 * night in which its case is closed. Everybody who sees the recording is told so, and not who put it into which case.
 */
export const endRequestOf = async (
  tx: Tx,
  { clock }: Pick<Engines, 'clock'>,
  recording: RecordingId,
  cause: EntryId,
): Promise<void> =>
  await takeBackRequest(tx, clock, recording, {
    actor: { kind: 'service', id: 'exhibits', cause },
    because: 'It became an exhibit of a case.',
  })

type Wanted = { recordingId?: RecordingId; clipId?: ClipId; reference: string } & ExhibitWords

/**
 * Puts a recording or a clip into a case under a reference that is given once. Throws `bad-request`, `not-found`,
 * `not-allowed`, `case-closed`, `reference-taken`; `not-ready`, `quarantined`, `erased` or `conflict` for what is not in
 * custody or not cut yet.
 */
export const addExhibit = async (
  engines: Engines,
  person: Person,
  id: CaseId,
  wanted: Wanted,
): Promise<{ id: ExhibitId }> => {
  const source = sourceOf(wanted)
  const reference = exhibitReference(wanted.reference)
  const { sensitivity } = wanted
  const description = wanted.description.trim()
  const adding = asked(engines, person, 'exhibit.add', async (tx) => {
    const { clock } = engines
    const found = await lockSource(tx, person, source)
    mustBeOpen(await caseToChange(tx, person, id, { lock: 'share' }))
    if (found === undefined) return await refuseSource(tx, source)
    const { recording, clip, fault } = found
    if (fault !== undefined) throw fault
    const exhibit = newId<ExhibitId>()
    const words = { reference, sensitivity, description }
    const by = { addedAt: clock.now(), addedBy: person.id }
    await insertExhibit(tx, { id: exhibit, case: id, recording, clip, ...words, ...by, movedFrom: null })
    const cause = await record(tx, clock, {
      operation: 'combination',
      action: 'exhibit.added',
      subject: { type: 'exhibit', id: exhibit },
      actor: actor(person, 'exhibit.add'),
      detail: { case: id, recording, ...(clip === null ? {} : { clip }), ...words },
    })
    await endRequestOf(tx, engines, recording, cause)
    return { id: exhibit }
  })
  return await orReferenceTaken(reference, adding)
}

/** One page of a case's exhibits in the order they were added, for a member; reading them is an entry. Throws `not-found`. */
export const listExhibits = async (engines: Engines, person: Person, id: CaseId, query: ExhibitsQuery) => {
  const { limit = defaultLimit, cursor, withdrawn = false } = query
  const [after] = cursor === undefined ? [] : decodeCursor(cursor)
  if (after !== undefined && !Value.Check(IdOf.exhibit, after)) throw cursorProblem()
  return await asked(engines, person, 'exhibit.read', async (tx) => {
    await caseOfMember(tx, person, id)
    const rows = await pageOfExhibits(tx, person.id, id, withdrawn, after, limit)
    const page = cutPage(rows, limit, exhibitViewOf, (row) => [row.id])
    await record(tx, engines.clock, {
      operation: 'consultation',
      action: 'exhibit.list',
      subject: { type: 'case', id },
      actor: actor(person, 'exhibit.read'),
      detail: { withdrawn, found: page.items.map((item) => item.id) },
    })
    return page
  })
}

/** An exhibit, for a member of its case; reading it is an entry. Throws `not-found`. */
export const readExhibit = async (engines: Engines, person: Person, id: ExhibitId) =>
  await asked(engines, person, 'exhibit.read', async (tx) => {
    const subject = { type: 'exhibit', id } as const
    const place = await placeOfExhibit(tx, id)
    await caseOfMember(tx, person, place.case, { subject })
    await record(tx, engines.clock, {
      operation: 'consultation',
      action: 'exhibit.read',
      subject,
      actor: actor(person, 'exhibit.read'),
    })
    return exhibitViewOf(await exhibitRow(tx, person.id, id))
  })

/** The exhibit, locked, which may still change: it is in an open case, and in it. */
const standing = async (tx: Tx, person: Person, id: ExhibitId) => {
  const subject = { type: 'exhibit', id } as const
  const place = await placeOfExhibit(tx, id)
  mustBeOpen(await caseToChange(tx, person, place.case, { lock: 'share', subject }))
  const exhibit = await exhibitForUpdate(tx, id)
  if (exhibit.withdrawnAt !== null) throw new Problem('conflict', 'The exhibit was withdrawn.')
  return exhibit
}

/**
 * Changes the words about an exhibit. What is so already stays so, without an entry. Throws `not-found`, `not-allowed`,
 * `case-closed`, `conflict`.
 */
export const changeExhibit = async (
  engines: Engines,
  person: Person,
  id: ExhibitId,
  change: Partial<ExhibitWords>,
  reason: string | undefined,
) =>
  await asked(engines, person, 'exhibit.change', async (tx) => {
    const { reference, sensitivity, description } = await standing(tx, person, id)
    const before = { sensitivity, description }
    const after = {
      sensitivity: change.sensitivity ?? sensitivity,
      description: change.description?.trim() ?? description,
    }
    if (after.sensitivity !== sensitivity || after.description !== description) {
      await updateExhibit(tx, id, after)
      await record(tx, engines.clock, {
        operation: 'alteration',
        action: 'exhibit.changed',
        subject: { type: 'exhibit', id },
        actor: actor(person, 'exhibit.change'),
        ...(reason === undefined ? {} : { purpose: reason }),
        detail: { reference, before, after },
      })
    }
    return exhibitViewOf(await exhibitRow(tx, person.id, id))
  })

/** Withdraws an exhibit. It stays in the history, and its reference stays taken. Throws as `changeExhibit`. */
export const withdrawExhibit = async (engines: Engines, person: Person, id: ExhibitId, reason: string): Promise<void> =>
  await asked(engines, person, 'exhibit.withdraw', async (tx) => {
    const { reference } = await standing(tx, person, id)
    await markExhibitWithdrawn(tx, id, engines.clock.now(), reason)
    await record(tx, engines.clock, {
      operation: 'alteration',
      action: 'exhibit.withdrawn',
      subject: { type: 'exhibit', id },
      actor: actor(person, 'exhibit.withdraw'),
      purpose: reason,
      detail: { reference },
    })
  })
