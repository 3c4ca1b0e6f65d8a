import { CompactSign } from 'jose'
import { canonical, type Json } from '../base/canonical.ts'
import type { ReceiptKey } from '../engines/receipt-key.ts'

/** A statement that stands by itself: a compact JWS, EdDSA over Ed25519, of the canonical JSON of what it claims. */
export const signStatement = async (type: string, claims: Json, key: ReceiptKey): Promise<string> =>
  await new CompactSign(Buffer.from(canonical(claims)))
    .setProtectedHeader({ alg: 'EdDSA', typ: type, kid: key.kid })
    .sign(key.privateKey)
