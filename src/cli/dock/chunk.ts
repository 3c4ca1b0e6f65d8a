/**
 * How large the next PATCH is, in bytes. A PATCH that carries a digest and is cut off is dropped whole, so on a bad link
 * small ones arrive where large ones never do: halve after each break, grow again when the link bears it.
 */
export type Chunks = { size: number; largest: number; inARow: number }

export const mib = 1024 * 1024
const smallest = mib
const beforeGrowth = 4

export const startChunks = (largest: number): Chunks => ({ size: largest, largest, inARow: 0 })

/** `tried` is the size that was in force when the broken chunk began, so that breaks side by side halve once. */
export const afterBreak = (chunks: Chunks, tried: number): Chunks => {
  const half = Math.max(Math.min(smallest, chunks.largest), Math.floor(tried / 2))
  return { ...chunks, size: Math.min(chunks.size, half), inARow: 0 }
}

export const afterSuccess = (chunks: Chunks): Chunks => {
  const inARow = chunks.inARow + 1
  if (inARow < beforeGrowth) return { ...chunks, inARow }
  return { ...chunks, size: Math.min(chunks.largest, chunks.size * 2), inARow: 0 }
}

/** Where a chunk that begins at `offset` ends: at a multiple of the chunk size, so that it fills whole parts in the store. */
export const chunkEnd = ({ size }: Chunks, offset: number, total: number): number =>
  Math.min(total, (Math.floor(offset / size) + 1) * size)
