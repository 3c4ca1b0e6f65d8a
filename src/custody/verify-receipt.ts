import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader, errors, importJWK } from 'jose'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { Digest, IdOf, Serial } from '../base/ids.ts'
import { type ReceiptClaims, receiptType } from './receipt.ts'

/** A public key that signs receipts, as `/ledger/keys` publishes it. A retired one has `to`. */
export const PublicKey = Type.Object({
  kty: Type.Literal('OKP'),
  crv: Type.Literal('Ed25519'),
  x: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
  kid: Type.Optional(Type.String()),
  from: Type.Optional(Type.String()),
  to: Type.Optional(Type.String()),
})
export type PublicKey = Type.Static<typeof PublicKey>

const Claims = Type.Object({
  iss: Type.String(),
  iat: Type.Integer(),
  uploadId: IdOf.upload,
  recordingId: IdOf.recording,
  camera: Serial,
  filename: Type.String(),
  size: Type.Integer({ minimum: 0 }),
  sha256: Digest,
  readBackAt: Type.String({ format: 'date-time' }),
  entryId: IdOf.entry,
  leaf: Digest,
})

/** Why a text is not a receipt that these keys vouch for. `kid` names the key that would be needed. */
export class NotVerified extends Error {
  readonly reason: 'not-a-receipt' | 'unknown-key' | 'retired-key' | 'wrong-signature'
  readonly kid: string | undefined
  constructor(reason: NotVerified['reason'], sentence: string, facts: { kid?: string; cause?: unknown } = {}) {
    super(sentence, { cause: facts.cause })
    this.name = 'NotVerified'
    this.reason = reason
    this.kid = facts.kid
  }
}

/** RFC 7638 thumbprint: what a receipt's `kid` names. It is computed, never believed. */
export const kidOf = async ({ kty, crv, x }: PublicKey): Promise<string> =>
  await calculateJwkThumbprint({ kty, crv, x })

/** A kind of signed statement: its type, what people call it, and the shape of what it states. */
export type StatementKind<Claims extends { iat: number }> = {
  typ: string
  name: string
  isClaims(value: unknown): value is Claims
}

const headerOf = (jws: string, name: string) => {
  try {
    return decodeProtectedHeader(jws)
  } catch (cause) {
    throw new NotVerified('not-a-receipt', `This is not a compact JWS, so it is no ${name}.`, { cause })
  }
}

const keyNamed = async (kid: string, keys: readonly PublicKey[], name: string): Promise<PublicKey> => {
  for (const key of keys) if ((await kidOf(key)) === kid) return key
  const sentence = `The ${name} is signed with the key ${kid}, which is not among the keys given.`
  throw new NotVerified('unknown-key', sentence, { kid })
}

/** The type that a signed text says it has; undefined for what is no signed text. */
export const typeOf = (jws: string): string | undefined => {
  try {
    return decodeProtectedHeader(jws).typ
  } catch {
    return undefined
  }
}

/**
 * Verifies a signed statement offline: its type, its signature by one of `keys`, and that it states what its kind states.
 * Answers what it states. Throws NotVerified.
 */
export const verifyStatement = async <Claims extends { iat: number }>(
  jws: string,
  keys: readonly PublicKey[],
  { typ: wanted, name, isClaims }: StatementKind<Claims>,
): Promise<Claims> => {
  const { typ, kid } = headerOf(jws, name)
  if (typ !== wanted || kid === undefined) {
    throw new NotVerified('not-a-receipt', `This is a signed text of another kind: a ${name} has the type ${wanted}.`)
  }
  const key = await keyNamed(kid, keys, name)
  const { kty, crv, x } = key
  const { payload } = await compactVerify(jws, await importJWK({ kty, crv, x }, 'EdDSA'), {
    algorithms: ['EdDSA'],
  }).catch((cause: unknown) => {
    const sentence =
      cause instanceof errors.JOSEAlgNotAllowed
        ? `The ${name} is not signed with EdDSA.`
        : `The signature is wrong: this ${name} was altered, or was never signed by this key.`
    throw new NotVerified('wrong-signature', sentence, { kid, cause })
  })
  let claims: unknown
  try {
    claims = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch {}
  if (!isClaims(claims)) {
    const sentence = `The signature is right, but the text does not state what a ${name} states.`
    throw new NotVerified('not-a-receipt', sentence, { kid })
  }
  if (key.to !== undefined && claims.iat * 1000 > Date.parse(key.to)) {
    throw new NotVerified('retired-key', `The key ${kid} was retired before this ${name} says it was signed.`, { kid })
  }
  return claims
}

/** Verifies a custody receipt offline; comparing what it states with a file is the caller's. Throws NotVerified. */
export const verifyReceipt = async (jws: string, keys: readonly PublicKey[]): Promise<ReceiptClaims> =>
  await verifyStatement(jws, keys, {
    typ: receiptType,
    name: 'receipt',
    isClaims: (value) => Value.Check(Claims, value),
  })

const Named = Type.Object({ keys: Type.Array(Type.Unknown()) })
const Enrolled = Type.Object({ installationKeys: Type.Array(Type.Unknown()) })

/** The Ed25519 keys in a JWK, a JWKS such as the answer of `/ledger/keys`, or a dock's enrolment file. Others are passed over. */
export const publicKeysIn = (document: unknown): PublicKey[] => {
  const found = Value.Check(Named, document)
    ? document.keys
    : Value.Check(Enrolled, document)
      ? document.installationKeys
      : [document]
  return found.filter((each) => Value.Check(PublicKey, each))
}
