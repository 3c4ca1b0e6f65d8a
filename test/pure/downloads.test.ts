import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { newToken, tokenDigest } from '../../src/base/link-token.ts'
import { attachment, safeName } from '../../src/downloads/disposition.ts'
import { whyNot } from '../../src/downloads/download.ts'
import { wantedRange } from '../../src/downloads/range.ts'
import { statuses } from '../../src/recordings/recording.ts'

const etag = '"2cf24dba"'
const asked = (size: number, range: string | undefined, ifRange?: string) => wantedRange(size, etag, { range, ifRange })

describe('which bytes a GET asks for', () => {
  test.for<[string | undefined, ReturnType<typeof wantedRange>]>([
    [undefined, 'whole'],
    ['bytes=0-9', { first: 0, last: 9 }],
    ['bytes=0-0', { first: 0, last: 0 }],
    ['bytes=99-99', { first: 99, last: 99 }],
    ['bytes=50-', { first: 50, last: 99 }],
    ['bytes=-1', { first: 99, last: 99 }],
    ['bytes=-10', { first: 90, last: 99 }],
    ['bytes=-500', { first: 0, last: 99 }],
    ['bytes=90-1000', { first: 90, last: 99 }],
    ['bytes=0-99999999999999999999999999', { first: 0, last: 99 }],
    ['Bytes=3-4', { first: 3, last: 4 }],
    ['bytes= 3-4\t', { first: 3, last: 4 }],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=100-200', 'unsatisfiable'],
    ['bytes=99999999999999999999999999-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=5-2', 'whole'],
    ['bytes=-', 'whole'],
    ['bytes=', 'whole'],
    ['bytes', 'whole'],
    ['', 'whole'],
    ['bytes=a-b', 'whole'],
    ['bytes=0x1-2', 'whole'],
    ['bytes=1.5-2', 'whole'],
    ['bytes=--5', 'whole'],
    ['bytes=+1-2', 'whole'],
    ['bytes=0-1,5-6', 'whole'],
    ['bytes=0-1, 5-6', 'whole'],
    ['items=0-1', 'whole'],
  ])('of 100 bytes, %s means %o', ([range, expected]) => {
    expect(asked(100, range)).toEqual(expected)
  })

  test.for<[string, ReturnType<typeof wantedRange>]>([
    ['bytes=0-', 'unsatisfiable'],
    ['bytes=0-0', 'unsatisfiable'],
    ['bytes=-1', 'whole'],
    ['bytes=-0', 'unsatisfiable'],
  ])('of an empty file, %s means %o', ([range, expected]) => {
    expect(asked(0, range)).toEqual(expected)
  })

  test.for([
    ['the same file', etag, { first: 0, last: 1 }],
    ['another file', '"other"', 'whole'],
    ['the same file weakly', `W/${etag}`, 'whole'],
    ['a date, which we never gave', 'Wed, 25 Nov 2026 22:15:00 GMT', 'whole'],
  ] as const)('a range holds if If-Range names %s only when nothing can be mixed up', ([, ifRange, expected]) => {
    expect(asked(100, 'bytes=0-1', ifRange)).toEqual(expected)
  })

  test('whatever is asked, what is served lies within the file', () => {
    const part = fc.oneof(fc.constant(''), fc.nat({ max: 300 }).map(String))
    fc.assert(
      fc.property(fc.nat({ max: 200 }), part, part, (size, from, to) => {
        const wanted = asked(size, `bytes=${from}-${to}`)
        if (typeof wanted === 'string') return
        expect(wanted.first).toBeGreaterThanOrEqual(0)
        expect(wanted.first).toBeLessThanOrEqual(wanted.last)
        expect(wanted.last).toBeLessThan(size)
      }),
    )
  })
})

describe('the name a download is saved under', () => {
  test.for([
    ['BWC_0042.MP4', 'BWC_0042.MP4'],
    ['Übergabe Straße.mp4', 'Übergabe Straße.mp4'],
    ['../../x', '_.._x'],
    ['..\\..\\x.mp4', '_.._x.mp4'],
    ['/etc/passwd', '_etc_passwd'],
    ['C:\\Windows\\x.mp4', 'C__Windows_x.mp4'],
    ['.bashrc', 'bashrc'],
    ['a"b\r\nSet-Cookie: x=1.mp4', 'a_b__Set-Cookie_ x=1.mp4'],
    ['holiday\u202Egpj.exe', 'holiday_gpj.exe'],
    ['\u200Fa\u2066b\u2069.mp4', '_a_b_.mp4'],
    ['a\u0000b\u007f.mp4', 'a_b_.mp4'],
    ['a\u2028b.mp4', 'a_b.mp4'],
    ['<b>x</b>.mp4', '_b_x__b_.mp4'],
    ['con.mp4', '_con.mp4'],
    ['NUL', '_NUL'],
    ['console.mp4', 'console.mp4'],
    ['x.mp4. . ', 'x.mp4'],
    ['..', 'fallback'],
    ['', 'fallback'],
    ['////', 'fallback'],
    ['\u202E', 'fallback'],
    ['\ud800.mp4', '\ufffd.mp4'],
  ])('of %j is %j', ([given = '', expected]) => {
    expect(safeName(given, 'fallback')).toBe(expected)
  })

  test('is shortened and keeps its ending', () => {
    expect(safeName(`${'a'.repeat(4096)}.mp4`, 'fallback')).toBe(`${'a'.repeat(196)}.mp4`)
    expect(safeName(`${'𝄞'.repeat(4096)}`, 'fallback')).toBe('𝄞'.repeat(50))
  })

  test('is given in ASCII, and whole as RFC 8187 says', () => {
    expect(attachment('BWC_0042.MP4', 'id')).toBe(`attachment; filename="BWC_0042.MP4"; filename*=UTF-8''BWC_0042.MP4`)
    expect(attachment("Café (50%) l'été;a*b!.mp4", 'id')).toBe(
      `attachment; filename="Cafe (50_) l'ete_a_b!.mp4"; filename*=UTF-8''Caf%C3%A9%20%2850%25%29%20l%27%C3%A9t%C3%A9%3Ba_b%21.mp4`,
    )
    expect(attachment('録画.mp4', 'id')).toBe(`attachment; filename="id.mp4"; filename*=UTF-8''%E9%8C%B2%E7%94%BB.mp4`)
    expect(attachment('㏂＂℀.mp4', 'id')).toContain('filename="a.m._a_c.mp4";')
    expect(attachment('録画', '019ab0c4')).toBe(`attachment; filename="019ab0c4"; filename*=UTF-8''%E9%8C%B2%E7%94%BB`)
  })

  test('never breaks out of its header, whatever the file is called', () => {
    const unit = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('"', '\\', '\r\n', ';', '%', "'", '../', '\u202E', '\ud800', '.'),
    )
    fc.assert(
      fc.property(fc.array(unit), (pieces) => {
        const value = attachment(pieces.join(''), 'id')
        expect(value).toMatch(/^attachment; filename="[^"\\%;\r\n/]+"; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]+$/)
        expect(value).toMatch(/^[ -~]+$/)
      }),
    )
  })
})

describe('an address', () => {
  test('cannot be guessed, and does not repeat', () => {
    const tokens = Array.from({ length: 100 }, newToken)
    expect(new Set(tokens).size).toBe(100)
    for (const token of tokens) expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
  })

  test('is known by its digest alone, and only as it was written', () => {
    expect(tokenDigest('a')).toHaveLength(32)
    // The last letter of 43 carries two bits that say nothing: the text counts, not what it decodes to.
    expect(tokenDigest(`${'A'.repeat(42)}A`)).not.toEqual(tokenDigest(`${'A'.repeat(42)}B`))
  })
})

test('footage can be downloaded from its verification until it is hidden', () => {
  const answers = Object.fromEntries(statuses.map((status) => [status, whyNot(status)?.code ?? 'yes']))
  expect(answers).toEqual({
    received: 'not-ready',
    verified: 'yes',
    active: 'yes',
    quarantined: 'quarantined',
    due: 'yes',
    grace: 'conflict',
    erased: 'erased',
  })
  expect(whyNot('received')?.retryAfter).toBeGreaterThan(0)
})
