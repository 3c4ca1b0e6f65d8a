import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { Digest, IdOf } from '../base/ids.ts'
import { type PublicKey, verifyStatement } from '../custody/verify-receipt.ts'
import { type ErasureClaims, erasureType } from './proof.ts'

const Claims = Type.Object({
  iss: Type.String(),
  iat: Type.Integer(),
  recordingId: IdOf.recording,
  sha256: Digest,
  erasedAt: Type.String({ format: 'date-time' }),
  authority: Type.String({ minLength: 1 }),
  policyVersion: Type.Optional(Type.Integer({ minimum: 1 })),
  objects: Type.Integer({ minimum: 0 }),
  entryId: IdOf.entry,
  leaf: Digest,
})

/** Verifies a proof of erasure offline, and answers what it states. Throws NotVerified. */
export const verifyErasure = async (jws: string, keys: readonly PublicKey[]): Promise<ErasureClaims> =>
  await verifyStatement(jws, keys, {
    typ: erasureType,
    name: 'proof of erasure',
    isClaims: (value): value is ErasureClaims => Value.Check(Claims, value),
  })
