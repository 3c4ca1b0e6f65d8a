import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseVkey } from '../../src/base/note.ts'
import { verifyBundle } from '../../src/bundles/verify.ts'
import { publicKeysIn } from '../../src/custody/verify-receipt.ts'
import { logKeysIn } from '../../src/ledger/log/verify-proof.ts'
import { bundleVector } from '../bundle-vector.ts'
import { verifyBytes } from '../bundle-verdicts.ts'
import { runCommand } from '../command-line.ts'

const run = promisify(execFile)
const docs = new URL('../../docs/', import.meta.url)
const Vectors = Type.Object({
  keys: Type.Array(Type.Unknown()),
  log: Type.Object({ origin: Type.String(), vkey: Type.String() }),
  witness: Type.String(),
  bundle: Type.String(),
  leaves: Type.Record(Type.String(), Type.String()),
  places: Type.Record(Type.String(), Type.Integer()),
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
    const logKeys = logKeysIn(vectors, '')
    const witness = parseVkey(vectors.witness)
    const witnesses = witness === null ? [] : [witness]
    const verdict = await verifyBundle(file, { keys: publicKeysIn(vectors), logKeys, witnesses })
    expect(verdict).toMatchObject({
      ok: true,
      findings: [],
      bundle: vectors.bundle,
      receipts: 2,
      leaves: 2,
      entries: 4,
      alone: [],
      proofs: { carried: true, proven: 4, heads: [{ origin: vectors.log.origin, witnessed: [{}] }] },
      keys: { from: 'given' },
      logKeys: { from: 'given' },
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

  it('is what its script makes, byte for byte', () => {
    const { zip, described } = bundleVector()
    expect(zip.equals(whole)).toBe(true)
    expect(Value.Parse(Vectors, described)).toEqual(vectors)
  })

  it('is what docs/verify.md says by hand', async () => {
    const page = await readFile(new URL('verify.md', docs), 'utf8')
    for (const text of [vectors.bundle, vectors.log.vkey, ...Object.values(vectors.leaves)])
      expect(page).toContain(text)
  })

  it('is proven, and no longer when it is altered, by the lines of docs/verify.md that need nothing of ours', async () => {
    const page = await readFile(new URL('verify.md', docs), 'utf8')
    const script = /```python\n(import base64, glob.*?)```/s.exec(page)?.[1] ?? ''
    expect(script.split('\n').length).toBeLessThanOrEqual(61)
    await writeFile(path.join(place, 'proofs.py'), script)
    const zip = path.join(place, 'by-hand.zip')
    await writeFile(zip, whole)
    await run('unzip', ['-q', '-o', zip, '-d', place])
    const cwd = path.join(place, `exhibit-bundle-${vectors.bundle}`)
    const check = async () => await run('python3', [path.join(place, 'proofs.py'), vectors.log.vkey], { cwd })
    const { stdout } = await check()
    for (const [entry, index] of Object.entries(vectors.places))
      expect(stdout).toContain(`entry ${entry} is leaf ${index} of 33`)
    const spoil = async (name: string, from: RegExp, to: string, says: RegExp): Promise<void> => {
      const file = path.join(cwd, name)
      const text = await readFile(file, 'utf8')
      await writeFile(file, text.replace(from, to))
      await expect(check()).rejects.toThrow(says)
      await writeFile(file, text)
    }
    await spoil('proofs/entries/1.tlog-proof', /index 3/, 'index 2', /does not lead to the root/)
    // Their low bits are those of 3: the same path leads up from them.
    for (const index of [3 + 64, 3 - 64])
      await spoil('proofs/entries/1.tlog-proof', /index 3/, `index ${index}`, /the tree has no such leaf/)
    await spoil('proofs/entries/1.entry.json', /"allowed"/, '"denied"', /does not lead to the root/)
    await spoil('proofs/entries/1.tlog-proof', /— witness.*\n/, '', /another checkpoint/)
    await spoil('proofs/checkpoint', /\n33\n/, '\n32\n', /not signed by this key/)
  })

  it('is told from one with other footage, or other exhibits, by the lines of docs/verify.md that need nothing of ours', async () => {
    const page = await readFile(new URL('verify.md', docs), 'utf8')
    const script = /```python\n(import glob.*?)```/s.exec(page)?.[1] ?? ''
    expect(script.split('\n').length).toBeLessThanOrEqual(45)
    await writeFile(path.join(place, 'footage.py'), script)
    const zip = path.join(place, 'footage.zip')
    const check = async (bytes: Buffer) => {
      await writeFile(zip, bytes)
      await run('unzip', ['-q', '-o', zip, '-d', place])
      return await run('python3', [path.join(place, 'footage.py')], {
        cwd: path.join(place, `exhibit-bundle-${vectors.bundle}`),
      })
    }
    expect((await check(whole)).stdout).toBe('AB/1 is what the ledger states\nAB/2 is what the ledger states\n')
    for (const [what, says] of [
      ['another clip', /clip\.mp4 is not the clip|another clip than was cut/],
      ['two exhibits that changed places', /than was asked for/],
    ] as const) {
      const bytes = Buffer.from(whole)
      for (const [at, hex] of vectors.invalid.find((each) => each.what.startsWith(what))?.write ?? [])
        Buffer.from(hex, 'hex').copy(bytes, at)
      await expect(check(bytes)).rejects.toThrow(says)
    }
  })
})
