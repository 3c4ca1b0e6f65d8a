import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hex, sha256 } from '../../src/base/digest.ts'
import { newId, type PersonId } from '../../src/base/ids.ts'
import { newToken } from '../../src/base/link-token.ts'
import { type Config, readConfig } from '../../src/engines/config.ts'
import type { WatchedRange } from '../../src/engines/tables.ts'
import type { Role } from '../../src/people/role.ts'
import { masterPlaylist, mediaPlaylist, type Piece, type Stream } from '../../src/viewings/playlists.ts'
import { reasonOfViewing } from '../../src/viewings/reason.ts'
import { storyboardIndex } from '../../src/viewings/storyboard.ts'
import { isPlayable, tokenPattern, whyUnplayable } from '../../src/viewings/viewing.ts'
import { covers, withRange } from '../../src/viewings/watched.ts'

const ranges = fc.array(
  fc
    .tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 0, max: 3000 }))
    .map(([start, length]): WatchedRange => [start / 1000, (start + length) / 1000]),
  { maxLength: 30 },
)
const all = (list: WatchedRange[]): WatchedRange[] => list.reduce<WatchedRange[]>(withRange, [])

describe('watched ranges', () => {
  test('are sorted, apart from one another, and cover all that was watched', () => {
    fc.assert(
      fc.property(ranges, (list) => {
        const watched = all(list)
        for (const range of list) expect(covers(watched, range)).toBe(true)
        for (const [start, end] of watched) expect(start).toBeLessThanOrEqual(end)
        for (const [n, [start]] of watched.entries()) {
          const before = watched[n - 1]
          if (before !== undefined) expect(Math.round((start - before[1]) * 1000)).toBeGreaterThan(50)
        }
      }),
    )
  })

  test('claim nothing beyond what was watched, but for gaps of 50 ms at most', () => {
    fc.assert(
      fc.property(ranges, fc.integer({ min: 0, max: 23_000 }), (list, at) => {
        const near = list.some(([start, end]) => at >= start * 1000 - 50 && at <= end * 1000 + 50)
        const claimed = covers(all(list), [at / 1000, at / 1000])
        if (claimed) expect(near).toBe(true)
      }),
    )
  })

  test('are the same in whatever order they were watched, and when watched again', () => {
    fc.assert(
      fc.property(ranges, (list) => {
        const watched = all(list)
        expect(all(list.toReversed())).toEqual(watched)
        expect(all([...list, ...list])).toEqual(watched)
        expect(all(watched)).toEqual(watched)
      }),
    )
  })

  test('survive being written as JSON', () => {
    fc.assert(
      fc.property(ranges, (list) => {
        expect(JSON.parse(JSON.stringify(all(list)))).toEqual(all(list))
      }),
    )
  })

  test.for<[string, WatchedRange[], WatchedRange, WatchedRange[]]>([
    ['the first', [], [0, 6], [[0, 6]]],
    ['what follows', [[0, 6]], [6.006, 12], [[0, 12]]],
    ['what touches within 50 ms', [[0, 6]], [6.05, 12], [[0, 12]]],
    [
      'what does not touch',
      [[0, 6]],
      [6.051, 12],
      [
        [0, 6],
        [6.051, 12],
      ],
    ],
    [
      'what closes a gap',
      [
        [0, 6],
        [12, 18],
      ],
      [6, 12],
      [[0, 18]],
    ],
    [
      'what lies before',
      [[12, 18]],
      [0, 6],
      [
        [0, 6],
        [12, 18],
      ],
    ],
    ['what lies within', [[0, 18]], [6, 12], [[0, 18]]],
  ])('take in %s', ([, watched, range, expected]) => {
    expect(withRange(watched, range)).toEqual(expected)
  })
})

const piece = (number: number, duration = 6): Piece => ({
  number,
  name: number === 0 ? 'init.mp4' : `${String(number).padStart(5, '0')}.m4s`,
  start: number === 0 ? 0 : (number - 1) * 6,
  duration: number === 0 ? 0 : duration,
})

describe('the playlist of a rendition', () => {
  test('that is complete ends, and can be sought in from the start', () => {
    expect(mediaPlaylist(true, [piece(0), piece(1), piece(2, 6.006), piece(3, 0.04)])).toBe(
      [
        '#EXTM3U',
        '#EXT-X-VERSION:7',
        '#EXT-X-TARGETDURATION:7',
        '#EXT-X-MEDIA-SEQUENCE:1',
        '#EXT-X-PLAYLIST-TYPE:VOD',
        '#EXT-X-MAP:URI="init.mp4"',
        '#EXTINF:6.000000,',
        '00001.m4s',
        '#EXTINF:6.006000,',
        '00002.m4s',
        '#EXTINF:0.040000,',
        '00003.m4s',
        '#EXT-X-ENDLIST',
        '',
      ].join('\n'),
    )
  })

  test('that is being made grows, has no end, and is played from its beginning', () => {
    const growing = mediaPlaylist(false, [piece(0), piece(1)])
    expect(growing).toContain('#EXT-X-PLAYLIST-TYPE:EVENT')
    expect(growing).toContain('#EXT-X-START:TIME-OFFSET=0,PRECISE=YES')
    expect(growing).not.toContain('ENDLIST')
    const [head, more] = [growing, mediaPlaylist(false, [piece(0), piece(1), piece(2)])]
    expect(more.startsWith(head.trimEnd())).toBe(true)
  })

  test('names a target that no segment exceeds, even of footage one frame long', () => {
    expect(mediaPlaylist(true, [piece(0), piece(1, 0.033)])).toContain('#EXT-X-TARGETDURATION:1\n')
  })
})

describe('the playlist of playlists', () => {
  const full: Stream = {
    complete: true,
    bitsPerSecond: 4_000_000.2,
    facts: { width: 1920, height: 1080, codecs: 'avc1.640028,mp4a.40.2' },
  }
  const small: Stream = { complete: true, bitsPerSecond: 700_000, facts: { width: 854, height: 480 } }

  test('prefers the full picture and names the small one beside it, by addresses that inherit the token', () => {
    expect(masterPlaylist({ hls: full, proxy: small })).toBe(
      [
        '#EXTM3U',
        '#EXT-X-VERSION:7',
        '#EXT-X-STREAM-INF:BANDWIDTH=4000001,RESOLUTION=1920x1080,CODECS="avc1.640028,mp4a.40.2"',
        'hls/index.m3u8',
        '#EXT-X-STREAM-INF:BANDWIDTH=700000,RESOLUTION=854x480',
        'proxy/index.m3u8',
        '',
      ].join('\n'),
    )
  })

  test('leaves the small picture out while either still grows', () => {
    expect(masterPlaylist({ hls: full, proxy: { ...small, complete: false } })).not.toContain('proxy/')
    expect(masterPlaylist({ hls: { ...full, complete: false }, proxy: small })).not.toContain('proxy/')
  })

  test('is of the small picture alone where there is no other', () => {
    expect(masterPlaylist({ proxy: { ...small, complete: false } })).toMatch(/BANDWIDTH=700000.*\nproxy\/index.m3u8\n$/)
  })

  test('never has a player take the small picture for the better one', () => {
    const poor = masterPlaylist({ hls: { ...full, bitsPerSecond: 100_000 }, proxy: small })
    expect(poor).toMatch(/BANDWIDTH=100000,.*BANDWIDTH=99999,/s)
  })
})

test('the index of a storyboard says which part of which sheet shows which moment', () => {
  const facts = { interval: 5, columns: 2, rows: 1, pictures: 3, width: 160, height: 90 }
  expect(storyboardIndex(facts, ['sheet-000.jpg', 'sheet-001.jpg'], 3611.5)).toBe(
    [
      'WEBVTT',
      '',
      '00:00:00.000 --> 00:00:05.000',
      'storyboard/sheet-000.jpg#xywh=0,0,160,90',
      '',
      '00:00:05.000 --> 00:00:10.000',
      'storyboard/sheet-000.jpg#xywh=160,0,160,90',
      '',
      '00:00:10.000 --> 01:00:11.500',
      'storyboard/sheet-001.jpg#xywh=0,0,160,90',
      '',
    ].join('\n'),
  )
  expect(storyboardIndex(facts, ['sheet-000.jpg'], null)).not.toContain('sheet-001')
  expect(storyboardIndex({}, [], null)).toBe('WEBVTT\n')
})

describe('whether footage can be watched', () => {
  const digest = hex(sha256('x'))
  const made = { state: 'ready', sha256: digest, failure: null, begun: true } as const
  const owed = { state: 'owed', sha256: null, failure: null, begun: false } as const
  const failed = { state: 'failed', sha256: null, failure: 'The file ends within its index.', begun: true } as const

  test('is so from the first segment on, and while what there was is owed once more', () => {
    expect(isPlayable({ ...made, state: 'working', sha256: null })).toBe(true)
    expect(isPlayable({ ...made, state: 'owed' })).toBe(true)
    expect(isPlayable({ ...made, begun: false })).toBe(false)
    expect(isPlayable(failed)).toBe(false)
    expect(isPlayable({ ...owed, begun: true })).toBe(false)
  })

  test('is told apart: not yet, and never', () => {
    expect(whyUnplayable([failed, made], [])).toBeUndefined()
    expect(whyUnplayable([], [])).toMatchObject({ code: 'not-playable-yet', retryAfter: 3 })
    expect(whyUnplayable([failed, owed], ['unplayable'])).toMatchObject({ code: 'not-playable-yet' })
    expect(whyUnplayable([failed], [])?.detail).toBe('The file ends within its index. The original stays downloadable.')
    expect(whyUnplayable([failed], [])?.code).toBe('not-playable')
    expect(whyUnplayable([], ['unplayable'])?.code).toBe('not-playable')
  })
})

describe('the reason of a viewing', () => {
  const config = (rule: Record<string, string>, codes: Record<string, string[]> = {}): Config =>
    readConfig({
      DATABASE_URL: 'x',
      REDIS_URL: 'x',
      S3_ENDPOINT: 'x',
      S3_ACCESS_KEY: 'x',
      S3_SECRET_KEY: 'x',
      OIDC_ISSUER: 'x',
      RECEIPT_KEY_FILE: 'x',
      LOG_KEY_FILE: 'x',
      REASON_RULE: JSON.stringify(rule),
      REASON_CODES: JSON.stringify(codes),
    })
  const someone = (...roles: Role[]) => ({ id: newId<PersonId>(), name: 'A', roles })
  const refusal = expect.objectContaining({ code: 'bad-request' })

  test('is needed unless the configuration says otherwise for the role', () => {
    expect(() => reasonOfViewing(config({}), someone('officer'), undefined)).toThrow(refusal)
    expect(() => reasonOfViewing(config({ officer: 'off' }), someone('investigator'), undefined)).toThrow(refusal)
    expect(reasonOfViewing(config({ officer: 'off' }), someone('officer'), undefined)).toBeUndefined()
    expect(reasonOfViewing(config({ officer: 'optional' }), someone('officer'), undefined)).toBeUndefined()
  })

  test('is held against the list where it is asked for, and only there', () => {
    const [asked, off] = (['optional', 'off'] as const).map((rule) => config({ officer: rule }, { officer: ['case'] }))
    if (asked === undefined || off === undefined) throw new Error('both are made')
    expect(() => reasonOfViewing(asked, someone('officer'), 'curious')).toThrow(refusal)
    expect(reasonOfViewing(asked, someone('officer'), 'case: 12')).toBe('case: 12')
    expect(reasonOfViewing(off, someone('officer'), 'curious')).toBe('curious')
    expect(() => reasonOfViewing(off, someone('officer'), ' ')).toThrow(refusal)
  })

  test('of someone with several roles follows the strictest in which they may watch', () => {
    const mixed = config({ officer: 'off', supervisor: 'optional' })
    expect(reasonOfViewing(mixed, someone('officer', 'supervisor', 'admin'), undefined)).toBeUndefined()
    expect(() => reasonOfViewing(mixed, someone('officer', 'disclosure'), undefined)).toThrow(refusal)
  })

  test('has a rule that is one of three words', () => {
    expect(() => config({ officer: 'never' })).toThrow('REASON_RULE')
  })
})

test('a token is 32 random bytes, and no id is taken for one', () => {
  expect(newToken()).toMatch(new RegExp(tokenPattern))
  expect(newToken()).not.toBe(newToken())
  expect(newId()).not.toMatch(new RegExp(tokenPattern))
})
