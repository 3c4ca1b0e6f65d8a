import type { NoteKey } from '../../base/note.ts'
import type { ReceiptClaims } from '../../custody/receipt.ts'
import { NotVerified, type PublicKey, publicKeysIn, verifyReceipt } from '../../custody/verify-receipt.ts'
import { logKeysIn } from '../../ledger/log/verify-proof.ts'
import type { Find } from './finding.ts'
import { jsonOf, textOf } from './reading.ts'
import type { Source } from './source.ts'

const folder = 'proofs/receipts/'
const keysPath = 'proofs/keys.json'

/** The keys that the bundle brings itself: they prove that it agrees with itself, and no more. */
export const keysInside = async (source: Source, find: Find): Promise<{ receipts: PublicKey[]; logs: NoteKey[] }> => {
  const document = await jsonOf(source, keysPath, 1024 * 1024, find)
  if (document === undefined) return { receipts: [], logs: [] }
  const receipts = publicKeysIn(document)
  if (receipts.length === 0) find('keys', keysPath, 'It holds no Ed25519 public key.')
  return { receipts, logs: logKeysIn(document, '') }
}

/** Verifies every receipt in the bundle. Answers those that hold, by their paths. */
export const checkReceipts = async (
  source: Source,
  keys: readonly PublicKey[],
  find: Find,
): Promise<Map<string, ReceiptClaims>> => {
  const held = new Map<string, ReceiptClaims>()
  for (const path of source.members.keys()) {
    if (!path.startsWith(folder)) continue
    const text = await textOf(source, path, 64 * 1024, find)
    if (text === null) continue
    try {
      const claims = await verifyReceipt(text.trim(), keys)
      if (path === `${folder}${claims.recordingId}.jws`) held.set(path, claims)
      else find('receipt', path, `The receipt is good, but it is of the recording ${claims.recordingId}.`)
    } catch (error) {
      if (!(error instanceof NotVerified)) throw error
      find('receipt', path, error.message)
    }
  }
  return held
}
