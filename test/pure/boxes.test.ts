import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ReadAt } from '../../src/custody/examination/boxes.ts'
import { matroskaTruncation, riffTruncation } from '../../src/custody/examination/declared.ts'
import { readMovie } from '../../src/custody/examination/movie.ts'
import { box, words } from '../footage.ts'

const reading = (bytes: Buffer): ReadAt & { largest: number } => {
  const read = Object.assign(
    async (offset: number, length: number) => {
      read.largest = Math.max(read.largest, length)
      return bytes.subarray(offset, offset + length)
    },
    { largest: 0 },
  )
  return read
}

const movieOf = async (bytes: Buffer) => await readMovie(reading(bytes), bytes.length)

type Tables = { sizes: number[]; chunks: number[]; perChunk: number; wide?: boolean; each?: number; flags?: number }

const track = (id: number, { sizes, chunks, perChunk, wide = false, each = 0, flags = 1 }: Tables): Buffer =>
  box(
    'trak',
    box('tkhd', words(0, 0, 0, id), Buffer.alloc(68)),
    box(
      'mdia',
      box(
        'minf',
        box('dinf', box('dref', words(0, 1), box('url ', words(flags), flags === 1 ? '' : 'file:///etc/passwd\0'))),
        box(
          'stbl',
          box('stsz', words(0, each, sizes.length), each > 0 ? '' : Buffer.concat(sizes.map((size) => words(size)))),
          box('stsc', words(0, 1, 1, perChunk, 1)),
          wide
            ? box('co64', words(0, chunks.length), ...chunks.map((chunk) => words(Math.floor(chunk / 2 ** 32), chunk)))
            : box('stco', words(0, chunks.length, ...chunks)),
        ),
      ),
    ),
  )

const ftyp = box('ftyp', 'isom', words(512), 'isom')
const mvhd = box('mvhd', Buffer.alloc(100))
const data = (length: number) => box('mdat', Buffer.alloc(length))
const dataStart = ftyp.length + 8

/** A whole file of two chunks: samples of 10, 20, 30 and 40 bytes. */
const whole = (tables: Partial<Tables> = {}) =>
  Buffer.concat([
    ftyp,
    data(100),
    box(
      'moov',
      mvhd,
      track(7, { sizes: [10, 20, 30, 40], chunks: [dataStart, dataStart + 30], perChunk: 2, ...tables }),
    ),
  ])

test('a whole file is not truncated, and its samples are counted', async () => {
  const movie = await movieOf(whole())
  expect(movie).toMatchObject({ truncated: null, notes: [] })
  expect(movie.tracks).toEqual([{ id: 7, samples: 4, dataEnd: dataStart + 100, external: false }])
})

test.for<[string, Buffer]>([
  ['without its index', Buffer.concat([ftyp, data(100)])],
  ['whose index is cut', whole().subarray(0, whole().length - 1)],
  ['whose data has no end because the camera stopped', Buffer.concat([ftyp, words(0), Buffer.from('mdat more')])],
  ['whose data claims 2^63 bytes', Buffer.concat([ftyp, words(1), Buffer.from('mdat'), words(0x80000000, 0)])],
  ['that is only a start', ftyp],
])('a file %s has no index', async ([, bytes]) => {
  expect((await movieOf(bytes)).truncated).toBe('no-index')
})

test.for<[string, Partial<Tables>, number]>([
  ['a size larger than the rest', { sizes: [10, 20, 30, 4_000_000] }, 2],
  ['a chunk beyond the end', { chunks: [dataStart, 5_000_000] }, 2],
  ['a 64-bit chunk beyond the end', { wide: true, chunks: [dataStart, 2 ** 40] }, 2],
  ['samples of one size that do not fit', { each: 1_000_000 }, 2],
])('an index with %s points beyond the end', async ([, tables]) => {
  expect((await movieOf(whole(tables))).truncated).toBe('index-beyond-end')
})

test('64-bit chunk offsets within the file are well', async () => {
  const movie = await movieOf(whole({ wide: true }))
  expect(movie.truncated).toBeNull()
  expect(movie.tracks[0]?.dataEnd).toBe(dataStart + 100)
})

test('the index of a file cut after its index points beyond the end', async () => {
  const sizes = [10, 20, 30, 40]
  const moov = (start: number) => box('moov', mvhd, track(1, { sizes, chunks: [start, start + 30], perChunk: 2 }))
  const start = ftyp.length + moov(0).length + 8
  const bytes = Buffer.concat([ftyp, moov(start), data(100)])
  expect((await movieOf(bytes)).truncated).toBeNull()
  expect((await movieOf(bytes.subarray(0, -1))).truncated).toBe('index-beyond-end')
})

test('data in another file is noted, and not looked for in this one', async () => {
  const movie = await movieOf(whole({ flags: 0, chunks: [9_000_000] }))
  expect(movie.truncated).toBeNull()
  expect(movie.tracks[0]?.external).toBe(true)
  expect(movie.notes.join()).toContain('another file')
})

const initial = Buffer.concat([
  ftyp,
  box(
    'moov',
    mvhd,
    track(1, { sizes: [], chunks: [], perChunk: 1 }),
    box('mvex', box('trex', words(0, 1, 1, 512, 25, 0))),
  ),
])

/** A fragment of four samples whose bytes follow at once: of the default size, or of sizes of their own. */
const fragment = (sizes?: number[]): Buffer => {
  const run = (offset: number) =>
    sizes === undefined ? box('trun', words(0x1, 4, offset)) : box('trun', words(0x201, sizes.length, offset, ...sizes))
  const moof = (offset: number) =>
    box('moof', box('mfhd', words(0, 1)), box('traf', box('tfhd', words(0x20000, 1)), run(offset)))
  const bytes = sizes === undefined ? 100 : sizes.reduce((sum, size) => sum + size, 0)
  return Buffer.concat([moof(moof(0).length + 8), data(bytes)])
}

test('a whole fragmented file is not truncated, and the samples of its fragments are counted', async () => {
  const movie = await movieOf(Buffer.concat([initial, fragment(), fragment([5, 6, 7])]))
  expect(movie).toMatchObject({ truncated: null })
  expect(movie.tracks[0]?.samples).toBe(7)
})

test('a fragmented file cut anywhere in its last fragment is known to be cut', async () => {
  const kept = Buffer.concat([initial, fragment([5, 6, 7])])
  const all = Buffer.concat([kept, fragment([5, 6, 7])])
  for (let length = kept.length + 1; length < all.length; length++) {
    expect((await movieOf(all.subarray(0, length))).truncated, `cut at ${length}`).toBe('incomplete-fragment')
  }
  // Cut between two fragments nothing shows it; the packets are counted elsewhere.
  expect((await movieOf(kept)).truncated).toBeNull()
})

test('a fragmented file that ends before its first fragment is incomplete', async () => {
  expect((await movieOf(initial)).truncated).toBe('incomplete-fragment')
})

test('fragments without the start of the file have no index', async () => {
  expect((await movieOf(fragment())).truncated).toBe('no-index')
})

test('what a box claims is never allocated', async () => {
  const claims = Buffer.concat([
    ftyp,
    box(
      'moov',
      box(
        'trak',
        box('tkhd', words(0, 0, 0, 1), Buffer.alloc(68)),
        box(
          'mdia',
          box(
            'minf',
            box(
              'stbl',
              box('stsz', words(0, 0, 0xffffffff)),
              box('stsc', words(0, 0xffffffff, 1, 0xffffffff, 1)),
              box('stco', words(0, 0xffffffff, 1)),
            ),
          ),
        ),
      ),
    ),
  ])
  const read = reading(claims)
  await readMovie(read, claims.length)
  expect(read.largest).toBeLessThanOrEqual(65_536)
})

test('a table of megabytes is read in blocks', async () => {
  const sizes = Array.from({ length: 300_000 }, (_, index) => (index % 7) + 1)
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const bytes = Buffer.concat([
    ftyp,
    data(total),
    box('moov', mvhd, track(1, { sizes, chunks: [dataStart], perChunk: sizes.length })),
  ])
  const read = reading(bytes)
  const movie = await readMovie(read, bytes.length)
  expect(movie).toMatchObject({ truncated: null, tracks: [{ samples: 300_000, dataEnd: dataStart + total }] })
  expect(read.largest).toBeLessThanOrEqual(65_536)
})

test('a file of a million empty boxes is given up on, in words, within seconds', async () => {
  const bytes = Buffer.concat([ftyp, ...Array.from({ length: 1_100_000 }, () => box('free'))])
  const movie = await movieOf(bytes)
  expect(movie.truncated).toBeNull()
  expect(movie.notes.join()).toContain('not checked')
})

test('boxes nested in themselves do not deepen the reading', async () => {
  let nested = box('moov')
  for (let depth = 0; depth < 5000; depth++) nested = box(depth % 2 === 0 ? 'trak' : 'moov', nested)
  expect((await movieOf(Buffer.concat([ftyp, box('moov', nested)]))).truncated).toBeNull()
})

test('a file changed at random, or cut, never throws', async () => {
  const sources = [whole(), Buffer.concat([initial, fragment(), fragment([5, 6, 7])])]
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...sources),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
      fc.nat(),
      async (source, changes, cut) => {
        const bytes = Buffer.from(source.subarray(0, source.length - (cut % source.length)))
        for (const [at, value] of changes) bytes[at % bytes.length] = value
        await movieOf(bytes)
        await riffTruncation(reading(bytes), bytes.length)
        await matroskaTruncation(reading(bytes), bytes.length)
      },
    ),
    { numRuns: 500 },
  )
})

const chunk = (id: string, ...contents: (Buffer | string)[]): Buffer => {
  const bytes = box(id, ...contents)
  bytes.write(id, 0, 'latin1')
  bytes.writeUInt32LE(bytes.length - 8, 4)
  return bytes
}

const header = (flags: number, ...more: Buffer[]) => {
  const avih = Buffer.alloc(56)
  avih.writeUInt32LE(flags, 12)
  return chunk('LIST', 'hdrl', chunk('avih', avih), ...more)
}
const pictures = chunk('LIST', 'movi', chunk('00dc', Buffer.alloc(100)))

test.for<[string, Buffer, string | null]>([
  ['with its index', chunk('RIFF', 'AVI ', header(0x10), pictures, chunk('idx1', words(1))), null],
  ['that promises no index', chunk('RIFF', 'AVI ', header(0), pictures), null],
  [
    'with an index in its header',
    chunk('RIFF', 'AVI ', header(0x10, chunk('LIST', 'strl', chunk('indx', words(1)))), pictures),
    null,
  ],
  ['without the index it promises', chunk('RIFF', 'AVI ', header(0x10), pictures), 'no-index'],
  [
    'cut short',
    chunk('RIFF', 'AVI ', header(0x10), pictures, chunk('idx1', words(1))).subarray(0, -1),
    'shorter-than-declared',
  ],
  [
    'whose recorder never came back to write its length',
    Buffer.concat([Buffer.from('RIFF\xff\xff\xff\xffAVI ', 'latin1'), header(0x10), pictures]),
    'no-index',
  ],
])('an AVI %s', async ([, bytes, verdict]) => {
  expect(await riffTruncation(reading(bytes), bytes.length)).toBe(verdict)
})

test.for<[string, number[], string | null]>([
  ['of the length it states', [0x84], null],
  ['of unknown length', [0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], null],
  ['shorter than it states', [0x40, 0x05], 'shorter-than-declared'],
])('a Matroska file %s', async ([, length, verdict]) => {
  const bytes = Buffer.concat([
    Buffer.from([0x1a, 0x45, 0xdf, 0xa3, 0x84, 0x42, 0x86, 0x81, 1]),
    Buffer.from([0x18, 0x53, 0x80, 0x67, ...length]),
    Buffer.alloc(4),
  ])
  expect(await matroskaTruncation(reading(bytes), bytes.length)).toBe(verdict)
})
