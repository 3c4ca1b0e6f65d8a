import { expect, test } from 'vitest'
import { firstSilence, silenceRules, silenceWork, startsSilent } from '../../src/custody/examination/silence.ts'

test('only the first audio track is decoded, for as long as is listened, and nothing is kept', () => {
  const work = silenceWork('/s', { path: '/s/original', demuxer: 'mov' }, silenceRules)
  expect(work).toEqual({
    folder: '/s',
    inputs: [{ path: '/s/original', demuxer: 'mov', options: ['-t', '120'] }],
    outputs: [
      {
        path: null,
        options: [
          ...['-map', '0:a:0', '-vn', '-sn', '-dn', '-af'],
          'silencedetect=noise=-70dB:d=0.5,ametadata=mode=print:key=lavfi.silence_start:file=-,' +
            'ametadata=mode=print:key=lavfi.silence_end:file=-',
        ],
      },
    ],
  })
})

test.for<[string, { start: number; end: number | null } | null]>([
  ['', null],
  ['frame:23 pts:23552 pts_time:0.49\nlavfi.silence_start=0\n', { start: 0, end: null }],
  ['lavfi.silence_start=0\nframe:9\nlavfi.silence_end=30.0129\nlavfi.silence_start=50\n', { start: 0, end: 30.0129 }],
  ['lavfi.silence_start=-0.02\nlavfi.silence_end=6\n', { start: -0.02, end: 6 }],
  ['title=lavfi.silence_start=0\n', null],
])('of "%s" the first silence is known', ([printed, silence]) => {
  expect(firstSilence(printed)).toEqual(silence)
})

test.for<[string, { start: number; end: number | null } | null, number, number, boolean]>([
  ['thirty seconds of silence before sound', { start: 0, end: 30 }, 0, 60, true],
  ['exactly the least that counts', { start: 0, end: 5 }, 0, 60, true],
  ['a little less than that', { start: 0, end: 4.9 }, 0, 60, false],
  ['sound from the start, and silence later', { start: 20, end: 40 }, 0, 60, false],
  ['no silence at all', null, 0, 60, false],
  ['a track that begins late', null, 30, 60, true],
  ['a track that begins late, with silence', { start: 3, end: 6 }, 3, 60, true],
  ['silence to the end of a short file', { start: 0, end: null }, 0, 60, false],
  ['silence as long as was listened to, and more to come', { start: 0, end: null }, 0, 600, true],
  ['a silence that ends where the file does', { start: 0, end: 59.9 }, 0, 60, false],
])('%s', ([, silence, audioStart, duration, silent]) => {
  expect(startsSilent(silence, audioStart, duration, silenceRules)).toBe(silent)
})
