import { describe, expect, test } from 'vitest'
import { recordedWords } from '../../src/engines/ffmpeg-arguments.ts'
import type { Track } from '../../src/engines/tables.ts'
import {
  hlsWork,
  posterWork,
  proxyWork,
  sheetName,
  soundWork,
  storyboardInterval,
  storyboardWork,
} from '../../src/renditions/commands.ts'
import { isEnded, isWhole, piecesIn } from '../../src/renditions/pieces.ts'
import { isQuick, kindsOf, type Plan, planFor, roomFor } from '../../src/renditions/plan.ts'
import { box } from '../footage.ts'

const video = (more: Partial<Track> = {}): Track => ({
  kind: 'video',
  codec: 'h264',
  profile: 'High',
  width: 1920,
  height: 1080,
  ...more,
})
const audio = (more: Partial<Track> = {}): Track => ({ kind: 'audio', codec: 'aac', profile: 'LC', ...more })
const planOf = (...tracks: Track[]): Plan => {
  const plan = planFor({ tracks, flags: [] })
  if (plan === undefined) throw new Error('there is nothing to show')
  return plan
}

test('a disk has room for an original once and for some pieces, and never needs it twice', () => {
  const mib = 1024 * 1024
  expect([roomFor({ size: 20 * mib }, false), roomFor({ size: 20 * mib }, true)]).toEqual([40 * mib, 20 * mib])
  expect(roomFor({ size: 20_000 * mib }, false)).toBe(20_512 * mib)
  expect(roomFor({ size: 20_000 * mib }, true)).toBe(512 * mib)
})

describe("an original's own picture is kept", () => {
  test.for<[string, Track, boolean]>([
    ['H.264 High', video(), true],
    ['H.264 Constrained Baseline', video({ profile: 'Constrained Baseline' }), true],
    ['H.264 of ten bits', video({ profile: 'High 10' }), false],
    ['H.264 with full colour', video({ profile: 'High 4:4:4 Predictive' }), false],
    ['H.264 of no known profile', video({ profile: '' }), false],
    ['H.264 of odd size', video({ width: 1921 }), false],
    ['H.264 turned by its container', video({ rotation: 90 }), false],
    ['H.264 larger than tablets decode', video({ width: 7680, height: 4320 }), false],
    ['HEVC', video({ codec: 'hevc', profile: 'Main' }), false],
    ['AV1', video({ codec: 'av1', profile: 'Main' }), false],
    ['MJPEG', video({ codec: 'mjpeg' }), false],
  ])('%s: %#', ([, track, kept]) => {
    expect(planOf(track, audio()).copyVideo).toBe(kept)
    expect(isQuick(planOf(track, audio()))).toBe(kept)
  })
})

test.for<[string, Track, boolean]>([
  ['AAC LC', audio({ channels: 2, sampleRate: 48_000 }), true],
  ['HE-AAC', audio({ profile: 'HE-AAC' }), false],
  ['AAC of six channels', audio({ channels: 6 }), false],
  ['G.711', audio({ codec: 'pcm_alaw' }), false],
])("an original's own sound, %s, is kept: %#", ([, track, kept]) => expect(planOf(video(), track).copyAudio).toBe(kept))

test('what cannot be shown has no renditions, and sound alone only what is heard', () => {
  expect(planFor({ tracks: [video()], flags: ['unplayable'] })).toBeUndefined()
  expect(planFor({ tracks: [{ kind: 'data', codec: 'bin_data' }], flags: [] })).toBeUndefined()
  expect(kindsOf(planOf(audio()))).toEqual(['hls'])
})

test.for<[Track, string[]]>([
  [video(), ['hls', 'poster', 'storyboard', 'proxy']],
  [video({ width: 640, height: 480 }), ['hls', 'poster', 'storyboard']],
  [video({ codec: 'hevc' }), ['hls', 'poster', 'storyboard']],
])('a small form is made where the picture is larger than that and is not encoded anew: %#', ([track, kinds]) =>
  expect(kindsOf(planOf(track, audio()))).toEqual(kinds),
)

const source = { folder: '/scratch/x', path: '/scratch/x/original', demuxer: 'mov' }
const limits = { maxPixels: 1000, maxStreams: 16 }
const said = (work: Parameters<typeof recordedWords>[0]) => recordedWords(work, limits).join(' ')
const reading = '-protocol_whitelist file -max_streams 16 -max_pixels 1000 -enable_drefs 0 -f mov -i file:original'
const start = '-nostdin -hide_banner -y -v error -nostats'
const pieces =
  '-avoid_negative_ts disabled -f hls -hls_segment_type fmp4 -hls_time 6 -hls_playlist_type event -hls_flags independent_segments+temp_file -start_number 1 -hls_fmp4_init_filename init.mp4 -hls_segment_filename %05d.m4s file:index.m3u8'
const only = '-map_metadata -1 -map_chapters -1 -dn -sn'
const encoded = (filters: string, quality: number) =>
  `-c:v libx264 -preset veryfast -crf ${quality} -profile:v high -pix_fmt yuv420p -vf ${filters} -fps_mode vfr -force_key_frames expr:gte(t,n_forced*6)`
const square = "yadif=mode=send_frame:deint=interlaced,scale='trunc(iw*sar/2)*2':'trunc(ih/2)*2',setsar=1"
const sound = (rate: string) => `-c:a aac -b:a ${rate} -ac 2 -ar 48000 -af aresample=async=1000:first_pts=0`

test.for<[string, string, string]>([
  [
    'the original’s packets in pieces',
    said(hlsWork(source, planOf(video(), audio()), true)),
    `${start} ${reading} -map 0:V:0? -map 0:a:0? ${only} -c:v copy -c:a copy ${pieces}`,
  ],
  [
    'out of a transport stream',
    said(hlsWork({ ...source, demuxer: 'mpegts' }, planOf(video(), audio()), true)),
    `${start} ${reading.replace('-enable_drefs 0 -f mov', '-f mpegts')} -map 0:V:0? -map 0:a:0? ${only} -c:v copy -c:a copy -bsf:a aac_adtstoasc ${pieces}`,
  ],
  [
    'with sound that browsers do not play',
    said(hlsWork(source, planOf(video(), audio({ codec: 'pcm_alaw' })), true)),
    `${start} ${reading} -map 0:V:0? -map 0:a:0? ${only} -c:v copy ${sound('128k')} ${pieces}`,
  ],
  [
    'sound by itself, where it does not last as long as the picture',
    said(
      soundWork(source, { ...planOf(video(), audio()), soundTo: 9.5 }, 'proxy') ?? proxyWork(source, planOf(audio())),
    ),
    `${start} -dts_delta_threshold 86400 ${reading} -map 0:a:0 -vn ${only} ${sound('96k')},apad=whole_dur=9.500 -f mp4 file:sound.mp4`,
  ],
  [
    'with the sound that was made so',
    said(hlsWork(source, { ...planOf(video(), audio()), soundTo: 9.5 }, true)),
    `${start} ${reading} ${reading.replace('original', 'sound.mp4')} -map 0:V:0 -map 1:a:0 ${only} -c:v copy -c:a copy ${pieces}`,
  ],
  [
    'without sound',
    said(hlsWork(source, planOf(video()), true)),
    `${start} ${reading} -map 0:V:0? -map 0:a:0? ${only} -c:v copy -an ${pieces}`,
  ],
  [
    'sound alone',
    said(hlsWork(source, planOf(audio()), true)),
    `${start} ${reading} -map 0:V:0? -map 0:a:0? ${only} -vn -c:a copy ${pieces}`,
  ],
  [
    'encoded anew',
    said(hlsWork(source, planOf(video({ codec: 'hevc' }), audio()), false)),
    `${start} ${reading} -map 0:V:0? -map 0:a:0? ${only} ${encoded(square, 21)} ${sound('128k')} ${pieces}`,
  ],
  [
    'small',
    said(proxyWork(source, planOf(video(), audio()))),
    `${start} ${reading} -map 0:V:0? -map 0:a:0? ${only} ${encoded(`${square},scale=-2:'min(480,ih)'`, 26)} ${sound('96k')} ${pieces}`,
  ],
])('ffmpeg is told to make it: %s', ([, words, expected]) => expect(words).toBe(expected))

test('one picture is taken from a moment, and sheets of pictures out of key frames alone', () => {
  expect(said(posterWork(source, 2.5))).toContain('-ss 2.500 -protocol_whitelist file')
  expect(said(posterWork(source, 0))).not.toContain('-ss')
  expect(said(storyboardWork(source, 2))).toContain('-skip_frame nokey -protocol_whitelist file')
  expect(said(storyboardWork(source, 2))).toContain('fps=1/2:')
  expect([sheetName(0), sheetName(12)]).toEqual(['sheet-000.jpg', 'sheet-012.jpg'])
})

test.for([
  [0, 2],
  [60, 2],
  [801, 3],
  [43_200, 108],
] as const)('a storyboard of %d seconds has a picture each %d', ([duration, interval]) =>
  expect(storyboardInterval(duration)).toBe(interval),
)

test('of a playlist only pieces with names of ours are read', () => {
  const playlist = [
    ...['#EXTM3U', '#EXT-X-MAP:URI="init.mp4"', '#EXTINF:6.000000,', '00001.m4s', '#EXTINF:1.5,', '00002.m4s'],
    ...['#EXTINF:9.0,', '../../etc/passwd', '#EXTINF:9.0,', 'file:/etc/passwd', '#EXT-X-ENDLIST', ''],
  ].join('\n')
  expect(piecesIn(playlist)).toEqual([
    { name: '00001.m4s', duration: 6 },
    { name: '00002.m4s', duration: 1.5 },
  ])
  expect(piecesIn('')).toEqual([])
})

test('a piece that was cut off anywhere is told from a whole one, and so is a playlist', async () => {
  const index = Buffer.concat([box('styp', Buffer.alloc(16)), box('moof', Buffer.alloc(40))])
  const piece = Buffer.concat([index, box('mdat', Buffer.alloc(200, 7))])
  expect(await isWhole(piece)).toBe(true)
  // Its first 24 bytes alone are what ffmpeg writes where there is nothing to write.
  for (let length = 0; length < piece.length; length++)
    expect([length, await isWhole(piece.subarray(0, length))]).toEqual([length, length === 24])
  expect(await isWhole(Buffer.concat([piece, Buffer.alloc(4096)]))).toBe(false)
  expect(isEnded('#EXTM3U\n#EXTINF:6.0,\n00001.m4s\n#EXT-X-ENDLIST\n')).toBe(true)
  expect(isEnded('#EXTM3U\n#EXTINF:6.0,\n00001.m4s\n#EXT-X-END')).toBe(false)
})
