import { describe, expect, test } from 'vitest'
import { layOut } from '../../src/clips/assemble.ts'
import { whyNoRange } from '../../src/clips/clip.ts'
import { digestWork, listedIn, pictureWork, proofWork, type Source, soundWork } from '../../src/clips/commands.ts'
import { copiedParts, copyOf, whyNotCopied, whyNotPlain } from '../../src/clips/copying.ts'
import { excerptOf, type Sample } from '../../src/clips/excerpt.ts'
import { avcC, parameterSetsOf, pictureIds, sequenceFacts, unitsOf } from '../../src/clips/h264.ts'
import { boxesOf, type Movie, type MovieTrack, movieOf, NoIndex } from '../../src/clips/movie.ts'
import { headOf, upright, type WrittenTrack } from '../../src/clips/writing.ts'
import { type FfmpegWork, recordedWords } from '../../src/engines/ffmpeg-arguments.ts'

const source: Source = { folder: '/scratch', path: '/scratch/excerpt.mp4', demuxer: 'mov' }
const words = (work: FfmpegWork) => recordedWords(work, { maxPixels: 1000, maxStreams: 16 }).join(' ')
const rules = '-protocol_whitelist file -max_streams 16 -max_pixels 1000 -enable_drefs 0 -f mov -i file:excerpt.mp4'
const begin = '-nostdin -hide_banner -y -v error -nostats -copyts'
const clean = '-map_metadata -1 -map_chapters -1 -dn -sn'

describe('a range', () => {
  test.for([
    [0, 1, null, undefined],
    [0, 10, 10, undefined],
    [0, 10.05, 10, undefined],
    [0, 10.2, 10, 'clip-outside-recording'],
    [10, 11, 10, 'clip-outside-recording'],
    [1, 1, null, 'bad-request'],
    [2, 1, null, 'bad-request'],
    [1, 1 + 1e-7, 10, 'bad-request'],
    [Number.NaN, 1, 10, 'bad-request'],
    [1, Number.NaN, 10, 'bad-request'],
  ] as const)('from %d to %d of %d seconds: %s', ([start, end, known, code]) => {
    expect(whyNoRange({ start, end }, known)?.code).toBe(code)
  })
})

describe("ffmpeg's words", () => {
  const timeBase = { num: 1, den: 12_800 }
  const ticks = { from: 1024, to: 5121 }

  test('for frames that are encoded so that copied ones can follow', () => {
    const style = { profile: 'main', pixels: 'yuv420p', reorders: 2, references: 4, setId: 3 }
    const work = pictureWork(source, 'head.mp4', { ticks, timeBase, seek: 1.5, interlaced: false, style })
    expect(words(work)).toBe(
      `${begin} -noautorotate -seek_timestamp 1 -noaccurate_seek -ss 1.500000 ${rules} -map 0:v:0 -an ${clean} ` +
        '-vf trim=start_pts=1024:end_pts=5121,setpts=PTS-(1024) -fps_mode passthrough -enc_time_base 1:12800 ' +
        '-c:v libx264 -preset veryfast -crf 18 -g 250 -flags:v +bitexact -profile:v main -pix_fmt yuv420p -bf 3 -refs 4 ' +
        '-x264-params sps-id=3:b-pyramid=normal:scenecut=0 -video_track_timescale 12800 -fflags +bitexact -f mp4 file:head.mp4',
    )
  })

  test('for frames that are all encoded anew, whole and upright', () => {
    const work = pictureWork(source, 'whole.mp4', { ticks, timeBase, seek: null, interlaced: false, style: null })
    expect(words(work)).toBe(
      `${begin} ${rules} -map 0:v:0 -an ${clean} -vf trim=start_pts=1024:end_pts=5121,setpts=PTS-(1024),` +
        "pad='ceil(iw/2)*2':'ceil(ih/2)*2',format=yuv420p -fps_mode passthrough -enc_time_base 1:12800 " +
        '-c:v libx264 -preset veryfast -crf 18 -g 250 -flags:v +bitexact -profile:v high ' +
        '-video_track_timescale 12800 -fflags +bitexact -f mp4 file:whole.mp4',
    )
    const fields = pictureWork(source, 'whole.mp4', { ticks, timeBase, seek: null, interlaced: true, style: null })
    expect(words(fields)).toContain('+ilme+ildct')
  })

  test('for sound, to the sample, at a rate that AAC knows', () => {
    const sound = (rate: number, channels: number) =>
      words(soundWork(source, 'sound.mp4', { from: 1.25, to: 3.5, rate, channels }, null))
    expect(sound(44_100, 1)).toBe(
      `${begin} ${rules} -map 0:a:0 -vn ${clean} -af atrim=start=1.250000:end=3.500000,asetpts=PTS-(1.250000)/TB,` +
        'aresample=44100:async=1:first_pts=0,atrim=end=2.250000 -ac 1 -c:a aac -b:a 80k -flags:a +bitexact ' +
        '-fflags +bitexact -f mp4 file:sound.mp4',
    )
    expect(sound(7999, 6)).toMatch(/aresample=48000.* -ac 2 -c:a aac -b:a 128k/)
  })

  test('for the proof stop at the first error, and list frames, compared frames and packets', () => {
    const names = { frames: 'frames.txt', compared: 'compared.txt', packets: 'packets.txt' }
    const all = words(proofWork(source, names, [{ from: 0, to: 513 }], true))
    expect(all).toContain(
      "-xerror -copyts -noautorotate -filter_complex [0:v:0]split[a][b];[a]crop=16:16:0:0[all];[b]select='between(pts,0,512)'[some]",
    )
    expect(all).toContain('-map 0:v:0 -c copy -f framehash -hash sha256 file:packets.txt -map 0:a:0 -f null -')
    expect(words(proofWork(source, names, [], false))).not.toContain('compared')
    expect(words(digestWork(source, 'original-0.txt', ticks, 2))).toContain('-ss 2.000000')
  })

  test('and what it lists is read', () => {
    const text = '#format: frame checksums\n#tb 0: 1/25\n0,          0,          1,        1,     384, 0a0b\n'
    expect(listedIn(text)).toEqual([{ pts: 1, hash: '0a0b' }])
  })
})

/** Samples of a track with a frame every 10 ticks, in the order of decoding given by when they are shown. */
const shownAs = (order: number[], keys: number[]): Sample[] =>
  order.map((frame, at) => ({ offset: at * 100, size: 100, dts: at * 10, pts: frame * 10, sync: keys.includes(at) }))
const tens = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => (from + n) * 10)

describe('of a range is copied', () => {
  const always = (): boolean => true
  test.for([
    ['all of it, without B-frames, up to its very end', [0, 1, 2, 3, 4, 5, 6, 7], [0, 4], [0, 7], [0, 7, 0, 0]],
    ['what follows the first key frame', [0, 1, 2, 3, 4, 5, 6, 7], [0, 4], [2, 8], [4, 8, 2, 0]],
    ['whole small groups, with B-frames', [0, 3, 1, 2, 4, 7, 5, 6], [0, 4], [1, 8], [4, 8, 3, 0]],
    ['up to where what is decoded is what is shown', [0, 3, 1, 2, 6, 4, 5], [0], [0, 6], [0, 4, 0, 2]],
    ['one frame, where the next is decoded for one after the end', [0, 3, 1, 2], [0], [0, 3], [0, 1, 0, 2]],
  ] as const)('%s', ([, order, keys, [from, to], [first, end, before, after]]) => {
    const copy = copyOf(shownAs([...order], [...keys]), tens(from, to), always)
    expect(copy).toEqual({ from: first, to: end, before, after })
  })

  test.for([
    ['no key frame lies within it', [0, 1, 2, 3, 4, 5], [0], [2, 5], always],
    ['no key frame stands by itself', [0, 1, 2, 3, 4, 5], [0, 3], [2, 5], (): boolean => false],
    ['frames before a key frame need those before it (open groups)', [0, 1, 2, 5, 3, 4], [0, 3], [1, 5], always],
  ] as const)('nothing, where %s', ([, order, keys, [from, to], starts]) => {
    expect(() => copyOf(shownAs([...order], [...keys]), tens(from, to), starts)).toThrow()
  })

  test('nothing, where two frames begin at one moment', () => {
    expect(() => copyOf(shownAs([0, 1, 1, 2], [0]), [0, 10, 10, 20], always)).toThrow('at one moment')
  })
})

describe('H.264', () => {
  const sps = Buffer.from('674d401feca02802dd8088000003000800000301e078c18cb0', 'hex')
  const pps = Buffer.from('68ebe3cb20', 'hex')
  const sets = {
    ...{ profile: 77, compatibility: 64, level: 31, lengthSize: 4, sps: [sps], pps: [pps], extension: Buffer.alloc(0) },
  }
  const unit = (...bytes: number[]) => Buffer.from([0, 0, 0, bytes.length, ...bytes])
  const ofUser = unit(6, 5, 18, ...Array.from({ length: 16 }, () => 7), 80, 67, 128)
  const ofX264 = unit(6, 5, 16, ...Buffer.from('dc45e9bde6d948b7962cd820d923eeef', 'hex'), 128)

  test('its parameter sets are read and written back', () => {
    expect(parameterSetsOf(avcC(sets))).toEqual(sets)
    expect(sequenceFacts(sps)).toEqual({ id: 0, profile: 77, fullFrames: true, plainColours: true, references: 4 })
    expect(pictureIds(pps)).toEqual({ id: 0, sequence: 0 })
    expect(whyNotPlain(sets)).toBeUndefined()
  })

  test.for([
    ['more than one sequence', { sps: [sps, sps] }],
    ['no parameters', { pps: [] }],
    ['ambiguous parameters', { pps: [pps, pps] }],
    ['lengths of two bytes', { lengthSize: 2 }],
    ['another profile', { sps: [Buffer.concat([Buffer.from([0x67, 110]), sps.subarray(2)])] }],
  ] as const)('with %s is not copied', ([, over]) => {
    expect(
      whyNotPlain({
        ...sets,
        ...over,
        sps: [...('sps' in over ? over.sps : sets.sps)],
        pps: [...('pps' in over ? over.pps : sets.pps)],
      }),
    ).toBeDefined()
  })

  test('parameters that change on the way, and units that nobody expects, keep it from being copied', () => {
    const sample = (...units: Buffer[]) => unitsOf(Buffer.concat(units), 4)
    expect(whyNotCopied(sample(unit(...sps), unit(...pps), unit(0x65, 1)), sets)).toBeUndefined()
    expect(whyNotCopied(sample(unit(...pps, 0), unit(0x65, 1)), sets)).toContain('change')
    expect(whyNotCopied(sample(unit(0x62, 1)), sets)).toContain('type 2')
    expect(() => sample(Buffer.from([0, 0, 0, 9, 1]))).toThrow('cut short')
    expect(() => sample(Buffer.from([0, 0, 0, 0, 1]))).toThrow('cut short')
  })

  const isKept = (...bytes: number[]) => copiedParts(unitsOf(unit(...bytes), 4)).length === 1

  test('what somebody wrote beside the picture is left out, also what an encoder wrote of itself', () => {
    const recovery = unit(6, 6, 1, 0x84, 0x80)
    const bytes = Buffer.concat([recovery, ofX264, ofUser, unit(0x65, 1, 2)])
    expect(copiedParts(unitsOf(bytes, 4))).toEqual([
      { start: 0, end: recovery.length },
      { start: recovery.length + ofX264.length + ofUser.length, end: bytes.length },
    ])
  })

  test.for([
    ['filler', [12]],
    ['a delimiter', [9, 0xf0]],
    ['the end of a sequence', [10]],
    ['the end of the stream', [11]],
    ['buffering', [6, 0, 29]],
    ['timing', [6, 1, 29]],
    ['recovery', [6, 6, 29]],
    ['orientation', [6, 47, 29]],
    ['the depth of a display', [6, 137, 29]],
    ['colours', [6, 147, 29]],
  ] as const)('what stands in %s is left out', ([, before]) => {
    const units = unitsOf(unit(...before, ...Buffer.from('collar PC1234 51.5033,-0.1276'), 0x80), 4)
    expect(whyNotCopied(units, sets)).toBeUndefined()
    expect(copiedParts(units)).toEqual([])
  })

  test('it is found behind what a player needs, and left out wherever it cannot be read to its end', () => {
    // Recovery, whose zeros an emulation prevention byte (00 00 03) breaks, and then the data in the same unit.
    const recovery = [0x06, 4, 0, 0, 3, 1, 9]
    const user = [0x05, 18, ...Buffer.alloc(16, 7), 0x50, 0x43]
    expect(isKept(6, ...recovery, 0x80)).toBe(true)
    expect(isKept(6, ...recovery, ...recovery, 0x80)).toBe(true)
    expect(isKept(6, ...recovery, ...user, 0x80)).toBe(false)
    expect(isKept(6, ...recovery, 0x04, 1, 9, 0x80)).toBe(false)
    // Longer than it is, without an end, of a kind that nobody knows, and a length of many bytes.
    expect(isKept(6, 0x06, 40, 1, 2, 0x80)).toBe(false)
    expect(isKept(6, ...recovery)).toBe(false)
    expect(isKept(6, 200, 1, 9, 0x80)).toBe(false)
    expect(isKept(6, 0x06, 255, 255, 3, 9, 0x80)).toBe(false)
  })
})

const entry = Buffer.concat([Buffer.from([0, 0, 0, 16]), Buffer.from('avc1'), Buffer.alloc(8)])
const written = (over: Partial<WrittenTrack> = {}): WrittenTrack => ({
  ...{ kind: 'vide', timeScale: 1000, entry, width: 320, height: 180, matrix: upright },
  ...{ sizes: [10, 20, 30], durations: [40, 40, 40], shifts: [0, 40, -40], sync: [true, false, false] },
  ...{
    shown: null,
    chunks: [
      { offset: 0, samples: 2 },
      { offset: 30, samples: 1 },
    ],
  },
  ...over,
})
const readAgain = (...tracks: WrittenTrack[]): { movie: Movie; dataStart: number } => {
  const head = headOf(tracks, 60)
  // The data's own box ends behind the head.
  const boxes = boxesOf(Buffer.concat([head, Buffer.alloc(60)]), 0, head.length + 60)
  const moov = boxes.find(({ type }) => type === 'moov')
  if (moov === undefined) throw new Error('no moov was written')
  expect(boxes.map(({ type }) => type)).toEqual(['ftyp', 'moov', 'mdat'])
  return { movie: movieOf(head.subarray(moov.start, moov.end)), dataStart: head.length }
}

describe('an MP4 file', () => {
  test('that was written is read as it was meant', () => {
    const { movie, dataStart } = readAgain(written({ shown: { from: 40, ticks: 80 } }))
    const [track] = movie.tracks
    expect(movie).toMatchObject({ timeScale: 1000, fragmented: false })
    expect(track).toMatchObject({ kind: 'vide', format: 'avc1', timeScale: 1000, width: 320, height: 180 })
    expect(track?.edits).toEqual([{ duration: 80, mediaTime: 40, rate: 1 }])
    const { offset, size, dts, pts, sync } = track?.samples ?? readAgain().movie.tracks[0]?.samples ?? expect.fail()
    expect([...offset]).toEqual([0, 10, 30].map((at) => dataStart + at))
    expect([[...size], [...dts], [...pts], [...sync]]).toEqual([
      [10, 20, 30],
      [0, 40, 80],
      [0, 80, 40],
      [1, 0, 0],
    ])
  })

  test('whose index is cut short, or claims more than it has, has none', () => {
    const head = headOf([written()], 60)
    const moov = boxesOf(Buffer.concat([head, Buffer.alloc(60)]), 0, head.length + 60)[1]
    const whole = Buffer.from(head.subarray(moov?.start, moov?.end))
    for (let length = 0; length < whole.length; length += 7)
      expect(() => movieOf(whole.subarray(0, length)), String(length)).toThrow(NoIndex)
    for (const type of ['stts', 'stsz', 'stsc', 'co64', 'stss', 'ctts']) {
      const lying = Buffer.from(whole)
      const at = lying.indexOf(type) + (type === 'stsz' ? 12 : 8)
      lying.writeUInt32BE(0xffff_ffff, at)
      expect(() => movieOf(lying), type).toThrow(NoIndex)
    }
  })

  test('of a clip shows its frames from zero on, whatever their order, and its sound beside them', () => {
    const parts = (start: number) => [{ start, end: start + 10 }]
    const frames = [0, 3, 1, 2].map((pts, at) => ({ path: '/a', parts: parts(at * 10), pts: pts * 40, sync: at === 0 }))
    const picture = { timeScale: 1000, entry, width: 320, height: 180, matrix: upright, samples: frames, end: 150 }
    const sound = {
      ...{ timeScale: 8000, entry, from: 1024 },
      samples: [0, 1].map((at) => ({ path: '/b', parts: parts(at * 10), duration: 1024 })),
    }
    const { head, bytes, data } = layOut(picture, sound)
    expect([bytes, data.length]).toEqual([60, 6])
    const moov = boxesOf(Buffer.concat([head, Buffer.alloc(60)]), 0, head.length + 60)[1]
    const [video, audio] = movieOf(head.subarray(moov?.start, moov?.end)).tracks
    const [edit] = video?.edits ?? []
    expect([...(video?.samples.pts ?? [])].map((pts) => pts - (edit?.mediaTime ?? 0))).toEqual([0, 120, 40, 80])
    expect(edit?.duration).toBe(150)
    expect([...(video?.samples.dts ?? [])].every((dts, at) => dts <= (video?.samples.pts[at] ?? 0))).toBe(true)
    expect(audio?.edits).toEqual([{ duration: 128, mediaTime: 1024, rate: 1 }])
  })
})

describe('of a file is read', () => {
  const track = (over: Partial<MovieTrack> = {}): MovieTrack => {
    const order = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    const samples = {
      ...{ count: 10, offset: Float64Array.from(order, (n) => n * 1_000_000), size: new Uint32Array(10).fill(1000) },
      ...{ dts: Float64Array.from(order, (n) => n * 100), pts: Float64Array.from(order, (n) => n * 100) },
      ...{ sync: Uint8Array.from(order, (n) => Number(n % 4 === 0)), end: 1000 },
    }
    const head = { kind: 'vide', timeScale: 1000, edits: [], matrix: upright, width: 320, height: 180 }
    return { ...head, entry, format: 'avc1', samples, ...over }
  }
  const movie = (...tracks: MovieTrack[]): Movie => ({ timeScale: 1000, fragmented: false, tracks })
  const size = 10_000_000

  test('what lies between the key frame before the range and its last frame', () => {
    const excerpt = excerptOf(movie(track()), size, { start: 0.55, end: 0.8 })
    expect(excerpt).toMatchObject({ first: 0, wanted: [600, 700], after: 800, audio: null, bytes: 4000 })
    expect(excerpt?.stretches.map(({ first }) => first)).toEqual([4, 5, 6, 7].map((n) => n * 1_000_000))
    expect(excerpt?.video.samples.map(({ offset, pts }) => [offset, pts])).toEqual([
      [0, 400],
      [1000, 500],
      [2000, 600],
      [3000, 700],
    ])
  })

  test('nothing, where no frame begins within the range', () => {
    expect(excerptOf(movie(track()), size, { start: 0.51, end: 0.59 })).toBeNull()
    expect(excerptOf(movie(track()), size, { start: 1, end: 2 })).toBeNull()
  })

  test('the sound around the range, wherever its clock begins', () => {
    const sound = track({ kind: 'soun', format: 'mp4a', edits: [{ duration: 900, mediaTime: 100, rate: 1 }] })
    const excerpt = excerptOf(movie(track(), sound), size, { start: 0.5, end: 0.6 })
    expect(excerpt?.soundZero).toBeCloseTo(0.1)
    expect(excerpt?.audio?.samples.map(({ pts }) => pts)).toEqual([300, 400, 500, 600, 700, 800])
  })

  test.for<[string, Movie]>([
    ['it is in fragments', { ...movie(track()), fragmented: true }],
    ['an edit list hides frames', movie(track({ edits: [{ duration: 500, mediaTime: 200, rate: 1 }] }))],
    ['an edit list cuts its end off', movie(track({ edits: [{ duration: 500, mediaTime: 0, rate: 1 }] }))],
    ['an edit list plays it at another speed', movie(track({ edits: [{ duration: 1000, mediaTime: 0, rate: 2 }] }))],
    [
      'there are several edits',
      movie(track({ edits: [0, 500].map((at) => ({ duration: 500, mediaTime: at, rate: 1 })) })),
    ],
    ['its format is not known', movie(track({ format: 'SVQ3' }))],
    ['its sound is of another kind', movie(track(), track({ kind: 'soun', format: 'ima4' }))],
    ['there is no picture', movie(track({ kind: 'soun', format: 'mp4a' }))],
  ])('all, where %s', ([, odd]) => {
    expect(() => excerptOf(odd, size, { start: 0.5, end: 0.6 })).toThrow(NoIndex)
  })

  test('no byte that the file does not have', () => {
    expect(() => excerptOf(movie(track()), 5_000_500, { start: 0.5, end: 0.6 })).toThrow(NoIndex)
  })
})
