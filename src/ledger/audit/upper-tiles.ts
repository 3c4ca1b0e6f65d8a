import { type Chunk, chunkLeaves, chunkOfHashes, topOf } from './chunk.ts'

const hashBytes = 32

/** A tile of a level above 0, as the hashes that it has to have. */
export type UpperTile = { level: number; index: number; width: number; row: Buffer }

/** The tiles over whole chunks, level by level: each is told when it is full, and at the end what is left. */
export const makeUpperTiles = (told: (tile: UpperTile) => Promise<void>) => {
  const rows = new Map<number, { index: number; hashes: Buffer[] }>()

  const tell = async (level: number, index: number, row: Buffer): Promise<void> =>
    await told({ level, index, width: row.length / hashBytes, row })

  const push = async (level: number, hash: Buffer): Promise<void> => {
    const row = rows.get(level) ?? { index: 0, hashes: [] }
    rows.set(level, row)
    row.hashes.push(hash)
    if (row.hashes.length < chunkLeaves) return
    const whole = Buffer.concat(row.hashes)
    rows.set(level, { index: row.index + 1, hashes: [] })
    await tell(level, row.index, whole)
    await push(level + 1, topOf(chunkOfHashes(whole)))
  }

  return {
    /** Takes the next chunk of 256 leaves. */
    add: async (chunk: Chunk): Promise<void> => await push(1, topOf(chunk)),
    end: async (): Promise<void> => {
      for (const [level, { index, hashes }] of rows)
        if (hashes.length > 0) await tell(level, index, Buffer.concat(hashes))
    },
  }
}
