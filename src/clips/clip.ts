import type { ClipId, RecordingId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { whyGivenUp } from '../custody/given-up.ts'
import type { RecordingRow } from '../engines/tables.ts'
import { whyWithheld } from '../recordings/recording.ts'

/** Begins the key of whatever any attempt made of a clip. An erasure takes everything under `clips/<recording>/`. */
export const clipPrefix = (recording: RecordingId, clip: ClipId): string => `clips/${recording}/${clip}`

/**
 * Key in the bucket `derived` of what one attempt made. An attempt that was given up, and does not know it yet, must never
 * write over what another one published.
 */
export const clipKey = (recording: RecordingId, clip: ClipId, attempt: number): string =>
  `${clipPrefix(recording, clip)}-${attempt}.mp4`

/** Seconds from the recording's first frame; `start` belongs to it, `end` does not. */
export type Range = { start: number; end: number }

/**
 * Times are compared in whole microseconds: a frame of 30000/1001 frames a second begins at no decimal fraction, and who
 * asks for it writes the nearest one.
 */
export const micros = (seconds: number): number => Math.round(seconds * 1e6)

/** A player may count a frame or two more than the file's index says: its last moment is no lie. */
const slack = 0.1

/** Why this is no range of a recording that lasts `known` seconds (null: nobody knows); undefined when it is one. */
export const whyNoRange = ({ start, end }: Range, known: number | null): Problem | undefined => {
  if (!(micros(start) < micros(end)))
    return new Problem('bad-request', 'The range is empty: its end must be later than its start.')
  if (known === null) return undefined
  if (micros(start) >= micros(known))
    return new Problem('clip-outside-recording', `The range begins after the recording's end, at ${known} seconds.`)
  if (micros(end) > micros(known + slack))
    return new Problem('clip-outside-recording', `The range ends after the recording does, at ${known} seconds.`)
  return undefined
}

/** Why nothing can be cut from this recording, whose taking in may have been given up; undefined when something can. */
export const whyUncut = (
  { status, flags, tracks }: Pick<RecordingRow, 'status' | 'flags' | 'tracks'>,
  givenUp: boolean,
): Problem | undefined => {
  switch (status) {
    case 'received':
      if (givenUp) return whyGivenUp(status)
      return new Problem('not-ready', 'The footage has arrived and is being read back.', { retryAfter: 5 })
    case 'verified':
      if (givenUp) return whyGivenUp(status, 'clip-impossible')
      return new Problem('not-ready', 'The footage is in custody and is being examined.', { retryAfter: 2 })
    case 'due':
      return new Problem('conflict', 'The recording is due for erasure: nothing new is made of it.')
    case 'quarantined':
    case 'grace':
    case 'erased':
      return whyWithheld(status)
    case 'active':
      if (flags.includes('unplayable'))
        return new Problem('clip-impossible', 'No picture and no sound could be read from the file.')
      if (!tracks.some(({ kind }) => kind === 'video'))
        return new Problem('clip-impossible', 'The recording holds sound alone: clips are cut by their pictures.')
      return undefined
  }
}
