import type { CaseId, ClipId, ExhibitId, RecordingId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import { whyGivenUp } from '../custody/given-up.ts'
import type { Sensitivity } from '../engines/case-tables.ts'
import type { ClipState, RecordingStatus } from '../engines/tables.ts'
import { whyWithheld } from '../recordings/recording.ts'
import type { ExhibitRow } from './exhibit-queries.ts'

/** What is said about an exhibit, and may be said otherwise later. */
export type ExhibitWords = { sensitivity: Sensitivity; description: string }

export const sensitivities = ['none', 'sensitive'] as const satisfies readonly Sensitivity[]

/** What names a device on some systems, and so may name no file there. */
const devices = ['CON', 'PRN', 'AUX', 'NUL', 'COM', 'LPT']

/**
 * Checks an exhibit's reference: one to five capital letters, a slash, and a number from 1 to 999999 without zeros before
 * it, so that no two look alike and a file can be named after each. Throws `bad-request`.
 */
export const exhibitReference = (given: string): string => {
  if (!/^[A-Z]{1,5}\/[1-9][0-9]{0,5}$/.test(given)) {
    throw new Problem(
      'bad-request',
      'An exhibit is named by initials and a number: one to five capital letters A to Z, a slash, and 1 to 999999, such as AB/1.',
    )
  }
  const initials = given.slice(0, given.indexOf('/'))
  if (devices.includes(initials))
    throw new Problem('bad-request', `${initials} is the name of a device on some systems. Choose other initials.`)
  return given
}

export type Source = { recording: RecordingId } | { clip: ClipId }

/** The one thing that is to become an exhibit. Throws `bad-request` for none and for two. */
export const sourceOf = ({ recordingId, clipId }: { recordingId?: RecordingId; clipId?: ClipId }): Source => {
  if (recordingId !== undefined && clipId === undefined) return { recording: recordingId }
  if (clipId !== undefined && recordingId === undefined) return { clip: clipId }
  throw new Problem('bad-request', 'Exactly one of recordingId and clipId is needed.')
}

/** Why a recording of this status, whose taking in may have been given up, or a clip of it, cannot become an exhibit. */
export const whyNoExhibit = (
  status: RecordingStatus,
  { clip, givenUp = false }: { clip?: ClipState; givenUp?: boolean } = {},
): Problem | undefined => {
  switch (status) {
    case 'received':
      if (givenUp) return whyGivenUp(status)
      return new Problem('not-ready', 'The footage has arrived and is being read back.', { retryAfter: 5 })
    case 'quarantined':
    case 'grace':
    case 'erased':
      return whyWithheld(status)
    case 'verified':
    case 'active':
    case 'due':
      break
  }
  switch (clip) {
    case 'owed':
    case 'working':
      return new Problem('not-ready', 'The clip is being cut.', { retryAfter: 5 })
    case 'failed':
      return new Problem('conflict', 'The clip could not be cut.')
    default:
      return undefined
  }
}

const placeOf = (id: ExhibitId | null, caseId: CaseId | null, reference: string | null) =>
  id === null || caseId === null || reference === null ? null : { id, caseId, reference }

/** An exhibit as the wire shows it. */
export const exhibitViewOf = (row: ExhibitRow) => ({
  id: row.id,
  caseId: row.case,
  recordingId: row.recording,
  clipId: row.clip,
  reference: row.reference,
  sensitivity: row.sensitivity,
  description: row.description,
  addedAt: iso(row.addedAt),
  addedBy: { id: row.by, name: row.byName },
  withdrawnAt: row.withdrawnAt === null ? null : iso(row.withdrawnAt),
  withdrawnBecause: row.withdrawnBecause,
  movedFrom: placeOf(row.fromId, row.fromCase, row.fromReference),
  movedTo: placeOf(row.toId, row.toCase, row.toReference),
})
