import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EntryId, newId, type RecordingId, type Sha256 } from '../../src/base/ids.ts'
import { signReceipt } from '../../src/custody/receipt.ts'
import { NotVerified } from '../../src/custody/verify-receipt.ts'
import { makeKeyFile, type ReceiptKey } from '../../src/engines/receipt-key.ts'
import { type ErasureClaims, signErasure } from '../../src/retention/proof.ts'
import { verifyErasure } from '../../src/retention/verify-erasure.ts'
import { growLog } from '../bundle-builder.ts'
import { runCommand } from '../command-line.ts'

let folder: string
let key: ReceiptKey
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-proof-'))
  key = await makeKeyFile(path.join(folder, 'private.json'))
  await writeFile(path.join(folder, 'public.json'), JSON.stringify(key.publicJwk))
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

const claims: ErasureClaims = {
  iss: 'exhibit',
  iat: 1_800_000_000,
  recordingId: newId<RecordingId>(),
  sha256: 'a'.repeat(64) as Sha256,
  erasedAt: '2027-01-15T08:00:00.000Z',
  authority: `policy ${newId()}`,
  policyVersion: 3,
  objects: 41,
  entryId: newId<EntryId>(),
  leaf: 'b'.repeat(64),
}

const refusal = async (jws: string): Promise<string> => {
  try {
    await verifyErasure(jws, [key.publicJwk])
    return 'verified'
  } catch (error) {
    if (error instanceof NotVerified) return `${error.reason}: ${error.message}`
    throw error
  }
}

test('a proof of erasure is verified by anyone who has the public key, and states what was erased by which authority', async () => {
  expect(await verifyErasure(await signErasure(claims, key), [key.publicJwk])).toEqual(claims)
  const { policyVersion: _, ...requested } = claims
  expect(await verifyErasure(await signErasure(requested, key), [key.publicJwk])).toEqual(requested)
})

test('a proof that was altered, is of another kind, or states too little is refused in words', async () => {
  const jws = await signErasure(claims, key)
  const [head, , signature] = jws.split('.')
  const body = Buffer.from(JSON.stringify({ ...claims, objects: 0 })).toString('base64url')
  expect(await refusal(`${head}.${body}.${signature}`)).toMatch(
    /^wrong-signature: .* this proof of erasure was altered/,
  )
  const receipt = await signReceipt(JSON.parse(JSON.stringify(claims)), key)
  expect(await refusal(receipt)).toMatch(/a proof of erasure has the type exhibit-erasure\+jwt/)
  expect(await refusal(await signErasure({ ...claims, authority: '' }, key))).toMatch(/does not state what a proof/)
  expect(await refusal('nonsense')).toMatch(/not a compact JWS/)
})

test('the verify command tells in words what a proof states, and ends with 1 when it is not right', {
  timeout: 60_000,
}, async () => {
  const file = path.join(folder, 'proof.jws')
  const publicKey = path.join(folder, 'public.json')
  await writeFile(file, `${await signErasure(claims, key)}\n`)
  const told = await runCommand(['verify', file, '--key', publicKey])
  expect(told).toMatchObject({ code: 0, err: '' })
  expect(told.out).toMatch(/The signature is right/)
  expect(told.out).toContain(`by authority   ${claims.authority}, version 3`)
  const json = await runCommand(['verify', file, '--key', publicKey, '--json'])
  expect(JSON.parse(json.out)).toEqual({
    ok: true,
    claims,
    verified: [expect.stringMatching(/^The signature is right/)],
  })
  const other = path.join(folder, 'other.json')
  await writeFile(other, JSON.stringify((await makeKeyFile(path.join(folder, 'other-private.json'))).publicJwk))
  const wrong = await runCommand(['verify', file, '--key', other])
  expect([wrong.code, wrong.out]).toEqual([
    1,
    expect.stringMatching(/^✗ NOT verified\. The proof of erasure is signed with/),
  ])
  expect(await runCommand(['verify', file])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/give it with --key/),
  })
})

describe('with its proof of the log', () => {
  const grown = growLog([claims.leaf, 'c'.repeat(64)])
  const [own = '', another = ''] = grown.proofs
  const witnessed = ['--witness', grown.built.witness]
  let keys: string
  let erasure: string
  beforeAll(async () => {
    erasure = path.join(folder, 'erasure.jws')
    keys = path.join(folder, 'keys.json')
    await writeFile(erasure, `${await signErasure(claims, key)}\n`)
    await writeFile(keys, JSON.stringify({ keys: [key.publicJwk], logs: [{ vkey: grown.built.vkey }] }))
  })
  const verifiedWith = async (proof: string, ...more: string[]) => {
    const file = path.join(folder, 'erasure.tlog-proof')
    await writeFile(file, proof)
    return await runCommand(['verify', erasure, '--key', keys, '--proof', file, ...more])
  }

  test('a proof of erasure is verified to be in the log, and seen by the witness that was demanded', async () => {
    const right = await verifiedWith(own, ...witnessed)
    expect(right).toMatchObject({ code: 0, err: '' })
    expect(right.out).toMatch(
      /^✓ The signature is right.*\n✓ The entry is in the log.*\n✓ The witness witness\.example/,
    )
    const json = await verifiedWith(own, '--json')
    expect(JSON.parse(json.out)).toMatchObject({
      ok: true,
      claims,
      verified: [/^The signature/, /is in the log/].map((words) => expect.stringMatching(words)),
    })
  }, 60_000)

  test.each<[string, string, string[], RegExp]>([
    ['the proof of another entry', another, [], /✗ NOT verified\. .*about another entry/],
    [
      'that proof without the line that says so',
      another.replace(/extra .*\n/, ''),
      [],
      /✗ NOT verified\. .*not verify/,
    ],
    ['garbage for a proof', 'garbage', witnessed, /✗ NOT verified\. .*no proof of the log/],
    ['a proof in another log', growLog([claims.leaf], {}, 'elsewhere').proofs[0] ?? '', [], /whose key is not among/],
    ['a witness that has not signed', own, ['--witness', growLog([]).built.witness], /not cosigned by the witness/],
  ])(
    'a proof of erasure is refused, with what it states, with %s',
    async (_name, proof, more, words) => {
      const { code, out } = await verifiedWith(proof, ...more)
      expect([code, out]).toEqual([1, expect.stringMatching(words)])
      expect(out).toContain(claims.entryId)
    },
    60_000,
  )
})
