import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  entryBundle,
  hasTile,
  parseEntryBundle,
  parseTilePath,
  type Tile,
  tilePath,
  tilesSince,
} from '../../src/base/tiles.ts'

const most = Number.MAX_SAFE_INTEGER
const hashes = (level: number, index: number, width = 256): Tile => ({ kind: 'hashes', level, index, width })
const entries = (index: number, width = 256): Tile => ({ kind: 'entries', index, width })

describe('the path of a tile', { timeout: 60_000 }, () => {
  test.for<[string, Tile]>([
    ['tile/0/000', hashes(0, 0)],
    ['tile/0/x001/x234/067', hashes(0, 1_234_067)], // the example of the specification
    ['tile/1/x001/000', hashes(1, 1000)],
    ['tile/2/999', hashes(2, 999)],
    ['tile/63/000.p/1', hashes(63, 0, 1)],
    ['tile/0/273.p/112', hashes(0, 273, 112)],
    ['tile/0/x001/x234/067.p/255', hashes(0, 1_234_067, 255)],
    ['tile/entries/000.p/5', entries(0, 5)],
    ['tile/entries/x123/456', entries(123_456)],
    ['tile/0/x009/x007/x199/x254/x740/991', hashes(0, most)],
  ])('%s is written and read', ([path, tile]) => {
    expect(tilePath(tile)).toBe(path)
    expect(parseTilePath(path)).toEqual(tile)
  })

  const places = fc.oneof(
    fc.nat(),
    fc.maxSafeNat(),
    fc.constantFrom(0, 999, 1000, 999_999, 1_000_000, 2 ** 32 - 1, 2 ** 32, most),
  )
  const widths = fc.integer({ min: 1, max: 256 })
  const tiles = fc.oneof(
    fc.record({ kind: fc.constant('entries' as const), index: places, width: widths }),
    fc.record({
      kind: fc.constant('hashes' as const),
      level: fc.integer({ min: 0, max: 63 }),
      index: places,
      width: widths,
    }),
  )

  test('leads back to the tile, whichever it is', () => {
    fc.assert(
      fc.property(tiles, (tile) => {
        expect(parseTilePath(tilePath(tile))).toEqual(tile)
      }),
    )
  })

  test('is the only one of its tile: any other text is another tile or none', () => {
    const pieces = fc.constantFrom(...'0123456789xp./', 'tile', 'entries', '000', '.p/')
    const edits = fc.record({ tile: tiles, at: fc.nat(), removed: fc.nat({ max: 4 }), put: fc.array(pieces) })
    fc.assert(
      fc.property(edits, ({ tile, at, removed, put }) => {
        const path = tilePath(tile)
        const start = at % (path.length + 1)
        const edited = path.slice(0, start) + put.join('') + path.slice(start + removed)
        const read = parseTilePath(edited)
        if (read !== null) expect(tilePath(read)).toBe(edited)
        if (edited !== path) expect(read).not.toEqual(tile)
      }),
      { numRuns: 2_000 },
    )
  })

  test.for([
    '',
    'tile',
    'tile/',
    'tile/0',
    'tile/0/',
    '/tile/0/000',
    'tile//000',
    'tile/0//000',
    'tile/0/000/',
    'tile/0/000 ',
    ' tile/0/000',
    'tile/0/000\n',
    'TILE/0/000',
    'tile/00/000',
    'tile/01/000',
    'tile/64/000',
    'tile/100/000',
    'tile/-1/000',
    'tile/+1/000',
    'tile/x/000',
    'tile/0x1/000',
    'tile/1e1/000',
    'tile/entry/000',
    'tile/Entries/000',
    'tile/data/000',
    'tile/0/0',
    'tile/0/00',
    'tile/0/0000',
    'tile/0/1234',
    'tile/0/x000',
    'tile/0/x001/x234',
    'tile/0/001/234',
    'tile/0/001/x234',
    'tile/0/x000/001',
    'tile/0/x000/x001/000',
    'tile/0/x0001/000',
    'tile/0/x01/000',
    'tile/0/X001/000',
    'tile/0/xx01/000',
    'tile/0/x001//000',
    'tile/0/x001/',
    'tile/0/x001000',
    'tile/0/00a',
    'tile/0/٠٠١',
    'tile/0/-01',
    'tile/0/000.p',
    'tile/0/000.p/',
    'tile/0/000.p/0',
    'tile/0/000.p/00',
    'tile/0/000.p/07',
    'tile/0/000.p/007',
    'tile/0/000.p/256',
    'tile/0/000.p/257',
    'tile/0/000.p/999',
    'tile/0/000.p/1000',
    'tile/0/000.p/-1',
    'tile/0/000.p/1/',
    'tile/0/000.p/1.p/1',
    'tile/0/000.P/1',
    'tile/0/000/p/1',
    'tile/0/000p/1',
    'tile/0/x001.p/5/000',
    'tile/0/x001.p/5',
    'tile/0/%30%30%30',
    'tile%2F0%2F000',
    'tile/0/x001%2F000',
    'tile/0/000%00',
    'tile/0/../0/000',
    'tile/0/./000',
    'tile/../tile/0/000',
    'tile/entries/0/000',
    'tile/entries/000.p/256',
    'tile/0/000?x=1',
    // 2^53, and more elements than any index of ours has
    'tile/0/x009/x007/x199/x254/x740/992',
    'tile/0/x001/x000/x000/x000/x000/x000/000',
  ])('%j is none', (path) => {
    expect(parseTilePath(path)).toBeNull()
  })

  test('that is longer than any is refused unread', () => {
    const path = `tile/0/${'x000/'.repeat(10_000_000)}000`
    const start = process.cpuUsage()
    expect(parseTilePath(path)).toBeNull()
    expect(process.cpuUsage(start).user).toBeLessThan(200_000) // microseconds
  })

  test.for<[string, Tile]>([
    ['a negative level', hashes(-1, 0)],
    ['level 64', hashes(64, 0)],
    ['half a level', hashes(0.5, 0)],
    ['a negative index', hashes(0, -1)],
    ['an index of 2^53', entries(2 ** 53)],
    ['half an index', entries(0.5)],
    ['no width', hashes(0, 0, 0)],
    ['a width of 257', entries(0, 257)],
    ['no number as width', entries(0, Number.NaN)],
  ])('is not made for %s', ([, tile]) => {
    expect(() => tilePath(tile)).toThrow(RangeError)
  })
})

/**
 * The tiles of a tree as tlog-tiles defines them: `floor(size / 256^level) mod 256` hashes in the partial one, and all
 * the full ones before it. In BigInt, so that no rounding is shared with the code under test.
 */
const tilesOf = (size: number): string[] => {
  const paths: string[] = []
  for (let level = 0; level < 7; level += 1) {
    const count = BigInt(size) / 256n ** BigInt(level)
    const full = Array.from({ length: Number(count / 256n) }, (_, index) => hashes(level, index))
    const rest = Number(count % 256n)
    const all = rest === 0 ? full : [...full, hashes(level, full.length, rest)]
    paths.push(...all.map(tilePath))
    if (level === 0) paths.push(...all.map((tile) => tilePath(entries(tile.index, tile.width))))
  }
  return paths
}

describe('the tiles of a tree', { timeout: 60_000 }, () => {
  test('of 70,000 leaves are those that the specification counts', () => {
    const tiles = tilesSince(0, 70_000)
    const full = (kind: string, level: number) =>
      tiles.filter((tile) => tile.kind === kind && (tile.kind === 'entries' || tile.level === level)).slice(0, -1)
    expect(tiles).toHaveLength(274 + 274 + 2 + 1)
    expect(full('entries', 0)).toEqual(Array.from({ length: 273 }, (_, index) => entries(index)))
    expect(full('hashes', 0)).toEqual(Array.from({ length: 273 }, (_, index) => hashes(0, index)))
    expect(tiles[273]).toEqual(entries(273, 112))
    expect(tiles.slice(547)).toEqual([hashes(0, 273, 112), hashes(1, 0), hashes(1, 1, 17), hashes(2, 0, 1)])
  })

  test('of 256 leaves are a full one and a partial one of a single hash above it', () => {
    expect(tilesSince(0, 256)).toEqual([entries(0), hashes(0, 0), hashes(1, 0, 1)])
  })

  test('are none for an empty tree, and none when nothing came', () => {
    expect(tilesSince(0, 0)).toEqual([])
    expect(tilesSince(70_000, 70_000)).toEqual([])
  })

  test('come with the first leaf', () => {
    expect(tilesSince(0, 1)).toEqual([entries(0, 1), hashes(0, 0, 1)])
    expect(tilesSince(1, 2)).toEqual([entries(0, 2), hashes(0, 0, 2)])
    expect(tilesSince(255, 257)).toEqual([entries(0), entries(1, 1), hashes(0, 0), hashes(0, 1, 1), hashes(1, 0, 1)])
    // The level above did not change.
    expect(tilesSince(257, 258)).toEqual([entries(1, 2), hashes(0, 1, 2)])
  })

  test('since a smaller size are those of the larger tree that the smaller one had not', () => {
    const sizes = fc.oneof(
      fc.integer({ min: 0, max: 300_000 }),
      fc.integer({ min: 0, max: 1_200 }).map((count) => count * 256),
      fc.constantFrom(0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 131_072),
    )
    fc.assert(
      fc.property(sizes, sizes, (one, other) => {
        const [from, to] = [Math.min(one, other), Math.max(one, other)]
        const had = new Set(tilesOf(from))
        const wanted = tilesOf(to).filter((path) => !had.has(path))
        const tiles = tilesSince(from, to)
        expect(tiles.map(tilePath).sort()).toEqual(wanted.sort())
        for (const tile of tiles) expect([hasTile(tile, from), hasTile(tile, to)]).toEqual([false, true])
      }),
      { numRuns: 60 },
    )
  })

  test('are counted right far beyond 2^32 leaves', () => {
    const sizes = fc.oneof(
      fc.integer({ min: 2 ** 32, max: most - 2_000 }),
      fc.integer({ min: 32, max: 52 }).chain((power) => fc.integer({ min: 2 ** power - 700, max: 2 ** power + 3 })),
      fc.constant(most - 2_000),
    )
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 2_000 }), (from, more) => {
        const to = from + more
        const wanted: string[] = []
        for (let level = 0n; level < 7n; level += 1n) {
          const [had, has] = [BigInt(from) / 256n ** level, BigInt(to) / 256n ** level]
          const places: { index: number; width: number }[] = []
          for (let index = had / 256n; index <= has / 256n && had < has; index += 1n) {
            const width = Number(has - index * 256n > 256n ? 256n : has - index * 256n)
            if (width > 0) places.push({ index: Number(index), width })
          }
          wanted.push(...places.map(({ index, width }) => tilePath(hashes(Number(level), index, width))))
          if (level === 0n) wanted.push(...places.map(({ index, width }) => tilePath(entries(index, width))))
        }
        const tiles = tilesSince(from, to)
        expect(tiles.map(tilePath).sort()).toEqual(wanted.sort())
        for (const tile of tiles) expect([hasTile(tile, from), hasTile(tile, to)]).toEqual([false, true])
      }),
    )
  })

  test('come each exactly once as a log grows step by step, but for the partial ones', () => {
    const seen = new Map<string, number>()
    let size = 0
    for (const step of [1, 1, 253, 1, 1, 300, 65_000, 5, 70_000]) {
      for (const tile of tilesSince(size, size + step)) {
        seen.set(tilePath(tile), (seen.get(tilePath(tile)) ?? 0) + 1)
      }
      size += step
    }
    expect([...seen.values()].every((times) => times === 1)).toBe(true)
    expect(tilesOf(size).filter((path) => !seen.has(path))).toEqual([])
  })

  test.for([
    [2, 1],
    [-1, 5],
    [0, 0.5],
    [0, 2 ** 53],
    [Number.NaN, 1],
  ])('are not counted from %d to %d', ([from = 0, to = 0]) => {
    expect(() => tilesSince(from, to)).toThrow(RangeError)
  })

  test('hold a full tile once it is whole, and a partial one from its width on', () => {
    expect([255, 256, 257].map((size) => hasTile(hashes(0, 0), size))).toEqual([false, true, true])
    expect([65_535, 65_536].map((size) => hasTile(hashes(1, 0), size))).toEqual([false, true])
    expect([260, 261, 262, 512, 70_000].map((size) => hasTile(entries(1, 5), size))).toEqual([
      false,
      true,
      true,
      true,
      true,
    ])
    expect([255, 256, 511, 512].map((size) => hasTile(hashes(1, 0, 2), size))).toEqual([false, false, false, true])
    expect(hasTile(hashes(0, 0, 1), 0)).toBe(false)
    expect(hasTile(hashes(0, 0, 0), 5)).toBe(false)
    expect(hasTile(hashes(63, 0, 1), most)).toBe(false)
    expect(hasTile(hashes(6, 0, 31), most)).toBe(true)
    expect(hasTile(hashes(6, 0, 32), most)).toBe(false)
    expect(hasTile(entries(most), most)).toBe(false)
    expect(hasTile(entries(2 ** 45 - 1, 255), most)).toBe(true)
    expect(hasTile(entries(2 ** 45 - 1), most)).toBe(false)
  })
})

describe('a bundle of entries', () => {
  const leaf = (byte: number, length: number) => Buffer.alloc(length, byte)

  test('has the length of each entry before it, in two bytes, the larger first', () => {
    const bundle = entryBundle([leaf(0xaa, 3), leaf(0, 0), leaf(0xbb, 258)])
    expect(bundle.subarray(0, 9).toString('hex')).toBe('0003aaaaaa00000102')
    expect(bundle).toHaveLength(5 + 2 + 260)
  })

  test('is read as it was written', () => {
    const leaves = fc.array(fc.uint8Array({ maxLength: 70 }), { minLength: 1, maxLength: 256, size: 'max' })
    fc.assert(
      fc.property(leaves, (arrays) => {
        const buffers = arrays.map((array) => Buffer.from(array))
        expect(parseEntryBundle(entryBundle(buffers))).toEqual(buffers)
      }),
      { numRuns: 50 },
    )
  })

  test('of ours is 34 bytes an entry', () => {
    expect(entryBundle(Array.from({ length: 256 }, () => leaf(1, 32)))).toHaveLength(256 * 34)
  })

  test('that was cut short is none, unless it was cut between two entries', () => {
    const leaves = [leaf(1, 32), leaf(2, 300), leaf(3, 1)]
    const bundle = entryBundle(leaves)
    for (let length = 0; length < bundle.length; length += 1) {
      const between = [34, 336].indexOf(length)
      expect(parseEntryBundle(bundle.subarray(0, length))).toEqual(between === -1 ? null : leaves.slice(0, between + 1))
    }
    expect(parseEntryBundle(Buffer.concat([bundle, Buffer.of(0)]))).toBeNull()
  })

  test('holds 1 to 256 entries of at most 65,535 bytes', () => {
    const longest = leaf(7, 65_535)
    expect(parseEntryBundle(entryBundle([longest]))).toEqual([longest])
    expect(() => entryBundle([leaf(7, 65_536)])).toThrow(RangeError)
    expect(() => entryBundle([])).toThrow(RangeError)
    expect(() => entryBundle(Array.from({ length: 257 }, () => leaf(1, 32)))).toThrow(RangeError)
    expect(parseEntryBundle(Buffer.alloc(512))).toHaveLength(256)
    expect(parseEntryBundle(Buffer.alloc(514))).toBeNull()
    expect(parseEntryBundle(Buffer.alloc(0))).toBeNull()
  })
})
