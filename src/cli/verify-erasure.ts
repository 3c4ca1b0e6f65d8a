import { NotVerified, type PublicKey, typeOf } from '../custody/verify-receipt.ts'
import { type ErasureClaims, erasureType } from '../retention/proof.ts'
import { verifyErasure } from '../retention/verify-erasure.ts'
import { printable } from './words.ts'

export const isErasure = (text: string): boolean => typeOf(text.trim()) === erasureType

const inLines = (claims: ErasureClaims): string[] => [
  '✓ The signature is right: this proof was signed with a key you gave, and not altered since.',
  '',
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
]

/** Tells whether a proof of erasure is right, and what it states. Answers whether it is. */
export const tellOfErasure = async (text: string, keys: readonly PublicKey[], json: boolean): Promise<boolean> => {
  try {
    const claims = await verifyErasure(text.trim(), keys)
    console.log(json ? JSON.stringify({ ok: true, claims }) : inLines(claims).join('\n'))
    return true
  } catch (error) {
    if (!(error instanceof NotVerified)) throw error
    console.log(json ? JSON.stringify({ ok: false, failure: error.message }) : `✗ NOT verified. ${error.message}`)
    return false
  }
}
