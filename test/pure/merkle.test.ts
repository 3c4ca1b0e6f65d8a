import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  accumulator,
  consistencyPath,
  emptyRoot,
  type HashAt,
  inclusionPath,
  leafHash,
  nodeHash,
  rootAt,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from '../../src/base/merkle.ts'
import { numbered, pathIn, proofIn, sparseTreeOf, subtreesOf, treeOf } from '../second-tree.ts'

const hash = (text: string) => Buffer.from(text, 'hex')
const hexOf = (hashes: readonly Buffer[]) => hashes.map((each) => each.toString('hex'))
const most = Number.MAX_SAFE_INTEGER

// The leaves and hashes of the Certificate Transparency reference tests.
const reference = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(hash)
const referenceRoots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
].map(hash)
const referenceRoot = (size: number) => referenceRoots[size] ?? emptyRoot

describe('the reference tests of Certificate Transparency', () => {
  const tree = treeOf(reference)

  test.for(referenceRoots.map((_, size) => size))('the tree of %i leaves has the known root', async (size) => {
    const leaves = reference.slice(0, size)
    expect(rootOf(leaves.map(leafHash))).toEqual(referenceRoot(size))
    expect(await rootAt(size, subtreesOf(tree, size))).toEqual(referenceRoot(size))
    expect(treeOf(leaves)(0, size)).toEqual(referenceRoot(size))
  })

  test.for<[number, number, string[]]>([
    [0, 1, []],
    [
      0,
      8,
      [
        '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
      ],
    ],
    [
      5,
      8,
      [
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ],
    ],
    [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
    [
      1,
      5,
      [
        '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      ],
    ],
  ])('leaf %i of %i has the known path', async ([index, size, path]) => {
    expect(hexOf(await inclusionPath(index, size, subtreesOf(tree, size)))).toEqual(path)
    const leaf = leafHash(reference[index] ?? emptyRoot)
    const claim = { index, size, leafHash: leaf, path: path.map(hash), root: referenceRoot(size) }
    expect(verifyInclusion(claim)).toBe(true)
  })

  test.for<[number, number, string[]]>([
    [1, 1, []],
    [
      1,
      8,
      [
        '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
      ],
    ],
    [
      6,
      8,
      [
        '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
        'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ],
    ],
    [
      2,
      5,
      [
        '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
        'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      ],
    ],
    [
      6,
      7,
      [
        '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
        'b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f',
        'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      ],
    ],
  ])('the known path leads from size %i to size %i', async ([oldSize, size, path]) => {
    expect(hexOf(await consistencyPath(oldSize, size, subtreesOf(tree, size)))).toEqual(path)
    const claim = { oldSize, size, oldRoot: referenceRoot(oldSize), root: referenceRoot(size), path: path.map(hash) }
    expect(verifyConsistency(claim)).toBe(true)
  })
})

describe('the second implementation', { timeout: 60_000 }, () => {
  const allSizes = 300
  const leaves = numbered(allSizes)
  const second = treeOf(leaves)

  test('finds the same roots for all sizes up to 300, at once and leaf by leaf', async () => {
    const growing = accumulator()
    for (let size = 0; size <= allSizes; size += 1) {
      const root = second(0, size)
      expect(growing.size).toBe(size)
      expect(growing.root()).toEqual(root)
      expect(rootOf(leaves.slice(0, size).map(leafHash))).toEqual(root)
      expect(await rootAt(size, subtreesOf(second, size))).toEqual(root)
      growing.add(leafHash(leaves[size] ?? emptyRoot))
    }
  })

  test('finds the same path for every leaf of all sizes up to 300, and each verifies', async () => {
    for (let size = 1; size <= allSizes; size += 1) {
      const hashAt = subtreesOf(second, size)
      const root = second(0, size)
      for (let index = 0; index < size; index += 1) {
        const path = await inclusionPath(index, size, hashAt)
        const known = pathIn(second, index, 0, size)
        if (Buffer.compare(Buffer.concat(path), Buffer.concat(known)) !== 0) throw new Error(`${index} of ${size}`)
        const claim = { index, size, leafHash: second(index, index + 1), path, root }
        if (!verifyInclusion(claim)) throw new Error(`${index} of ${size} does not verify`)
      }
    }
  })

  test('finds the same path between any two sizes up to 300, and each verifies', async () => {
    for (let size = 1; size <= allSizes; size += 1) {
      const hashAt = subtreesOf(second, size)
      for (let oldSize = 1; oldSize <= size; oldSize += 1) {
        const path = await consistencyPath(oldSize, size, hashAt)
        const known = proofIn(second, oldSize, size)
        if (Buffer.compare(Buffer.concat(path), Buffer.concat(known)) !== 0) throw new Error(`${oldSize} to ${size}`)
        const claim = { oldSize, size, oldRoot: second(0, oldSize), root: second(0, size), path }
        if (!verifyConsistency(claim)) throw new Error(`${oldSize} to ${size} does not verify`)
      }
    }
  })

  const many = 20_000
  const manySecond = treeOf(numbered(many))

  test('finds the same in larger trees of any size', async () => {
    const sizes = fc.integer({ min: 1, max: many })
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), fc.nat(), async (size, anyIndex, anyOld) => {
        const [index, oldSize] = [anyIndex % size, (anyOld % size) + 1]
        const [root, oldRoot] = [manySecond(0, size), manySecond(0, oldSize)]
        const manySubtrees = subtreesOf(manySecond, size)
        expect(await rootAt(size, manySubtrees)).toEqual(root)
        const path = await inclusionPath(index, size, manySubtrees)
        expect(path).toEqual(pathIn(manySecond, index, 0, size))
        const proof = await consistencyPath(oldSize, size, manySubtrees)
        expect(proof).toEqual(proofIn(manySecond, oldSize, size))
        expect(verifyInclusion({ index, size, leafHash: manySecond(index, index + 1), path, root })).toBe(true)
        expect(verifyConsistency({ oldSize, oldRoot, size, root, path: proof })).toBe(true)
      }),
    )
  })

  test('finds the same in trees far beyond 2^32 leaves', async () => {
    const large = fc.oneof(
      fc.integer({ min: 2 ** 31 - 2, max: 2 ** 33 }),
      fc.integer({ min: 2 ** 40, max: most }),
      fc.integer({ min: 30, max: 52 }).chain((power) => fc.integer({ min: 2 ** power - 2, max: 2 ** power + 2 })),
      fc.constantFrom(most, most - 1),
    )
    const place = fc.double({ min: 0, max: 1, noNaN: true })
    await fc.assert(
      fc.asyncProperty(large, place, place, async (size, somewhere, earlier) => {
        const index = Math.min(Math.floor(size * somewhere), size - 1)
        const oldSize = Math.max(1, Math.floor(size * earlier))
        const others = new Map([index, oldSize - 1, 0, size - 1].map((at) => [at, Buffer.from(`at ${at}`)]))
        const mth = sparseTreeOf(Buffer.from('plain'), others)
        const hashAt = subtreesOf(mth, size)
        const [root, oldRoot] = [mth(0, size), mth(0, oldSize)]
        expect(await rootAt(size, hashAt)).toEqual(root)
        const path = await inclusionPath(index, size, hashAt)
        expect(path).toEqual(pathIn(mth, index, 0, size))
        const proof = await consistencyPath(oldSize, size, hashAt)
        expect(proof).toEqual(proofIn(mth, oldSize, size))

        const inclusion = { index, size, leafHash: mth(index, index + 1), path, root }
        expect(verifyInclusion(inclusion)).toBe(true)
        const consistency = { oldSize, oldRoot, size, root, path: proof }
        expect(verifyConsistency(consistency)).toBe(true)
        // What 32-bit arithmetic would take for the same index.
        const wrapped = index >= 2 ** 32 ? index - 2 ** 32 : index + 2 ** 32
        if (wrapped < size) expect(verifyInclusion({ ...inclusion, index: wrapped })).toBe(false)
      }),
    )
  })
})

describe('numbers that are no sizes', () => {
  const wrong = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]
  const [leaf] = numbered(1).map(leafHash)
  const root = leaf ?? emptyRoot
  const never: HashAt = async () => {
    throw new Error('nothing is to be read')
  }

  test.for(wrong)('%d verifies nothing and has no root and no paths', async (number) => {
    expect(verifyInclusion({ index: number, size: 1, leafHash: root, path: [], root })).toBe(false)
    expect(verifyInclusion({ index: 0, size: number, leafHash: root, path: [], root })).toBe(false)
    expect(verifyConsistency({ oldSize: number, size: 1, oldRoot: root, root, path: [] })).toBe(false)
    expect(verifyConsistency({ oldSize: 1, size: number, oldRoot: root, root, path: [] })).toBe(false)
    expect(verifyConsistency({ oldSize: number, size: number, oldRoot: root, root, path: [] })).toBe(false)
    await expect(rootAt(number, never)).rejects.toThrow(RangeError)
    await expect(inclusionPath(number, 5, never)).rejects.toThrow(RangeError)
    await expect(inclusionPath(0, number, never)).rejects.toThrow(RangeError)
    await expect(consistencyPath(number, 5, never)).rejects.toThrow(RangeError)
    await expect(consistencyPath(1, number, never)).rejects.toThrow(RangeError)
  })

  test.for([
    [0, 0],
    [1, 1],
    [2, 1],
    [most, 7],
  ])('there is no leaf %i in a tree of %i', async ([index = 0, size = 0]) => {
    await expect(inclusionPath(index, size, never)).rejects.toThrow(RangeError)
    expect(verifyInclusion({ index, size, leafHash: root, path: [], root })).toBe(false)
  })

  test('a tree does not shrink', async () => {
    await expect(consistencyPath(2, 1, never)).rejects.toThrow('a tree of size 1 does not grow out of one of size 2')
  })

  test('a path that no tree can have is refused without being walked', () => {
    const path = Array.from({ length: 1_000_000 }, () => root)
    expect(verifyInclusion({ index: 0, size: most, leafHash: root, path, root })).toBe(false)
    expect(verifyConsistency({ oldSize: 1, size: most, oldRoot: root, root, path })).toBe(false)
  })
})

describe('the empty tree and equal trees', () => {
  const [one = emptyRoot, two = emptyRoot] = numbered(2).map(leafHash)
  const never: HashAt = async () => {
    throw new Error('nothing is to be read')
  }

  test('every tree is consistent with the empty one, by an empty path and its one root', async () => {
    expect(await consistencyPath(0, 7, never)).toEqual([])
    const claim = { oldSize: 0, oldRoot: emptyRoot, size: 1, root: one, path: [] }
    expect(verifyConsistency(claim)).toBe(true)
    expect(verifyConsistency({ ...claim, oldRoot: one })).toBe(false)
    expect(verifyConsistency({ ...claim, path: [two] })).toBe(false)
    expect(verifyConsistency({ ...claim, size: 0 })).toBe(false)
    expect(verifyConsistency({ ...claim, size: 0, root: emptyRoot })).toBe(true)
  })

  test('a tree is consistent with itself, by an empty path and the same root', async () => {
    expect(await consistencyPath(7, 7, never)).toEqual([])
    const claim = { oldSize: 7, oldRoot: one, size: 7, root: one, path: [] }
    expect(verifyConsistency(claim)).toBe(true)
    expect(verifyConsistency({ ...claim, root: two })).toBe(false)
    expect(verifyConsistency({ ...claim, path: [one] })).toBe(false)
  })

  test('the empty tree has the hash of nothing as its root', async () => {
    expect(await rootAt(0, never)).toEqual(emptyRoot)
    expect(accumulator().root()).toEqual(emptyRoot)
    expect(rootOf([])).toEqual(emptyRoot)
  })

  test('a leaf is never taken for a node', () => {
    expect(leafHash(Buffer.concat([one, two]))).not.toEqual(nodeHash(one, two))
  })
})
