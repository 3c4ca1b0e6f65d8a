import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { expect, test } from 'vitest'
import { cosignedAt, openCheckpoint } from '../../src/base/checkpoint.ts'
import { isLineOf, parseNote, parseVkey } from '../../src/base/note.ts'
import { cosignatureIn, WitnessFailed } from '../../src/ledger/cosigning/exchange.ts'
import { linesOfLog } from '../../src/ledger/witness/submission.ts'

const docs = new URL('../../docs/', import.meta.url)
const Vectors = Type.Object({
  log: Type.String(),
  witness: Type.String(),
  checkpoint: Type.String(),
  time: Type.Integer(),
  invalid: Type.Array(Type.Object({ what: Type.String(), checkpoint: Type.String() })),
})
const vectors = Value.Parse(Vectors, JSON.parse(readFileSync(new URL('vectors/cosignature.json', docs), 'utf8')))

const keyOf = (vkey: string) => {
  const key = parseVkey(vkey)
  if (key === null) throw new Error(`${vkey} is no key`)
  return key
}
const [log, witness] = [keyOf(vectors.log), keyOf(vectors.witness)]
const noteIn = (checkpoint: string) => {
  const note = parseNote(checkpoint)
  if (note === null) throw new Error('it is not well formed')
  return note
}
const times = { from: vectors.time - 5, to: vectors.time + 5 }
/** What stands below the log's own signature. */
const below = (checkpoint: string) => checkpoint.split('\n').slice(5).join('\n')

test('the published cosignature verifies, and gives the published time', () => {
  const { text, signatures } = noteIn(vectors.checkpoint)
  expect(openCheckpoint(vectors.checkpoint, log)).toMatchObject({ origin: log.name, size: 5 })
  expect(signatures.map((line) => cosignedAt(text, line, witness))).toEqual([null, vectors.time])
  expect(cosignatureIn(below(vectors.checkpoint), text, witness, times)).toBe(below(vectors.checkpoint))
})

test('it does too with nothing of ours, as docs/verify.md says', () => {
  const [text = '', lines = ''] = vectors.checkpoint.split('\n\n')
  const [name = '', id, ...base64] = vectors.witness.split('+')
  const typed = Buffer.from(base64.join('+'), 'base64')
  expect(createHash('sha256').update(`${name}\n`).update(typed).digest('hex').slice(0, 8)).toBe(id)
  const line = Buffer.from(lines.split('\n')[1]?.split(' ')[2] ?? '', 'base64')
  expect(line).toHaveLength(76)
  expect(line.toString('hex', 0, 4)).toBe(id)
  expect(Number(line.readBigUInt64BE(4))).toBe(vectors.time)
  const x = typed.subarray(1).toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  const signed = Buffer.from(`cosignature/v1\ntime ${vectors.time}\n${text}\n`)
  expect(verify(null, signed, key, line.subarray(12))).toBe(true)
})

test.for(vectors.invalid)('nothing is cosigned by $what', ({ checkpoint }) => {
  const { text, signatures } = noteIn(checkpoint)
  expect(openCheckpoint(checkpoint, log)).toMatchObject({ size: 5 })
  expect(signatures.map((line) => cosignedAt(text, line, witness)).filter((time) => time !== null)).toEqual([])
  expect(() => cosignatureIn(below(checkpoint), text, witness, times)).toThrow(WitnessFailed)
  // Where a line claims to be of the key, whoever trusts that key refuses the whole.
  const claimed = signatures.some((line) => isLineOf(line, witness))
  expect(linesOfLog({ text, signatures }, [log, witness]) === null).toBe(claimed)
})

test('docs/verify.md shows the published vector as it is', () => {
  const page = readFileSync(new URL('verify.md', docs), 'utf8')
  expect(page).toContain(`\n${vectors.checkpoint}`)
  expect(page).toContain(`\`\`\`\ncosignature/v1\ntime ${vectors.time}\n${noteIn(vectors.checkpoint).text}\`\`\``)
  for (const text of [vectors.witness, witness.id, String(vectors.time)]) expect(page).toContain(text)
})
