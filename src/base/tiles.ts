// C2SP tlog-tiles: the tree in files of 256 hashes, and the log's entries in bundles of 256.

/** `width` is 1 to 256 hashes (or entries); under 256 the tile is a partial one. */
export type Tile =
  | { kind: 'hashes'; level: number; index: number; width: number }
  | { kind: 'entries'; index: number; width: number }

/** Of a full tile. */
export const fullWidth = 256

/** Longer than the path of any tile that a tree of up to 2^53-1 leaves can have. */
const longestPath = 64

const levelOf = (tile: Tile): number => (tile.kind === 'entries' ? 0 : tile.level)

const isWithin = (number: number, least: number, most: number): boolean =>
  Number.isSafeInteger(number) && number >= least && number <= most

/** Such as `tile/0/x001/x234/067` or `tile/entries/000.p/5`. Throws RangeError when there can be no such tile. */
export const tilePath = (tile: Tile): string => {
  const { index, width } = tile
  if (
    !isWithin(levelOf(tile), 0, 63) ||
    !isWithin(index, 0, Number.MAX_SAFE_INTEGER) ||
    !isWithin(width, 1, fullWidth)
  ) {
    throw new RangeError(`there is no tile of level ${levelOf(tile)}, index ${index} and width ${width}`)
  }
  const digits = String(index)
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0')
  const elements = padded.replace(/\d{3}(?=\d)/g, 'x$&/')
  const suffix = width === fullWidth ? '' : `.p/${width}`
  return `tile/${tile.kind === 'entries' ? 'entries' : tile.level}/${elements}${suffix}`
}

const pathGrammar = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/

/** The tile that a path names; null unless it is the one way to write it. */
export const parseTilePath = (path: string): Tile | null => {
  if (path.length > longestPath) return null
  const [, level, elements, partial] = pathGrammar.exec(path) ?? []
  if (level === undefined || elements === undefined) return null

  const index = Number(elements.replace(/[x/]/g, ''))
  const width = partial === undefined ? fullWidth : Number(partial)
  if (!Number.isSafeInteger(index) || !isWithin(width, 1, fullWidth)) return null
  if (level !== 'entries' && Number(level) > 63) return null
  const tile: Tile =
    level === 'entries' ? { kind: 'entries', index, width } : { kind: 'hashes', level: Number(level), index, width }
  // Leading zeros, in a number or as whole elements, and a full width written out are other ways to write a tile.
  return tilePath(tile) === path ? tile : null
}

/** How many hashes a tree has at a level of tiles. Division by a power of two is exact. */
const countAt = (level: number, size: number): number => Math.floor(size / fullWidth ** level)

/** Whether a tree of `size` leaves has as many hashes at this place as the tile's width. */
export const hasTile = (tile: Tile, size: number): boolean =>
  tile.width >= 1 && tile.index * fullWidth + tile.width <= countAt(levelOf(tile), size)

/**
 * The tiles of a tree of `to` leaves that one of `from` leaves did not have: the full ones that were completed since
 * and the partial ones of `to`. Entry bundles first, then hashes level by level; a partial tile follows the full ones
 * of its level. One item for every 128 leaves: for a whole large log, ask in steps. Throws RangeError when `from` is
 * above `to`.
 */
export const tilesSince = (from: number, to: number): Tile[] => {
  if (!isWithin(to, 0, Number.MAX_SAFE_INTEGER) || !isWithin(from, 0, to)) {
    throw new RangeError(`a tree of size ${to} does not grow out of one of size ${from}`)
  }
  const added = (level: number): { index: number; width: number }[] => {
    const [had, has] = [countAt(level, from), countAt(level, to)]
    if (had === has) return []
    const [first, last] = [Math.floor(had / fullWidth), Math.floor(has / fullWidth)]
    const full = Array.from({ length: last - first }, (_, step) => ({ index: first + step, width: fullWidth }))
    const rest = has % fullWidth
    return rest === 0 ? full : [...full, { index: last, width: rest }]
  }

  const tiles: Tile[] = added(0).map((place) => ({ kind: 'entries', ...place }))
  for (let level = 0; countAt(level, from) < countAt(level, to); level += 1) {
    for (const place of added(level)) tiles.push({ kind: 'hashes', level, ...place })
  }
  return tiles
}

/** Each entry after its length in a big-endian uint16. Throws RangeError on what no bundle can hold. */
export const entryBundle = (leaves: readonly Buffer[]): Buffer => {
  if (!isWithin(leaves.length, 1, fullWidth)) throw new RangeError(`a bundle of ${leaves.length} entries`)
  return Buffer.concat(
    leaves.flatMap((leaf) => {
      if (leaf.length > 0xffff) throw new RangeError(`an entry of ${leaf.length} bytes is too long for a bundle`)
      return [Buffer.of(leaf.length >> 8, leaf.length & 0xff), leaf]
    }),
  )
}

/** The entries, as views of `bytes`; null when it is cut short or holds none or more than 256. */
export const parseEntryBundle = (bytes: Buffer): Buffer[] | null => {
  const leaves: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    if (at + 2 > bytes.length || leaves.length === fullWidth) return null
    const end = at + 2 + bytes.readUInt16BE(at)
    if (end > bytes.length) return null
    leaves.push(bytes.subarray(at + 2, end))
    at = end
  }
  return leaves.length === 0 ? null : leaves
}
