import type { BundleId, ClipId, RecordingId, Sha256 } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { whyGivenUp } from '../custody/given-up.ts'
import type { BundleState } from '../engines/bundle-tables.ts'
import type { Bucket } from '../engines/store.ts'
import type { ClipState, RecordingStatus } from '../engines/tables.ts'
import { whyWithheld } from '../recordings/recording.ts'

/** What can be downloaded. */
export type Wanted =
  | { type: 'recording'; id: RecordingId }
  | { type: 'clip'; id: ClipId }
  | { type: 'bundle'; id: BundleId }

/** A file that may be served now: exactly these bytes, or none. */
export type Served = {
  of: Wanted
  bucket: Bucket
  key: string
  /** Where the bucket keeps versions. */
  version?: string
  size: number
  sha256: Sha256
  filename: string
  mediaType: string
}

/** Why a recording of this status, whose taking in may have been given up, cannot be downloaded; undefined when it can. */
export const whyNot = (status: RecordingStatus, givenUp = false): Problem | undefined => {
  switch (status) {
    case 'verified':
    case 'active':
    case 'due':
      return undefined
    case 'received':
      if (givenUp) return whyGivenUp(status)
      return new Problem('not-ready', 'The footage has arrived and is being read back.', { retryAfter: 5 })
    case 'quarantined':
    case 'grace':
    case 'erased':
      return whyWithheld(status)
  }
}

/** Why a clip or a bundle in this state cannot be downloaded; undefined when it can. */
export const whyNotYet = (what: 'clip' | 'bundle', state: ClipState | BundleState): Problem | undefined => {
  switch (state) {
    case 'ready':
      return undefined
    case 'owed':
    case 'working':
      return new Problem('not-ready', `The ${what} is being made.`, { retryAfter: 5 })
    case 'failed':
      return new Problem('conflict', `The ${what} could not be made: it says why where it is read.`)
  }
}
