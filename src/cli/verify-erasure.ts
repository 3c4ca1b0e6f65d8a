import type { ErasureClaims } from '../retention/proof.ts'
import { verifyErasure } from '../retention/verify-erasure.ts'
import type { Statement } from './verify-statement.ts'
import { printable } from './words.ts'

export const erasure: Statement<ErasureClaims> = {
  name: 'proof of erasure',
  verify: verifyErasure,
  inLines: (claims) => [
    `  The installation "${printable(claims.iss)}" states: this recording was erased; every version of its original and`,
    '  all that was made of it to be played, cut or disclosed was deleted, and none of that was there when asked for again.',
    '',
    `  recording      ${claims.recordingId}`,
    `  SHA-256        ${claims.sha256}`,
    `  erased at      ${claims.erasedAt}`,
    `  by authority   ${printable(claims.authority)}${claims.policyVersion === undefined ? '' : `, version ${claims.policyVersion}`}`,
    `  objects        ${claims.objects}`,
    `  signed at      ${new Date(claims.iat * 1000).toISOString()}`,
    `  ledger entry   ${claims.entryId}, leaf ${claims.leaf}`,
  ],
}
