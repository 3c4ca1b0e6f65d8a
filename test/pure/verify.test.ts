import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { describe, expect, it } from 'vitest'
import { kidOf, NotVerified, publicKeysIn, verifyReceipt } from '../../src/custody/verify-receipt.ts'

const Vectors = Type.Object({
  file: Type.String(),
  keys: Type.Array(Type.Object({ kty: Type.String(), crv: Type.String(), x: Type.String(), kid: Type.String() })),
  valid: Type.Array(Type.Object({ receipt: Type.String(), claims: Type.Record(Type.String(), Type.Unknown()) })),
  invalid: Type.Array(Type.Object({ because: Type.String(), what: Type.String(), jws: Type.String() })),
  entry: Type.Object({
    entry: Type.String(),
    salt: Type.String(),
    leaf: Type.String(),
    parts: Type.Record(Type.String(), Type.Object({ value: Type.Unknown(), salt: Type.String() })),
  }),
})

const vectors = Value.Parse(
  Vectors,
  JSON.parse(await readFile(new URL('../../docs/vectors/receipt.json', import.meta.url), 'utf8')),
)
const keys = publicKeysIn(vectors)
const receipt = vectors.valid[0]?.receipt ?? ''
const sha256 = (...pieces: (Buffer | string)[]): string => {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return hash.digest('hex')
}

describe('a receipt', () => {
  it('that was signed with the key is verified, and says what it states', async () => {
    for (const { receipt: jws, claims } of vectors.valid) expect(await verifyReceipt(jws, keys)).toEqual(claims)
    expect(vectors.valid.length).toBeGreaterThan(0)
  })

  it.each(vectors.invalid)('is refused: $what', async ({ jws, because }) => {
    const refused = await verifyReceipt(jws, keys).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(NotVerified)
    expect(refused).toMatchObject({ reason: because })
  })

  it('signed with a key that had been retired by then is refused, and one from before stays good', async () => {
    const retired = (to: string) => keys.map((key) => ({ ...key, to }))
    await expect(verifyReceipt(receipt, retired('2026-11-25T22:00:00Z'))).rejects.toMatchObject({
      reason: 'retired-key',
    })
    expect(await verifyReceipt(receipt, retired('2026-11-26T00:00:00Z'))).toEqual(vectors.valid[0]?.claims)
  })

  it('is not fooled by a key that only carries the right name', async () => {
    const [key] = keys
    const other = { kty: 'OKP' as const, crv: 'Ed25519' as const, x: 'PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw' }
    await expect(verifyReceipt(receipt, [{ ...other, kid: key?.kid ?? '' }])).rejects.toMatchObject({
      reason: 'unknown-key',
    })
  })

  it('names the entry of the ledger that the published vector gives', () => {
    const { entry, salt, parts, leaf } = vectors.entry
    const said = JSON.parse(entry)
    expect(vectors.valid[0]?.claims).toMatchObject({ entryId: said.id, leaf })
    expect(sha256(Buffer.from(salt, 'hex'), entry)).toBe(leaf)
    const { actor, detail } = said.sealed
    const inOrder = (value: unknown) => JSON.stringify(value, Object.keys(Object(value)).sort())
    expect(sha256(Buffer.from(parts.actor?.salt ?? '', 'hex'), inOrder(parts.actor?.value))).toBe(actor)
    expect(sha256(Buffer.from(parts.detail?.salt ?? '', 'hex'), inOrder(parts.detail?.value))).toBe(detail)
    expect(vectors.valid[0]?.claims).toMatchObject({ sha256: sha256(vectors.file), size: vectors.file.length })
  })
})

describe('keys to verify with', () => {
  it("are found in a JWK, in the answer of /ledger/keys, and in a dock's enrolment", async () => {
    const [key] = vectors.keys
    expect(publicKeysIn(key)).toHaveLength(1)
    expect(publicKeysIn({ keys: vectors.keys, log: { origin: 'x', vkey: 'y' } })).toHaveLength(1)
    expect(publicKeysIn({ dock: 'x', installationKeys: vectors.keys })).toHaveLength(1)
    expect(publicKeysIn({ keys: [{ kty: 'RSA', n: 'x', e: 'AQAB' }] })).toEqual([])
    expect(publicKeysIn(undefined)).toEqual([])
  })

  it('are named by their RFC 7638 thumbprint', async () => {
    expect(await Promise.all(keys.map(kidOf))).toEqual(['kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k'])
  })
})

describe('docs/verify.md', () => {
  it('shows the published vectors as they are', async () => {
    const page = await readFile(new URL('../../docs/verify.md', import.meta.url), 'utf8')
    const [header, payload] = receipt.split('.').map((part) => Buffer.from(part, 'base64url').toString('utf8'))
    const { entry, salt, leaf, parts } = vectors.entry
    const shown = [header, payload, entry, salt, `${leaf} *stdin`, parts.actor?.salt, vectors.keys[0]?.x]
    for (const text of shown) expect(page).toContain(text ?? 'missing')
  })
})
