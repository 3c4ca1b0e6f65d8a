import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  consistencyPath,
  emptyRoot,
  inclusionPath,
  nodeHash,
  verifyConsistency,
  verifyInclusion,
} from '../../src/base/merkle.ts'
import { numbered, rootByPath, rootsByProof, subtreesOf, treeOf } from '../second-tree.ts'

const flipped = (bytes: Buffer, bit: number): Buffer => {
  const copy = Buffer.from(bytes)
  const at = bit % (bytes.length * 8)
  copy[at >> 3] = (copy[at >> 3] ?? 0) ^ (1 << (at & 7))
  return copy
}

/** All ways to spoil a path by one step: a bit of an element, one element fewer, one more, two that changed places. */
const spoiled = (path: Buffer[], at: number, bit: number, others: readonly Buffer[]): Buffer[][] => {
  const here = path.length === 0 ? 0 : at % path.length
  const element = path[here]
  const extended = others.flatMap((other) => [path.toSpliced(here, 0, other), [...path, other]])
  if (element === undefined) return extended
  const swapped = path.toSpliced(here, 1).toSpliced((here + 1) % path.length, 0, element)
  return [
    ...extended,
    path.with(here, flipped(element, bit)),
    path.with(here, Buffer.alloc(0)),
    path.toSpliced(here, 1),
    path.toSpliced(here, 0, element),
    path.slice(0, -1),
    ...(path.length > 1 ? [swapped, path.toReversed()] : []),
    [],
  ]
}

/** The number with each of its lower bits flipped, one at a time. */
const bitsFlippedIn = (number: number): number[] => Array.from({ length: 13 }, (_, bit) => number ^ (1 << bit))

describe('a claim that was tampered with', { timeout: 60_000 }, () => {
  const leaves = numbered(1_100)
  const second = treeOf(leaves)
  const hashAt = subtreesOf(second, leaves.length)
  const sizes = fc.integer({ min: 1, max: leaves.length })
  const bits = fc.nat({ max: 255 })

  const inclusions = fc.record({ size: sizes, any: fc.nat(), at: fc.nat(), bit: bits, other: fc.nat() })
  const inclusion = async (size: number, any: number) => {
    const index = any % size
    const path = await inclusionPath(index, size, hashAt)
    return { index, size, leafHash: second(index, index + 1), path, root: second(0, size) }
  }

  test('is no inclusion with any bit of a hash flipped, at any other index, or by any other path', async () => {
    await fc.assert(
      fc.asyncProperty(inclusions, async ({ size, any, at, bit, other }) => {
        const claim = await inclusion(size, any)
        expect(verifyInclusion(claim)).toBe(true)
        expect(verifyInclusion({ ...claim, root: flipped(claim.root, bit) })).toBe(false)
        expect(verifyInclusion({ ...claim, leafHash: flipped(claim.leafHash, bit) })).toBe(false)
        for (const path of spoiled(claim.path, at, bit, [claim.root, claim.leafHash, Buffer.alloc(0)])) {
          expect(verifyInclusion({ ...claim, path })).toBe(false)
        }
        const moved = [other % size, claim.index + 1, claim.index - 1, ...bitsFlippedIn(claim.index)]
        for (const index of moved.filter((each) => each !== claim.index)) {
          expect(verifyInclusion({ ...claim, index })).toBe(false)
        }
      }),
    )
  })

  test('is no inclusion under another size, unless the path has the very same shape there', async () => {
    let differing = 0
    await fc.assert(
      fc.asyncProperty(inclusions, async ({ size, any, other }) => {
        const claim = await inclusion(size, any)
        for (const changed of [(other % 5_000) + 1, size + 1, size - 1, size * 2, ...bitsFlippedIn(size)]) {
          const known = rootByPath(claim.index, changed, claim.leafHash, claim.path)
          const verdict = verifyInclusion({ ...claim, size: changed })
          expect(verdict).toBe(known?.equals(claim.root) ?? false)
          if (!verdict) differing += 1
        }
      }),
    )
    expect(differing).toBeGreaterThan(100)
  })

  const growths = fc.record({ size: sizes, any: fc.nat(), at: fc.nat(), bit: bits, other: fc.nat() })
  const growth = async (size: number, any: number) => {
    const oldSize = (any % size) + 1
    const path = await consistencyPath(oldSize, size, hashAt)
    return { oldSize, oldRoot: second(0, oldSize), size, root: second(0, size), path }
  }

  test('is no growth with any bit of a hash flipped, or by any other path', async () => {
    await fc.assert(
      fc.asyncProperty(growths, async ({ size, any, at, bit }) => {
        const claim = await growth(size, any)
        expect(verifyConsistency(claim)).toBe(true)
        expect(verifyConsistency({ ...claim, root: flipped(claim.root, bit) })).toBe(false)
        expect(verifyConsistency({ ...claim, oldRoot: flipped(claim.oldRoot, bit) })).toBe(false)
        const others = [claim.root, claim.oldRoot, Buffer.alloc(0)]
        for (const path of spoiled(claim.path, at, bit, others)) {
          expect(verifyConsistency({ ...claim, path })).toBe(false)
        }
        if (claim.oldSize === size) return
        const { oldRoot, root } = claim
        expect(verifyConsistency({ ...claim, oldRoot: root, root: oldRoot })).toBe(false)
        expect(verifyConsistency({ ...claim, oldSize: size, size: claim.oldSize })).toBe(false)
      }),
    )
  })

  test('is no growth between other sizes, unless the path has the very same shape there', async () => {
    let differing = 0
    await fc.assert(
      fc.asyncProperty(growths, async ({ size, any, other }) => {
        const claim = await growth(size, any)
        const pairs = [
          ...[(other % 5_000) + 1, size + 1, size - 1, size * 2, ...bitsFlippedIn(size)].map((changed) => ({
            oldSize: claim.oldSize,
            size: changed,
          })),
          ...[(other % size) + 1, claim.oldSize + 1, claim.oldSize - 1, ...bitsFlippedIn(claim.oldSize)].map(
            (changed) => ({ oldSize: changed, size }),
          ),
        ]
        for (const pair of pairs.filter(({ oldSize }) => oldSize > 0)) {
          const known = rootsByProof(pair.oldSize, pair.size, claim.oldRoot, claim.path)
          const agrees = known?.old.equals(claim.oldRoot) && known.grown.equals(claim.root)
          const verdict = verifyConsistency({ ...claim, ...pair })
          expect(verdict).toBe(agrees ?? false)
          if (!verdict) differing += 1
        }
      }),
    )
    expect(differing).toBeGreaterThan(100)
  })

  test('verifies at any other place or size just where the second implementation says so', async () => {
    for (let size = 1; size <= 9; size += 1) {
      for (let index = 0; index < size; index += 1) {
        const claim = await inclusion(size, index)
        const grown = await growth(size, index)
        for (let otherSize = 1; otherSize <= 12; otherSize += 1) {
          for (let otherIndex = 0; otherIndex < otherSize; otherIndex += 1) {
            const led = rootByPath(otherIndex, otherSize, claim.leafHash, claim.path)
            const verdict = verifyInclusion({ ...claim, index: otherIndex, size: otherSize })
            if (verdict !== (led?.equals(claim.root) ?? false)) throw new Error(`${index} of ${size}`)

            const moved = { ...grown, oldSize: otherIndex + 1, size: otherSize }
            const roots = rootsByProof(moved.oldSize, moved.size, moved.oldRoot, moved.path)
            const agrees = roots?.old.equals(moved.oldRoot) && roots.grown.equals(moved.root)
            if (verifyConsistency(moved) !== (agrees ?? false)) throw new Error(`${grown.oldSize} to ${size}`)
          }
        }
      }
    }
  })

  test('verifies under a size of the same shape, which is why size and root come out of one signature', async () => {
    const claim = await inclusion(5, 0)
    expect([5, 6, 7, 8].map((size) => verifyInclusion({ ...claim, size }))).toEqual([true, true, true, true])
    expect([4, 9, 16].map((size) => verifyInclusion({ ...claim, size }))).toEqual([false, false, false])
  })

  test('is refused when bytes are moved between two hashes that are hashed together', async () => {
    const claim = await inclusion(2, 0)
    const [sibling = emptyRoot] = claim.path
    const joined = Buffer.concat([claim.leafHash, sibling])
    const shifted = { ...claim, leafHash: joined.subarray(0, 31), path: [joined.subarray(31)] }
    expect(nodeHash(shifted.leafHash, shifted.path[0] ?? emptyRoot)).toEqual(claim.root)
    expect(verifyInclusion(shifted)).toBe(false)
  })
})
