import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkpointText, cosign } from '../../src/base/checkpoint.ts'
import { inclusionPath, leafHash, rootOf } from '../../src/base/merkle.ts'
import { type NoteKey, noteKey, signNote, vkeyOf } from '../../src/base/note.ts'
import { formatProof } from '../../src/base/tlog-proof.ts'
import { systemClock } from '../../src/engines/clock.ts'
import { type SealedEntry, sealEntry } from '../../src/ledger/entry.ts'
import { checkProof, leafOfDisclosed, logKeysIn } from '../../src/ledger/log/verify-proof.ts'
import { runCommand } from '../command-line.ts'
import { someAct } from '../logged.ts'

type Signer = { key: NoteKey; privateKey: KeyObject }
const signer = (name: string, type: 1 | 4): Signer => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const { x = '' } = publicKey.export({ format: 'jwk' })
  return { key: noteKey(name, type, Buffer.from(x, 'base64url')), privateKey }
}

const log = signer('log.example.org/force', 1)
const witness = signer('witness.example.org/w1', 4)
const sealed: SealedEntry[] = Array.from({ length: 5 }, () => sealEntry(someAct, systemClock))
const hashes = sealed.map(({ leaf }) => leafHash(leaf))
const third = sealed[3] ?? sealEntry(someAct, systemClock)
const disclosed = { entry: JSON.parse(third.entry), salt: third.salt.toString('hex'), parts: {} }

const made = async (by = log): Promise<string> => {
  const text = checkpointText({ origin: by.key.name, size: 5, root: rootOf(hashes) })
  const checkpoint =
    signNote(text, by.key, by.privateKey) + cosign(text, 1_796_000_000, witness.key, witness.privateKey)
  const path = await inclusionPath(3, 5, async (level, index) =>
    rootOf(hashes.slice(index * 2 ** level, (index + 1) * 2 ** level)),
  )
  return formatProof({ extra: third.leaf, index: 3, path, checkpoint })
}

let folder: string
let proof: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'exhibit-proof-'))
  proof = await made()
  await writeFile(join(folder, 'x.tlog-proof'), proof)
  await writeFile(join(folder, 'x.entry.json'), JSON.stringify(disclosed))
  await writeFile(join(folder, 'log.vkey'), `${vkeyOf(log.key)}\n`)
  await writeFile(join(folder, 'keys.json'), JSON.stringify({ keys: [], logs: [{ vkey: vkeyOf(log.key) }] }))
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

test('keys of logs are found in the answer of /ledger/keys and in a text of vkeys, and those of witnesses are not', () => {
  const vkey = vkeyOf(log.key)
  expect(logKeysIn({ keys: [], log: { origin: 'x', vkey }, logs: [{ vkey }] }, '').map(vkeyOf)).toEqual([vkey])
  expect(logKeysIn(undefined, `${vkey}\n\n${vkeyOf(witness.key)}\nnothing\n`).map(vkeyOf)).toEqual([vkey])
  expect(logKeysIn('nonsense', 'nonsense')).toEqual([])
})

test('a proof verifies with the leaf of the entry that it is about, and names its place', () => {
  const leaf = leafOfDisclosed(disclosed)
  expect(leaf).toEqual(third.leaf)
  expect(checkProof(proof, leaf, [log.key])).toMatchObject({ origin: log.key.name, index: 3, size: 5, witnessed: [] })
  expect(checkProof(proof, null, [log.key])).toMatchObject({ index: 3 })
  expect(checkProof(proof, leaf, [log.key], [witness.key])).toMatchObject({
    witnessed: [{ witness: witness.key.name, at: 1_796_000_000 }],
  })
})

test.each<[string, () => unknown, RegExp]>([
  ['another entry', () => checkProof(proof, sealed[1]?.leaf ?? null, [log.key]), /about another entry/],
  ['a log nobody knows', () => checkProof(proof, null, []), /key is not among those you gave/],
  [
    'a witness that has not signed',
    () => checkProof(proof, null, [log.key], [signer('w2', 4).key]),
    /not cosigned by the witness w2/,
  ],
  [
    'a witness of that name and another key',
    () => checkProof(proof, null, [log.key], [signer(witness.key.name, 4).key]),
    /not cosigned/,
  ],
  ['another key of that log', () => checkProof(proof, null, [signer(log.key.name, 1).key]), /does not verify/],
  ['a proof that is cut', () => checkProof(proof.slice(0, -30), null, [log.key]), /./],
  ['no proof at all', () => checkProof('hello', null, [log.key]), /no proof of the log/],
  ['another index', () => checkProof(proof.replace('index 3', 'index 2'), null, [log.key]), /does not verify/],
])('a proof is refused, in words, with %s', (_name, check, words) => {
  const found = check()
  expect(found).toHaveProperty('fault', expect.stringMatching(words))
})

test('an entry that was altered after it was disclosed has another leaf', () => {
  const altered = { ...disclosed, entry: { ...disclosed.entry, outcome: 'denied' } }
  expect(checkProof(proof, leafOfDisclosed(altered), [log.key])).toHaveProperty('fault')
  expect(leafOfDisclosed({ entry: 'x', salt: '00' })).toBeNull()
  expect(leafOfDisclosed(null)).toBeNull()
})

test('the command says what it verified, and ends with 1 when it did not', async () => {
  const at = (name: string) => join(folder, name)
  const right = await runCommand([
    'verify',
    at('x.tlog-proof'),
    '--key',
    at('keys.json'),
    '--entry',
    at('x.entry.json'),
  ])
  expect(right).toMatchObject({ code: 0 })
  expect(right.out).toContain('leaf           3 of 5')
  const seen = await runCommand([
    'verify',
    at('x.tlog-proof'),
    '--key',
    at('log.vkey'),
    '--witness',
    vkeyOf(witness.key),
    '--json',
  ])
  expect(JSON.parse(seen.out)).toMatchObject({ ok: true, index: 3, witnessed: [{ witness: witness.key.name }] })
  await writeFile(at('bad.tlog-proof'), proof.replace('index 3', 'index 1'))
  const wrong = await runCommand(['verify', at('bad.tlog-proof'), '--key', at('keys.json')])
  expect(wrong).toMatchObject({ code: 1 })
  expect(wrong.out).toContain('✗ NOT verified.')
}, 60_000)
