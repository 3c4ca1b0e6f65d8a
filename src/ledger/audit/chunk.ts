import { hash } from 'node:crypto'
import { emptyRoot, nodeHash } from '../../base/merkle.ts'

/** Leaves are hashed as many at once as a tile holds. */
export const chunkLeaves = 256
const hashBytes = 32

/** The hashes over some leaves in a row, 256 at most: `levels[k]` has those of the complete subtrees of 2^k leaves. */
export type Chunk = { width: number; levels: Buffer[] }

// One of each is enough: nothing waits between writing and hashing it.
const leafInput = Buffer.alloc(1 + hashBytes)
const nodeInput = Buffer.alloc(1 + 2 * hashBytes, 1)

const digest = (input: Buffer): Buffer => hash('sha256', input, 'buffer')

const levelAbove = (below: Buffer): Buffer => {
  const count = Math.floor(below.length / (2 * hashBytes))
  const above = Buffer.allocUnsafe(count * hashBytes)
  for (let n = 0; n < count; n++) {
    below.copy(nodeInput, 1, n * 2 * hashBytes, (n + 1) * 2 * hashBytes)
    digest(nodeInput).copy(above, n * hashBytes)
  }
  return above
}

/** `row` is the hashes of the leaves one after the other, as a tile of level 0 has them. */
export const chunkOfHashes = (row: Buffer): Chunk => {
  const levels: Buffer[] = []
  for (let level = row; level.length > 0; level = levelAbove(level)) levels.push(level)
  return { width: row.length / hashBytes, levels }
}

/** `leaves` are leaf data, 32 bytes each, at most 256 of them. */
export const chunkOf = (leaves: readonly Buffer[]): Chunk => {
  const row = Buffer.allocUnsafe(leaves.length * hashBytes)
  leaves.forEach((leaf, n) => {
    leaf.copy(leafInput, 1)
    digest(leafInput).copy(row, n * hashBytes)
  })
  return chunkOfHashes(row)
}

/** The hash of a chunk of 256. */
export const topOf = ({ levels }: Chunk): Buffer => levels[8] ?? emptyRoot

/** The complete subtrees over the first `width` leaves of a chunk, the largest first. */
const subtreesOf = ({ levels }: Chunk, width: number): Buffer[] => {
  const subtrees: Buffer[] = []
  let at = 0
  for (let level = 8; level >= 0; level--) {
    if ((width & (1 << level)) === 0) continue
    const start = (at >> level) * hashBytes
    subtrees.push(levels[level]?.subarray(start, start + hashBytes) ?? emptyRoot)
    at += 1 << level
  }
  return subtrees
}

/** A tree that grows by whole chunks, and whose root can be asked for in the middle of the next: memory O(log n). */
export type Frontier = {
  add(chunk: Chunk): void
  /** The root over all that was added and the first `width` leaves of `next`. */
  rootWith(next: Chunk, width: number): Buffer
}

export const makeFrontier = (): Frontier => {
  const subtrees: Buffer[] = []
  let chunks = 0
  return {
    add: (chunk) => {
      let top = topOf(chunk)
      for (let count = chunks; count % 2 === 1; count = Math.floor(count / 2)) {
        const left = subtrees.pop()
        if (left === undefined) throw new Error('a tree of odd size without a subtree to its left')
        top = nodeHash(left, top)
      }
      subtrees.push(top)
      chunks += 1
    },
    rootWith: (next, width) => {
      const all = [...subtrees, ...subtreesOf(next, width)]
      return all.length === 0 ? emptyRoot : all.reduceRight((right, left) => nodeHash(left, right))
    },
  }
}
