import { randomBytes } from 'node:crypto'
import { sha256 } from '../base/digest.ts'
import { Problem } from '../base/problem.ts'
import type { RecordingStatus } from '../engines/tables.ts'

/** What makes an address an address: 32 random bytes as text. Only its digest is kept. */
export const newToken = (): string => randomBytes(32).toString('base64url')

/** Looking a token up by its digest tells nobody, by the time it takes, how much of a guess was right. */
export const tokenDigest = (token: string): Buffer => sha256(token)

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
      return new Problem('quarantined', 'What was read back is not what was declared. It is kept, and never served.')
    case 'grace':
      return new Problem('conflict', 'The recording waits for its erasure. It can still be restored.')
    case 'erased':
      return new Problem('erased', 'The recording was erased. What is left is the proof of it.')
  }
}
