/**
 * Reading ISO base media boxes (MP4, QuickTime) that are hostile until proven otherwise: nothing is allocated because a
 * box claims it, every walk has an end, and a lie ends the walk instead of throwing.
 */

/** Bytes of the file from `offset`; fewer than `length` only where the file ends. */
export type ReadAt = (offset: number, length: number) => Promise<Buffer>

/** `start` is where its header stands, `body` where its content does; `end` as it claims, which `cut` says is too far. */
export type Box = { type: string; start: number; body: number; end: number; cut: boolean }

/** How many boxes and table rows one file may make us look at. */
export type Budget = { boxes: number; rows: number }

export class TooMuch extends Error {}

const spend = (budget: Budget, what: keyof Budget, count: number) => {
  budget[what] -= count
  if (budget[what] < 0) throw new TooMuch(`the file has more ${what} than are looked at`)
}

/** The boxes between two offsets, in order. Ends at the first header that makes no sense. */
export async function* boxesIn(readAt: ReadAt, from: number, to: number, budget: Budget): AsyncGenerator<Box> {
  let start = from
  while (start + 8 <= to) {
    spend(budget, 'boxes', 1)
    const header = await readAt(start, 16)
    if (header.length < 8) return
    const type = header.toString('latin1', 4, 8)
    const short = header.readUInt32BE(0)
    if (short === 1 && header.length < 16) return
    const size = short === 0 ? to - start : short === 1 ? Number(header.readBigUInt64BE(8)) : short
    const body = start + (short === 1 ? 16 : 8)
    const end = start + size
    if (end < body || !/^[\x20-\x7e\xa9]{4}$/.test(type)) return
    yield { type, start, body, end: Math.min(end, Number.MAX_SAFE_INTEGER), cut: end > to }
    start = end
  }
}

/** The first box of each wanted type directly inside `parent`. */
export const childrenOf = async <Type extends string>(
  readAt: ReadAt,
  parent: Box,
  wanted: readonly Type[],
  budget: Budget,
): Promise<Partial<Record<Type, Box>>> => {
  const found: Partial<Record<Type, Box>> = {}
  for await (const box of boxesIn(readAt, parent.body, parent.end, budget)) {
    const type = wanted.find((one) => one === box.type)
    if (type !== undefined && !box.cut) found[type] ??= box
  }
  return found
}

/** The box's content, at most `most` bytes of it. */
export const contentOf = async (readAt: ReadAt, box: Box, most: number): Promise<Buffer> =>
  await readAt(box.body, Math.min(box.end - box.body, most))

const blockLength = 65_536

/** A table that is read row by row while only one block of it is in memory. */
export type Rows<Row> = {
  /** The next row; undefined after the last. Asynchronous only when a new block has to be read. */
  next(): Row | undefined | Promise<Row | undefined>
  count: number
}

/** Where a table stands, how wide its rows are, how many it claims to have, and how a row is read. */
type Table<Row> = {
  first: number
  end: number
  width: number
  claimed: number
  read: (block: Buffer, at: number) => Row
}

/** The table's rows: as many as it claims, but no more than fit before its end. */
export const rowsOf = <Row>(readAt: ReadAt, table: Table<Row>, budget: Budget): Rows<Row> => {
  const { first, end, width, claimed, read } = table
  const count = Math.max(0, Math.min(claimed, Math.floor((end - first) / width)))
  const perBlock = Math.floor(blockLength / width)
  let row = 0
  let block: Buffer = Buffer.alloc(0)
  let at = 0
  const take = () => {
    const taken = read(block, at)
    at += width
    row += 1
    return taken
  }
  const refill = async () => {
    const rows = Math.min(perBlock, count - row)
    spend(budget, 'rows', rows)
    block = await readAt(first + row * width, rows * width)
    at = 0
    return block.length < width ? undefined : take()
  }
  return {
    count,
    next: () => {
      if (row >= count) return undefined
      return at + width <= block.length ? take() : refill()
    },
  }
}
