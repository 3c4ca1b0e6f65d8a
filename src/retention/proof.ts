import type { EntryId, RecordingId, Sha256 } from '../base/ids.ts'
import type { ReceiptKey } from '../engines/receipt-key.ts'
import { signStatement } from '../ledger/statement.ts'

/** What a proof of erasure states (design, section 8). */
export type ErasureClaims = {
  iss: string
  /** Seconds since 1970. */
  iat: number
  recordingId: RecordingId
  sha256: Sha256
  /** RFC 3339. */
  erasedAt: string
  /** The rule: `policy` or `deletion-request`, and its id. */
  authority: string
  /** Left out where the recording's category had none. */
  policyVersion?: number
  /** How many objects, versions counted, were deleted and found gone. */
  objects: number
  entryId: EntryId
  /** The leaf data of that entry, in hex. */
  leaf: string
}

export const erasureType = 'exhibit-erasure+jwt'

export const signErasure = async (claims: ErasureClaims, key: ReceiptKey): Promise<string> =>
  await signStatement(erasureType, claims, key)
