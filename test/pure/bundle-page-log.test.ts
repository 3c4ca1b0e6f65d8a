import { describe, expect, it } from 'vitest'
import { checkpointText, cosign } from '../../src/base/checkpoint.ts'
import { signNote, vkeyOf } from '../../src/base/note.ts'
import { formatProof } from '../../src/base/tlog-proof.ts'
import type { BundleStory } from '../../src/bundles/story.ts'
import { buildBundle } from '../bundle-builder.ts'
import { newNoteKey } from '../note-keys.ts'
import { numbered, pathIn, sparseTreeOf, treeOf } from '../second-tree.ts'

/** The page's own code is JavaScript, as the browser gets it; it runs here too. */
const folder = new URL('../../src/bundles/page/', import.meta.url)
type Key = { name: string; id: string; publicKey: Uint8Array }
type Verdict = { head: { origin: string; size: number; root: string }; unable: boolean } | { because: string }
type Log = {
  readVkey(vkey: string): Key | null
  readProof(text: string): { leaf: string | null; index: number; path: string[]; checkpoint: string } | null
  rootFrom(from: { leaf: string; index: number; size: number; path: string[] }): string | null
  verifyCheckpoint(note: string, keys: Key[]): Promise<Verdict>
}
const { readVkey, readProof, rootFrom, verifyCheckpoint }: Log = await import(new URL('log.js', folder).href)
type Found = {
  findings: { kind: string; path: string; says: string }[]
  log: { places: Map<string, { index: number; size: number; proven: boolean | null }>; heads: { size: number }[] }
}
type Proofs = { checkProofs(story: BundleStory): Promise<Found> }
const { checkProofs }: Proofs = await import(new URL('proofs.js', folder).href)

const hex = (bytes: Buffer): string => bytes.toString('hex')
const origin = 'log.example.org/exhibit'
const { key, privateKey } = newNoteKey(origin)
const witness = newNoteKey('witness.example.org/w1', 4)

const story = (): BundleStory => buildBundle({ recording: Buffer.from('recording'), clip: Buffer.from('clip') }).story

describe("the page's way through the tree", () => {
  it('leads from every leaf to the root, in trees of every size up to 70', () => {
    const leaves = numbered(70)
    const tree = treeOf(leaves)
    for (let size = 1; size <= 70; size++) {
      for (let index = 0; index < size; index++) {
        const [leaf, path] = [hex(leaves[index] ?? Buffer.alloc(0)), pathIn(tree, index, 0, size).map(hex)]
        expect(rootFrom({ leaf, index, size, path })).toBe(hex(tree(0, size)))
        if (path.length === 0) continue
        expect(rootFrom({ leaf, index, size, path: path.slice(1) })).not.toBe(hex(tree(0, size)))
        expect(rootFrom({ leaf, index, size, path: [...path, ...path.slice(-1)] })).not.toBe(hex(tree(0, size)))
      }
      expect(rootFrom({ leaf: '00', index: size, size, path: [] })).toBeNull()
    }
  })

  it('goes beyond 32 bits', () => {
    const size = 2 ** 40 + 3
    const [plain, other] = [Buffer.from('plain'), Buffer.from('other')]
    for (const index of [2 ** 31, 2 ** 32 + 1, 2 ** 40, size - 1]) {
      const tree = sparseTreeOf(plain, new Map([[index, other]]))
      const path = pathIn(tree, index, 0, size).map(hex)
      expect(rootFrom({ leaf: hex(other), index, size, path })).toBe(hex(tree(0, size)))
      expect(rootFrom({ leaf: hex(plain), index, size, path })).not.toBe(hex(tree(0, size)))
    }
  })
})

describe("the page's reading of signed heads and proofs", () => {
  const text = checkpointText({ origin, size: 12, root: Buffer.alloc(32, 7) })
  const note = signNote(text, key, privateKey) + cosign(text, 1_796_000_000, witness.key, witness.privateKey)
  const known = readVkey(vkeyOf(key))
  const keys = known === null ? [] : [known]

  it('knows the key of a log by its id, and no other', () => {
    expect(known).toMatchObject({ name: origin, id: key.id })
    expect(Buffer.from(known?.publicKey ?? [])).toEqual(key.publicKey)
    const vkey = vkeyOf(key)
    for (const wrong of ['', origin, vkey.slice(0, -1), vkey.replace(/\+[0-9a-f]/, '+x'), vkeyOf(witness.key)])
      expect(readVkey(wrong)).toBeNull()
  })

  it('believes a head that the log signed, with lines of others below', async () => {
    expect(await verifyCheckpoint(note, keys)).toEqual({
      head: { origin, size: 12, root: '07'.repeat(32) },
      unable: false,
    })
  })

  it.each<[string, (note: string) => string, RegExp]>([
    ['altered in its size', (is) => is.replace('\n12\n', '\n13\n'), /signature is wrong/],
    ['altered in its name', (is) => is.replace(origin, `${origin}/2`), /key is not in this bundle/],
    ['without the log’s signature', (is) => is.replace(/— log.*\n/, ''), /not signed with the key/],
    ['with a size of leading zeros', (is) => is.replace('\n12\n', '\n012\n'), /no signed head/],
    ['with a root of 31 bytes', (is) => is.replace(/\nBwcH.*\n\n/, `\n${'A'.repeat(40)}AA==\n\n`), /no signed head/],
    ['without its last line’s end', (is) => is.slice(0, -1), /no signed head/],
    ['with a signature that is none', (is) => is.replace('— log', '- log'), /no signed head/],
    ['that is nothing', () => '', /no signed head/],
  ])('refuses one %s', async (_, change, because) => {
    expect(await verifyCheckpoint(change(note), keys)).toEqual({ because: expect.stringMatching(because) })
  })

  it('reads a proof as it is written, with and without its leaf, and nothing else', () => {
    const path = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
    const whole = formatProof({ extra: Buffer.alloc(32, 9), index: 5, path, checkpoint: note })
    expect(readProof(whole)).toEqual({ leaf: '09'.repeat(32), index: 5, path: path.map(hex), checkpoint: note })
    expect(readProof(whole.replace(/extra .*\n/, ''))).toMatchObject({ leaf: null, index: 5 })
    for (const wrong of [
      '',
      whole.replace('@v1', '@v2'),
      whole.replace('index 5', 'index 05'),
      whole.replace('index 5', 'index -5'),
      whole.replace('index 5\n', ''),
      whole.replace(/extra .*/, 'extra !'),
      whole.replace('AQEB', 'AQE!'),
      whole.slice(0, whole.indexOf('\n\n')),
    ])
      expect(readProof(wrong)).toBeNull()
  })
})

describe('what the page finds of the proofs that it holds', () => {
  const found = async (spoil: (story: BundleStory) => unknown = () => undefined): Promise<Found> => {
    const spoilt = story()
    spoil(spoilt)
    return await checkProofs(spoilt)
  }
  const rewrite = (of: BundleStory, change: (text: string) => string): void => {
    for (const { proof } of of.entries.slice(0, 1)) proof.text = change(proof.text)
  }

  it('is the place of each entry, proven', async () => {
    const { findings, log } = await found()
    expect(findings).toEqual([])
    expect(log.heads).toMatchObject([{ size: 33 }])
    expect([...log.places]).toEqual([
      ['proofs/entries/1.entry.json', { index: 3, size: 33, proven: true }],
      ['proofs/entries/2.entry.json', { index: 10, size: 33, proven: true }],
      ['proofs/entries/3.entry.json', { index: 17, size: 33, proven: true }],
      ['proofs/entries/4.entry.json', { index: 24, size: 33, proven: true }],
    ])
  })

  it.each<[string, string, (story: BundleStory) => unknown]>([
    ['no proof', 'proof ONE', (of) => rewrite(of, () => 'hello')],
    ['a proof of another place', 'proof ONE', (of) => rewrite(of, (text) => text.replace('index 3', 'index 4'))],
    ['a proof of another entry', 'proof ONE', (of) => rewrite(of, () => of.entries[1]?.proof.text ?? '')],
    ['a proof under another head', 'proof ONE', (of) => rewrite(of, (text) => text.replace(/— witness.*\n/, ''))],
    [
      'a head that nobody signed',
      'checkpoint proofs/checkpoint',
      (of) => {
        const was = of.checkpoints[0]?.note ?? ''
        const is = was.replace('\n33\n', '\n34\n')
        for (const checkpoint of of.checkpoints) checkpoint.note = is
        for (const { proof } of of.entries) proof.text = proof.text.replace(was, is)
      },
    ],
    ['no key of the log', 'checkpoint proofs/checkpoint', (of) => of.keys.logs.splice(0)],
  ])('is what is wrong, by its path, where there is %s', async (_, expected, spoil) => {
    let receipt = ''
    const { findings } = await found((of) => {
      receipt = of.receipts[0]?.path ?? ''
      spoil(of)
    })
    expect(findings.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      expected.replace('RECEIPT', receipt).replace('ONE', 'proofs/entries/1.tlog-proof'),
    ])
  })
})
