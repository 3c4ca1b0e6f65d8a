import type { CameraSerial, EntryId, RecordingId, Sha256, UploadId } from '../base/ids.ts'
import type { ReceiptKey } from '../engines/receipt-key.ts'
import { signStatement } from '../ledger/statement.ts'

/** What a receipt states (design, section 8): this original was read back, whole, and is in custody. */
export type ReceiptClaims = {
  iss: string
  /** Seconds since 1970. */
  iat: number
  uploadId: UploadId
  recordingId: RecordingId
  camera: CameraSerial
  filename: string
  size: number
  sha256: Sha256
  /** RFC 3339. */
  readBackAt: string
  entryId: EntryId
  /** The leaf data of that entry, in hex. */
  leaf: string
}

export const receiptType = 'exhibit-receipt+jwt'

export const signReceipt = async (claims: ReceiptClaims, key: ReceiptKey): Promise<string> =>
  await signStatement(receiptType, claims, key)
