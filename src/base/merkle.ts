import { sha256 } from './digest.ts'

// RFC 6962 section 2.1. Sizes and indexes are whole numbers up to 2^53-1, so no 32-bit operator may touch them.

const leafPrefix = Uint8Array.of(0)
const nodePrefix = Uint8Array.of(1)

/** The root of a tree without leaves. */
export const emptyRoot: Buffer = sha256()

export const leafHash = (leafData: Uint8Array): Buffer => sha256(leafPrefix, leafData)

export const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer => sha256(nodePrefix, left, right)

/** The hash of the complete subtree over leaves [index·2^level, (index+1)·2^level). */
export type HashAt = (level: number, index: number) => Promise<Buffer>

/** Leaves [start, end): one that the tree itself splits off, so `start` is a multiple of every power of two in it. */
type Range = { start: number; end: number }

const isSize = (size: number): boolean => Number.isSafeInteger(size) && size >= 0

const half = (number: number): number => Math.floor(number / 2)

/** Where the tree over this range of two leaves or more divides: after the largest power of two below its length. */
const splitOf = ({ start, end }: Range): number => {
  let length = 1
  while (length * 2 < end - start) length *= 2
  return start + length
}

/** The complete subtrees that make up a range, the largest and leftmost first. */
const subtreesOf = ({ start, end }: Range): { level: number; index: number }[] => {
  const subtrees: { level: number; index: number }[] = []
  for (let at = start; at < end; ) {
    let [level, length] = [0, 1]
    while (length * 2 <= end - at) [level, length] = [level + 1, length * 2]
    subtrees.push({ level, index: at / length })
    at += length
  }
  return subtrees
}

/** The hash over complete subtrees that shrink from left to right. */
const joined = (subtrees: readonly Buffer[]): Buffer =>
  subtrees.length === 0 ? emptyRoot : subtrees.reduceRight((right, left) => nodeHash(left, right))

const hashOf = async (range: Range, hashAt: HashAt): Promise<Buffer> =>
  joined(await Promise.all(subtreesOf(range).map(({ level, index }) => hashAt(level, index))))

/** Asks for all the hashes it needs at once, as the two paths below do. Throws RangeError when `size` is no size. */
export const rootAt = async (size: number, hashAt: HashAt): Promise<Buffer> => {
  if (!isSize(size)) throw new RangeError(`${size} is not the size of a tree`)
  return await hashOf({ start: 0, end: size }, hashAt)
}

/** PATH(index, D[size]), the leaf's sibling first. Throws RangeError when the tree has no such leaf. */
export const inclusionPath = async (index: number, size: number, hashAt: HashAt): Promise<Buffer[]> => {
  if (!isSize(index) || !isSize(size) || index >= size) {
    throw new RangeError(`a tree of size ${size} has no leaf ${index}`)
  }
  const siblings: Range[] = []
  let range = { start: 0, end: size }
  while (range.end - range.start > 1) {
    const split = splitOf(range)
    const [left, right] = [
      { start: range.start, end: split },
      { start: split, end: range.end },
    ]
    siblings.push(index < split ? right : left)
    range = index < split ? left : right
  }
  return await Promise.all(siblings.reverse().map((sibling) => hashOf(sibling, hashAt)))
}

/**
 * PROOF(oldSize, D[size]). Empty when the sizes are equal or the old tree is. Throws RangeError when the old tree is
 * the larger one.
 */
export const consistencyPath = async (oldSize: number, size: number, hashAt: HashAt): Promise<Buffer[]> => {
  if (!isSize(oldSize) || !isSize(size) || oldSize > size) {
    throw new RangeError(`a tree of size ${size} does not grow out of one of size ${oldSize}`)
  }
  if (oldSize === 0) return []
  const proven: Range[] = []
  let range = { start: 0, end: size }
  while (range.end !== oldSize) {
    const split = splitOf(range)
    const [left, right] = [
      { start: range.start, end: split },
      { start: split, end: range.end },
    ]
    proven.push(oldSize <= split ? right : left)
    range = oldSize <= split ? left : right
  }
  // The old tree itself, when it is a subtree of the new one, is known to whoever asks.
  if (range.start > 0) proven.push(range)
  return await Promise.all(proven.reverse().map((part) => hashOf(part, hashAt)))
}

/** More hashes than a path of any tree has. */
const longestPath = 64

/** Hashes of another length could be shifted against each other without a change of what is hashed. */
const areHashes = (path: Buffer[], ...others: Buffer[]): boolean =>
  path.length <= longestPath && [...path, ...others].every((hash) => hash.length === 32)

/** A node and the last node of its level, by their indexes. */
type Place = { first: number; last: number }

const ascend = ({ first, last }: Place): Place => ({ first: half(first), last: half(last) })

/** Past the levels where this rightmost node has no sibling, to the one where it joins what stands left of it. */
const ascendToSibling = (place: Place): Place => {
  let at = place
  while (at.first % 2 === 0 && at.first > 0) at = ascend(at)
  return at
}

/**
 * RFC 9162 section 2.1.3.2. A root does not commit to its size: take `size` and `root` out of one signed checkpoint,
 * or a proof can verify under a size of the same shape.
 */
export const verifyInclusion = (claim: {
  index: number
  size: number
  leafHash: Buffer
  path: Buffer[]
  root: Buffer
}): boolean => {
  const { index, size, path, root } = claim
  if (!isSize(index) || !isSize(size) || index >= size) return false
  if (!areHashes(path, claim.leafHash, root)) return false

  let at: Place = { first: index, last: size - 1 }
  let hash = claim.leafHash
  for (const sibling of path) {
    if (at.last === 0) return false
    if (at.first % 2 === 1 || at.first === at.last) {
      hash = nodeHash(sibling, hash)
      at = ascendToSibling(at)
    } else {
      hash = nodeHash(hash, sibling)
    }
    at = ascend(at)
  }
  return at.last === 0 && hash.equals(root)
}

/** RFC 9162 section 2.1.4.2. Every tree is consistent with the empty one and with itself, by an empty path. */
export const verifyConsistency = (claim: {
  oldSize: number
  oldRoot: Buffer
  size: number
  root: Buffer
  path: Buffer[]
}): boolean => {
  const { oldSize, oldRoot, size, root, path } = claim
  if (!isSize(oldSize) || !isSize(size) || oldSize > size) return false
  if (!areHashes(path, oldRoot, root)) return false
  if (oldSize === 0 && !oldRoot.equals(emptyRoot)) return false
  if (oldSize === size) return path.length === 0 && root.equals(oldRoot)
  if (oldSize === 0) return path.length === 0

  let at: Place = { first: oldSize - 1, last: size - 1 }
  while (at.first % 2 === 1) at = ascend(at)
  // At 0 the old tree is a complete subtree of the new one, and the path leaves its root out.
  const [start, ...rest] = at.first === 0 ? [oldRoot, ...path] : path
  if (start === undefined) return false

  let [oldHash, hash] = [start, start]
  for (const sibling of rest) {
    if (at.last === 0) return false
    if (at.first % 2 === 1 || at.first === at.last) {
      oldHash = nodeHash(sibling, oldHash)
      hash = nodeHash(sibling, hash)
      at = ascendToSibling(at)
    } else {
      hash = nodeHash(hash, sibling)
    }
    at = ascend(at)
  }
  return at.last === 0 && oldHash.equals(oldRoot) && hash.equals(root)
}

export type Accumulator = { readonly size: number; add(leafHash: Buffer): void; root(): Buffer }

/** A tree that grows leaf by leaf and keeps its complete subtrees only: memory O(log n). For audits of millions. */
export const accumulator = (): Accumulator => {
  const subtrees: Buffer[] = []
  let size = 0
  return {
    get size() {
      return size
    },
    add(leafHash) {
      let hash = leafHash
      for (let count = size; count % 2 === 1; count = half(count)) {
        const left = subtrees.pop()
        if (left === undefined) throw new Error('a tree of odd size without a subtree to its left')
        hash = nodeHash(left, hash)
      }
      subtrees.push(hash)
      size += 1
    },
    root: () => joined(subtrees),
  }
}

/** The root over leaf hashes that are all in memory. */
export const rootOf = (leafHashes: readonly Buffer[]): Buffer => {
  const tree = accumulator()
  for (const hash of leafHashes) tree.add(hash)
  return tree.root()
}
