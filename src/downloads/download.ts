import { Problem } from '../base/problem.ts'
import type { RecordingStatus } from '../engines/tables.ts'
import { whyWithheld } from '../recordings/recording.ts'

/** Why a recording of this status cannot be downloaded; undefined when it can. */
export const whyNot = (status: RecordingStatus): Problem | undefined => {
  switch (status) {
    case 'verified':
    case 'active':
    case 'due':
      return undefined
    case 'received':
      return new Problem('not-ready', 'The footage has arrived and is being read back.', { retryAfter: 5 })
    case 'quarantined':
    case 'grace':
    case 'erased':
      return whyWithheld(status)
  }
}
