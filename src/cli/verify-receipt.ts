import { stat } from 'node:fs/promises'
import type { ReceiptClaims } from '../custody/receipt.ts'
import { verifyReceipt } from '../custody/verify-receipt.ts'
import { sha256OfFile } from './dock/digest.ts'
import type { Statement } from './verify-statement.ts'
import { inBytes, printable } from './words.ts'

export const receipt: Statement<ReceiptClaims> = {
  name: 'receipt',
  verify: verifyReceipt,
  async compareWith(claims, path) {
    const { size } = await stat(path)
    const name = printable(path)
    if (size !== claims.size) return { failure: `${name} has ${size} bytes; the receipt is for ${claims.size}.` }
    const digest = await sha256OfFile(path)
    if (digest !== claims.sha256)
      return { failure: `${name} is not the file of this receipt: its SHA-256 is ${digest}.` }
    return { verified: `${name} is that file: the same size and the same SHA-256.` }
  },
  inLines: (claims) => [
    `  The installation "${printable(claims.iss)}" states: this recording is in custody; after it was stored, every byte`,
    '  of it was read back and had this digest.',
    '',
    `  recording      ${claims.recordingId}`,
    `  camera         ${printable(claims.camera)}`,
    `  file           ${printable(claims.filename)}, ${inBytes(claims.size)} (${claims.size} bytes)`,
    `  SHA-256        ${claims.sha256}`,
    `  read back at   ${claims.readBackAt}`,
    `  signed at      ${new Date(claims.iat * 1000).toISOString()}`,
    `  ledger entry   ${claims.entryId}, leaf ${claims.leaf}`,
  ],
}
