import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyBundle } from '../../src/bundles/verify.ts'
import { publicKeysIn } from '../../src/custody/verify-receipt.ts'
import { verifyBytes } from '../bundle-verdicts.ts'
import { runCommand } from '../command-line.ts'

const docs = new URL('../../docs/', import.meta.url)
const Vectors = Type.Object({
  keys: Type.Array(Type.Unknown()),
  bundle: Type.String(),
  leaves: Type.Record(Type.String(), Type.String()),
  invalid: Type.Array(
    Type.Object({
      what: Type.String(),
      names: Type.Union([Type.String(), Type.Null()]),
      kind: Type.String(),
      keep: Type.Optional(Type.Integer()),
      before: Type.Optional(Type.String()),
      after: Type.Optional(Type.String()),
      write: Type.Optional(Type.Array(Type.Tuple([Type.Integer(), Type.String()]))),
    }),
  ),
})
const vectors = Value.Parse(Vectors, JSON.parse(await readFile(new URL('vectors/bundle.json', docs), 'utf8')))
const whole = await readFile(new URL('vectors/bundle.zip', docs))

let place: string
beforeAll(async () => {
  place = await mkdtemp(path.join(tmpdir(), 'exhibit-vectors-'))
})
afterAll(async () => await rm(place, { recursive: true, force: true }))

describe('the published vector of a bundle', () => {
  it('is verified with its key', async () => {
    const file = path.join(place, 'bundle.zip')
    await writeFile(file, whole)
    const verdict = await verifyBundle(file, { keys: publicKeysIn(vectors) })
    expect(verdict).toMatchObject({
      ok: true,
      findings: [],
      bundle: vectors.bundle,
      receipts: 2,
      leaves: 2,
      entries: 2,
    })
    expect((await runCommand(['verify', file])).code).toBe(0)
  })

  it.each(vectors.invalid)('is refused, and what is wrong named: $what', async ({ names, kind, ...change }) => {
    const bytes = Buffer.concat([
      Buffer.from(change.before ?? '', 'hex'),
      whole.subarray(0, change.keep ?? whole.length),
      Buffer.from(change.after ?? '', 'hex'),
    ])
    for (const [at, hex] of change.write ?? []) Buffer.from(hex, 'hex').copy(bytes, at)
    const verdict = await verifyBytes(bytes)
    expect(verdict.findings.map((finding) => ({ kind: finding.kind, path: finding.path }))).toContainEqual({
      kind,
      path: names,
    })
  })

  it('is what docs/verify.md says by hand', async () => {
    const page = await readFile(new URL('verify.md', docs), 'utf8')
    for (const text of [vectors.bundle, ...Object.values(vectors.leaves)]) expect(page).toContain(text)
  })
})
