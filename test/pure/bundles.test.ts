import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { csvOf } from '../../src/base/csv.ts'
import { type CaseId, type ExhibitId, newId } from '../../src/base/ids.ts'
import { largestBundle, partSizeOf, type Wanted, whyNotDisclosed } from '../../src/bundles/bundle.ts'
import { namedAs, safeNames } from '../../src/bundles/names.ts'
import { playsInBrowsers } from '../../src/bundles/playing.ts'
import { clockInWords, lasting } from '../../src/bundles/wording.ts'
import { printable } from '../../src/continuity/drawing.ts'

const one = (text: string) => safeNames([text], 'media')[0]

describe('a safe name', () => {
  test.for([
    ['AB/1', 'AB_1'],
    ['BWC_0417.MP4', 'BWC_0417.MP4'],
    ['../../etc/passwd', 'etc_passwd'],
    ['C:\\Windows\\system32', 'C_Windows_system32'],
    ['CON', '_CON'],
    ['con.mp4', '_con.mp4'],
    ['LPT9.tar.gz', '_LPT9.tar.gz'],
    ['COM¹', '_COM1'],
    ['console.mp4', 'console.mp4'],
    ['-rf', 'rf'],
    ['.hidden', 'hidden'],
    ['ends with dots...', 'ends_with_dots'],
    ['a..b', 'a.b'],
    ['line\nbreak\u0000.mp4', 'line_break_.mp4'],
    ['Émile Żółć.mp4', 'Emile_Zo_c.mp4'],
    ['100%.mp4', '100_.mp4'],
    ['\u202Egnp.exe', 'gnp.exe'],
    ['видео', 'media'],
    ['\u{1F6A8}', 'media'],
    ['...', 'media'],
    ['', 'media'],
    ['\ud800', 'media'],
  ])('of %j is %s', ([text = '', expected]) => {
    expect(one(text)).toBe(expected)
  })

  test('of 300 bytes has 100 at most, and keeps its ending', () => {
    expect(one(`${'x'.repeat(300)}.mp4`)).toBe(`${'x'.repeat(96)}.mp4`)
    expect(one('é'.repeat(300))).toBe('e'.repeat(100))
  })

  test('is given once: two that collide are told apart, also where capitals do not count', () => {
    expect(safeNames(['AB/1', 'AB_1', 'ab 1', 'AB/1'], 'x')).toEqual(['AB_1', 'AB_1-2', 'ab_1-3', 'AB_1-4'])
    expect(safeNames(['видео.mp4', 'аудио.mp4'], 'x')).toEqual(['mp4', 'mp4-2'])
    expect(safeNames(['Provenance.json'], 'x', ['provenance.json'])).toEqual(['Provenance-2.json'])
    const long = `${'x'.repeat(300)}.mp4`
    expect(safeNames([long, long], 'x')[1]).toBe(`${'x'.repeat(94)}-2.mp4`)
  })

  test('is one whatever is given: safe, its own, and the same each time', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 130 }), { maxLength: 8 }), (texts) => {
        const names = safeNames(texts, 'media')
        const isSafe = (name: string) =>
          /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(name) &&
          !/\.$|\.\.|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(name)
        expect(names.filter((name) => !isSafe(name))).toEqual([])
        expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(texts.length)
        expect(names).toEqual(safeNames(texts, 'media'))
      }),
    )
  }, 30_000)

  test.for([
    ['BWC.MP4', 'video/mp4', 'BWC.MP4'],
    ['BWC.m4v', 'video/mp4', 'BWC.m4v'],
    ['video.exe', 'video/mp4', 'video_exe.mp4'],
    ['video.mp4.html', 'video/mp4', 'video_mp4_html.mp4'],
    ['video', 'video/x-msvideo', 'video.avi'],
    ['unknown.mp4', null, 'unknown_mp4.bin'],
    ['page.html', 'text/html', 'page_html.bin'],
  ])('of media says what it is: %s of %s is %s', ([name, type, expected]) => {
    expect(namedAs(name ?? '', type ?? null)).toBe(expected)
  })
})

describe('a table of comma-separated values', () => {
  test('quotes what has to be quoted, in lines that end with CR LF', () => {
    expect(
      csvOf([
        ['a', 1],
        ['x,y', 'say "no"'],
        ['two\nlines', ' spaced'],
      ]),
    ).toBe('\ufeffa,1\r\n"x,y","say ""no"""\r\n"two\nlines"," spaced"\r\n')
  })

  test.for(['=1+1', '+44', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '＝1', '=HYPERLINK("http://x","y")'])(
    'holds no formula: %j is text',
    (text) => {
      const field = csvOf([[text]])
        .slice(1)
        .trim()
        .replace(/^"|"$/g, '')
      expect(field).toMatch(/^'/)
    },
  )
})

describe('what is printed', () => {
  test('is what the standard fonts have, and a code point for what they have not', () => {
    expect(printable('Café “Łódź” – £5 €')).toBe('Café “[U+0141]ód[U+017A]” – £5 €')
    expect(printable('e\u0301\n\ttwo  lines')).toBe('é two lines')
    expect(printable('Жук \u{1F6A8}\u0007\u202e')).toBe('[U+0416][U+0443][U+043A] [U+1F6A8][U+0007][U+202E]')
  })

  test('tells times and clocks in words', () => {
    expect([lasting(3723.4), lasting(59.96), lasting(61), lasting(0.04)]).toEqual([
      '1 h 2 min 3.4 s',
      '1 min 0 s',
      '1 min 1 s',
      '0 s',
    ])
    expect([clockInWords(null), clockInWords(-3.2), clockInWords(90)]).toEqual([
      "nobody compared the camera's clock",
      "when it was docked, the camera's clock was 3.2 s behind",
      "when it was docked, the camera's clock was 90 s ahead",
    ])
  })
})

const exhibit = (reference: string, over: Partial<Wanted> = {}): Wanted => ({
  exhibit: newId<ExhibitId>(),
  case: newId<CaseId>(),
  reference,
  sensitivity: 'none',
  withdrawnAt: null,
  recording: 'R',
  status: 'active',
  clip: null,
  givenUp: false,
  ...over,
})
const clip = (start: number, end: number) => ({ clip: { state: 'ready' as const, range: { start, end } } })
const hidden = (over: Partial<Wanted>) => exhibit('S/1', { sensitivity: 'sensitive', ...over })

describe('an exhibit goes out', () => {
  test('where nothing stands against it', () => {
    expect(whyNotDisclosed([exhibit('AB/1'), exhibit('AB/2', clip(1, 2))], [], true)).toBeUndefined()
  })

  test.for<[string, Partial<Wanted>, string]>([
    ['is sensitive', { sensitivity: 'sensitive' }, 'exhibit-sensitive'],
    ['was withdrawn', { withdrawnAt: new Date() }, 'conflict'],
    ['is not examined yet', { status: 'verified' }, 'not-ready'],
    ['is not examined any more', { status: 'verified', givenUp: true }, 'conflict'],
    ['is not taken into custody any more', { status: 'received', givenUp: true }, 'conflict'],
    ['is in quarantine', { status: 'quarantined' }, 'quarantined'],
    ['waits for its erasure', { status: 'grace' }, 'conflict'],
    ['is due', { status: 'due' }, 'conflict'],
    ['was erased', { status: 'erased' }, 'erased'],
    ['is a clip that is being cut', { clip: { state: 'working', range: { start: 0, end: 1 } } }, 'not-ready'],
    ['is a clip that failed', { clip: { state: 'failed', range: { start: 0, end: 1 } } }, 'conflict'],
  ])('not where it %s, and is named', ([, over, code]) => {
    const problem = whyNotDisclosed([exhibit('AB/1'), exhibit('AB/2', over)], [], false)
    expect(problem).toMatchObject({ code, message: expect.stringContaining('AB/2') })
  })

  test.for<[string, Partial<Wanted>, Partial<Wanted>, boolean, boolean]>([
    ['a whole recording that is sensitive as another exhibit', {}, {}, false, true],
    ['a whole recording of which a clip is sensitive', {}, clip(10, 20), false, true],
    ['a clip that overlaps a sensitive one', clip(15, 25), clip(10, 20), false, true],
    ['a clip that touches a sensitive one', clip(20, 25), clip(10, 20), false, false],
    ['a clip that somebody cut out of a sensitive recording', clip(1, 2), {}, false, false],
    ['the original of that clip', clip(1, 2), {}, true, true],
    ['the original of a clip elsewhere in it', clip(1, 2), clip(10, 20), true, true],
    ['another recording', {}, { recording: 'other' }, false, false],
  ])('but for what is sensitive inside it: %s', ([, wanted, sensitive, originals, refused]) => {
    const problem = whyNotDisclosed([exhibit('AB/1', wanted)], [hidden(sensitive)], originals)
    expect(problem?.code).toBe(refused ? 'exhibit-sensitive' : undefined)
    if (refused) expect(problem?.message).toMatch(/AB\/1.*S\/1/)
  })
})

test('parts stay within what one object may have, and in memory', () => {
  const gib = 1024 ** 3
  for (const media of [0, gib, 150 * gib, 200 * gib, largestBundle]) {
    const part = partSizeOf(media)
    expect((media + gib) / part).toBeLessThanOrEqual(10_000)
    expect([16, 32]).toContain(part / 1024 ** 2)
  }
})

test('a browser plays an MP4 with its index, H.264 and AAC in it, and nothing else for sure', () => {
  const video = { kind: 'video' as const, codec: 'h264', profile: 'High', width: 640, height: 360 }
  const sound = { kind: 'audio' as const, codec: 'aac', profile: 'LC' }
  const plays = (over: Partial<Parameters<typeof playsInBrowsers>[0]>) =>
    playsInBrowsers({ mediaType: 'video/mp4', flags: [], tracks: [video, sound], ...over })
  expect(plays({})).toBe(true)
  expect(plays({ tracks: [video] })).toBe(true)
  expect(plays({ flags: ['truncated'] })).toBe(false)
  expect(plays({ flags: ['unplayable'] })).toBe(false)
  expect(plays({ mediaType: 'video/quicktime' })).toBe(false)
  expect(plays({ tracks: [{ ...video, codec: 'hevc' }, sound] })).toBe(false)
  expect(plays({ tracks: [video, { ...sound, codec: 'pcm_s16le' }] })).toBe(false)
  expect(plays({ tracks: [] })).toBe(false)
})
