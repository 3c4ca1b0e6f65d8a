import { Problem } from '../base/problem.ts'
import { whyGivenUp } from '../custody/given-up.ts'
import type { RecordingStatus, RenditionRow } from '../engines/tables.ts'
import { whyWithheld } from '../recordings/recording.ts'

/** What a token looks like; an id of a viewing does not. */
export const tokenPattern = '^[A-Za-z0-9_-]{43}$'

/** The statuses of footage that may be seen. */
export const seenStatuses = ['active', 'due'] as const satisfies readonly RecordingStatus[]

/** Why footage of this status, whose taking in may have been given up, cannot be seen now; undefined when it can. */
export const whyUnseen = (status: RecordingStatus, givenUp = false): Problem | undefined => {
  switch (status) {
    case 'active':
    case 'due':
      return undefined
    case 'received':
      if (givenUp) return whyGivenUp(status)
      return new Problem('not-playable-yet', 'The footage has arrived and is being read back.', { retryAfter: 5 })
    case 'verified':
      if (givenUp) return whyGivenUp(status, 'not-playable')
      return new Problem('not-playable-yet', 'The footage is in custody and is being examined.', { retryAfter: 2 })
    case 'quarantined':
    case 'grace':
    case 'erased':
      return whyWithheld(status)
  }
}

/** A rendition that moves, as far as a viewing is concerned; `begun`: its beginning and at least one segment are stored. */
export type Moving = Pick<RenditionRow, 'state' | 'sha256' | 'failure'> & { begun: boolean }

/** Whether all of it is there: one that is owed once more is served as it is until its successor takes its place. */
export const isComplete = ({ state, sha256: digest }: Pick<RenditionRow, 'state' | 'sha256'>): boolean =>
  state === 'ready' || (state === 'owed' && digest !== null)

/** Whether some of it can be watched, be it complete or not. */
export const isPlayable = (rendition: Omit<Moving, 'failure'>): boolean =>
  rendition.begun && (rendition.state === 'working' || isComplete(rendition))

/** Why footage cannot be watched yet that waits for a disk, and so perhaps for a person. */
export const whyNoRoom = (): Problem =>
  new Problem(
    'not-playable-yet',
    'What can be watched of the footage is made as soon as the server has room to work on it. An administrator can free some.',
    { retryAfter: 30 },
  )

/** Why none of a recording's renditions can be watched; undefined when one can. */
export const whyUnplayable = (renditions: readonly Moving[], flags: readonly string[]): Problem | undefined => {
  if (renditions.some(isPlayable)) return undefined
  const awaited = renditions.some(({ state }) => state === 'owed' || state === 'working')
  if (awaited || (renditions.length === 0 && !flags.includes('unplayable'))) {
    return new Problem('not-playable-yet', 'What can be watched of the footage is being made.', { retryAfter: 3 })
  }
  const failure = renditions.find((rendition) => rendition.failure !== null)?.failure
  const why = failure ?? 'No picture and no sound could be read from the file.'
  return new Problem('not-playable', `${why} The original stays downloadable.`)
}
