import { createHash } from 'node:crypto'

// A second Merkle tree, written from the text of RFC 6962 section 2.1 alone: the recursion as it stands there, over
// ranges [start, end) of the leaves. It shares no code with src/base/merkle.ts, so that each can doubt the other.

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
const hashOfLeaf = (data: Uint8Array) => sha256(Buffer.concat([Buffer.from([0]), data]))
const hashOfPair = (left: Buffer, right: Buffer) => sha256(Buffer.concat([Buffer.from([1]), left, right]))

/** The largest power of two smaller than n. */
const powerBelow = (n: number) => 2 ** ((n - 1).toString(2).length - 1)

/** MTH over a range of leaves. */
export type Mth = (start: number, end: number) => Buffer

/** Remembers what it computed: the ranges come back in every path. */
const remembering = (compute: (start: number, end: number) => Buffer): Mth => {
  const known = new Map<string, Buffer>()
  return (start, end) => {
    const name = `${start}-${end}`
    const hash = known.get(name) ?? compute(start, end)
    known.set(name, hash)
    return hash
  }
}

/** MTH over leaves that are all there, by their data. */
export const treeOf = (leaves: readonly Uint8Array[]): Mth => {
  const mth: Mth = remembering((start, end) => {
    const [first] = leaves.slice(start, end)
    if (first === undefined) return sha256(Buffer.alloc(0))
    if (end - start === 1) return hashOfLeaf(first)
    const middle = start + powerBelow(end - start)
    return hashOfPair(mth(start, middle), mth(middle, end))
  })
  return mth
}

/** MTH over any number of leaves, all the same but for some: a range without one of those depends on its length only. */
export const sparseTreeOf = (plain: Uint8Array, others: ReadonlyMap<number, Uint8Array>): Mth => {
  const mth: Mth = remembering((start, end) => {
    if (end - start === 1) return hashOfLeaf(others.get(start) ?? plain)
    const same = start !== 0 && ![...others.keys()].some((index) => index >= start && index < end)
    if (same) return alike(0, end - start)
    const middle = start + powerBelow(end - start)
    return hashOfPair(mth(start, middle), mth(middle, end))
  })
  const alike: Mth = remembering((_, length) => {
    if (length === 1) return hashOfLeaf(plain)
    const left = powerBelow(length)
    return hashOfPair(alike(0, left), alike(0, length - left))
  })
  return mth
}

/** The complete subtrees of a tree of `size` leaves. To ask for another one throws, as a tile that is not there would. */
export const subtreesOf =
  (mth: Mth, size: number) =>
  async (level: number, index: number): Promise<Buffer> => {
    const length = 2 ** level
    if ((index + 1) * length > size) throw new Error(`there is no complete subtree ${level}/${index} of ${size} leaves`)
    return mth(index * length, (index + 1) * length)
  }

/** PATH(m, D[start:end]), where m counts from the start. */
export const pathIn = (mth: Mth, m: number, start: number, end: number): Buffer[] => {
  if (end - start === 1) return []
  const k = powerBelow(end - start)
  const middle = start + k
  return m < k
    ? [...pathIn(mth, m, start, middle), mth(middle, end)]
    : [...pathIn(mth, m - k, middle, end), mth(start, middle)]
}

/** PROOF(m, D[n]). */
export const proofIn = (mth: Mth, m: number, n: number): Buffer[] => subproof(mth, m, 0, n, true)

const subproof = (mth: Mth, m: number, start: number, end: number, whole: boolean): Buffer[] => {
  if (m === end - start) return whole ? [] : [mth(start, end)]
  const k = powerBelow(end - start)
  const middle = start + k
  return m <= k
    ? [...subproof(mth, m, start, middle, whole), mth(middle, end)]
    : [...subproof(mth, m - k, middle, end, false), mth(start, middle)]
}

/** The root that a path leads to, by the recursion of PATH read backwards; null when it has too many or too few. */
export const rootByPath = (m: number, n: number, leaf: Buffer, path: readonly Buffer[]): Buffer | null => {
  if (m < 0 || m >= n) return null
  const last = path.at(-1)
  if (n === 1 || last === undefined) return n === 1 && last === undefined ? leaf : null
  const k = powerBelow(n)
  const inner = m < k ? rootByPath(m, k, leaf, path.slice(0, -1)) : rootByPath(m - k, n - k, leaf, path.slice(0, -1))
  if (inner === null) return null
  return m < k ? hashOfPair(inner, last) : hashOfPair(last, inner)
}

type Roots = { old: Buffer; grown: Buffer }

/** Both roots that a consistency path leads to, by the recursion of SUBPROOF read backwards. */
export const rootsByProof = (
  m: number,
  n: number,
  oldRoot: Buffer,
  path: readonly Buffer[],
  whole = true,
): Roots | null => {
  if (m < 1 || m > n) return null
  const last = path.at(-1)
  if (m === n) {
    if (whole) return last === undefined ? { old: oldRoot, grown: oldRoot } : null
    return last !== undefined && path.length === 1 ? { old: last, grown: last } : null
  }
  if (last === undefined) return null
  const k = powerBelow(n)
  const rest = path.slice(0, -1)
  if (m <= k) {
    const inner = rootsByProof(m, k, oldRoot, rest, whole)
    return inner && { old: inner.old, grown: hashOfPair(inner.grown, last) }
  }
  const inner = rootsByProof(m - k, n - k, oldRoot, rest, false)
  return inner && { old: hashOfPair(last, inner.old), grown: hashOfPair(last, inner.grown) }
}

export const numbered = (count: number): Buffer[] =>
  Array.from({ length: count }, (_, index) => Buffer.from(`leaf ${index}`))
