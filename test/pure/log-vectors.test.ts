import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { describe, expect, it } from 'vitest'
import { cosignedAt, openCheckpoint } from '../../src/base/checkpoint.ts'
import { type NoteKey, parseNote, parseVkey } from '../../src/base/note.ts'
import { hasTile, parseEntryBundle, parseTilePath } from '../../src/base/tiles.ts'
import { parseProof } from '../../src/base/tlog-proof.ts'
import { checkProof } from '../../src/ledger/log/verify-proof.ts'
import { treeOf } from '../second-tree.ts'

const Proof = { what: Type.String(), leaf: Type.String(), proof: Type.String() }
const Vectors = Type.Object({
  log: Type.Object({ origin: Type.String(), vkey: Type.String() }),
  witness: Type.String(),
  checkpoints: Type.Record(Type.String(), Type.String()),
  tiles: Type.Record(Type.String(), Type.String()),
  valid: Type.Array(
    Type.Object({ ...Proof, index: Type.Integer(), size: Type.Integer(), witnessedAt: Type.Optional(Type.Integer()) }),
  ),
  invalid: Type.Array(Type.Object(Proof)),
})
const file = new URL('../../docs/vectors/log.json', import.meta.url)
const vectors = Value.Parse(Vectors, JSON.parse(await readFile(file, 'utf8')))

const keyIn = (vkey: string): NoteKey => {
  const key = parseVkey(vkey)
  if (key === null) throw new Error(`${vkey} was not read`)
  return key
}
const [key, witness] = [keyIn(vectors.log.vkey), keyIn(vectors.witness)]
/** As the file says how they are made. */
const leaves = Array.from({ length: 300 }, (_, n) => createHash('sha256').update(`leaf ${n}`).digest())
const tree = treeOf(leaves)

/** What the page in a bundle says of the same, in its own code. */
type Page = {
  readVkey(vkey: string): object | null
  readProof(text: string): { leaf: string | null; index: number; path: string[]; checkpoint: string } | null
  rootFrom(from: { leaf: string; index: number; size: number; path: string[] }): string | null
  verifyCheckpoint(note: string, keys: unknown[]): Promise<{ head?: { size: number; root: string } }>
}
const page: Page = await import(new URL('../../src/bundles/page/log.js', import.meta.url).href)
const pageBelieves = async ({ leaf, proof }: { leaf: string; proof: string }): Promise<boolean> => {
  const read = page.readProof(proof)
  if (read === null || (read.leaf !== null && read.leaf !== leaf)) return false
  const { head } = await page.verifyCheckpoint(read.checkpoint, [page.readVkey(vectors.log.vkey)])
  return head !== undefined && page.rootFrom({ ...read, leaf, size: head.size }) === head.root
}

describe('the published vectors of the log', () => {
  it('have heads that the key signed, over the leaves that are said', () => {
    for (const [size, note] of Object.entries(vectors.checkpoints)) {
      const root = tree(0, Number(size))
      expect(openCheckpoint(note, key)).toEqual({ origin: vectors.log.origin, size: Number(size), root })
    }
  })

  it('have the tiles of the tree of 300 leaves, which other code computes too', () => {
    const all = Object.entries(vectors.tiles).map(([path, text]) => ({ path, bytes: Buffer.from(text, 'base64') }))
    expect(all).toHaveLength(5)
    for (const { path, bytes } of all) {
      const tile = parseTilePath(path)
      if (tile === null) throw new Error(`${path} is no path of a tile`)
      expect(hasTile(tile, 300)).toBe(true)
      const from = tile.index * 256
      if (tile.kind === 'entries') {
        expect(parseEntryBundle(bytes)).toEqual(leaves.slice(from, from + tile.width))
        continue
      }
      const span = 256 ** tile.level
      const hashes = Array.from({ length: tile.width }, (_, n) => tree((from + n) * span, (from + n + 1) * span))
      expect(bytes.equals(Buffer.concat(hashes))).toBe(true)
    }
  })

  it.each(vectors.valid)('are accepted: $what', async ({ leaf, index, size, proof, witnessedAt }) => {
    const bytes = Buffer.from(leaf, 'hex')
    expect(leaves[index]?.equals(bytes)).toBe(true)
    expect(checkProof(proof, bytes, [key])).toMatchObject({ index, size, origin: vectors.log.origin })
    expect(await pageBelieves({ leaf, proof })).toBe(true)
    if (witnessedAt === undefined) return
    const note = parseNote(parseProof(proof)?.checkpoint ?? '')
    expect(note?.signatures.map((line) => cosignedAt(note.text, line, witness))).toContain(witnessedAt)
  })

  it.each(vectors.invalid)('are refused: $what', async ({ leaf, proof }) => {
    expect(checkProof(proof, Buffer.from(leaf, 'hex'), [key])).toHaveProperty('fault')
    expect(await pageBelieves({ leaf, proof })).toBe(false)
  })
})
