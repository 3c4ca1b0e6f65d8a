import { type CaseId, type ExhibitId, newId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { Engines } from '../engines/engines.ts'
import { record } from '../ledger/record.ts'
import { actor, type Person } from '../people/person.ts'
import { asked, caseToChange, mustBeOpen, placeOfExhibit } from './access.ts'
import { exhibitReference, whyNoExhibit } from './exhibit.ts'
import { exhibitForUpdate, insertExhibit, markExhibitWithdrawn, shareRecording } from './exhibit-queries.ts'
import { endRequestOf, orReferenceTaken } from './exhibits.ts'

/**
 * Moves an exhibit into another case, or under another reference of its own: it is withdrawn where it is, and a new one
 * names it. The mover must be able to change both cases. Throws `bad-request`, `not-found`, `not-allowed`, `case-closed`,
 * `conflict`, `reference-taken`, and what `addExhibit` throws for footage that is not in custody.
 */
export const moveExhibit = async (
  engines: Engines,
  person: Person,
  id: ExhibitId,
  wanted: { caseId: CaseId; reference: string },
  reason: string,
): Promise<{ id: ExhibitId }> => {
  const { clock } = engines
  const reference = exhibitReference(wanted.reference)
  const moving = asked(engines, person, 'exhibit.move', async (tx) => {
    const { case: source, recording } = await placeOfExhibit(tx, id)
    const held = await shareRecording(tx, person, recording)
    // In one order, as wherever two of a kind are locked.
    for (const each of [...new Set([source, wanted.caseId])].sort()) {
      const subject = each === source ? ({ type: 'exhibit', id } as const) : ({ type: 'case', id: each } as const)
      mustBeOpen(await caseToChange(tx, person, each, { lock: 'share', subject }))
    }
    const old = await exhibitForUpdate(tx, id)
    if (old.withdrawnAt !== null) throw new Problem('conflict', 'The exhibit was withdrawn.')
    if (held === undefined) throw new Problem('not-found', 'There is no such recording or clip.')
    const fault = whyNoExhibit(held.status)
    if (fault !== undefined) throw fault

    const moved = newId<ExhibitId>()
    const at = clock.now()
    const { clip, sensitivity, description } = old
    const words = { reference, sensitivity, description }
    await markExhibitWithdrawn(tx, id, at, reason)
    await insertExhibit(tx, {
      id: moved,
      case: wanted.caseId,
      recording,
      clip,
      ...words,
      addedAt: at,
      addedBy: person.id,
      movedFrom: id,
    })
    const act = { operation: 'combination', actor: actor(person, 'exhibit.move'), purpose: reason } as const
    const places = {
      from: { case: source, exhibit: id, reference: old.reference },
      to: { case: wanted.caseId, exhibit: moved, reference },
    }
    await record(tx, clock, { ...act, action: 'exhibit.moved-away', subject: { type: 'exhibit', id }, detail: places })
    const cause = await record(tx, clock, {
      ...act,
      action: 'exhibit.moved-here',
      subject: { type: 'exhibit', id: moved },
      detail: { ...places, recording, ...(clip === null ? {} : { clip }), ...words },
    })
    await endRequestOf(tx, engines, recording, cause)
    return { id: moved }
  })
  return await orReferenceTaken(reference, moving)
}
