import { expect, test } from 'vitest'
import { readAnswer, readCounts, readPackets, secondsOf, tracksOf } from '../../src/custody/examination/tracks.ts'

const answer = (stream: object, format: object = {}) => ({ streams: [{ index: 0, ...stream }], format })

test('a picture is described by its codec, size, rate and rotation', () => {
  const stream = {
    codec_type: 'video',
    codec_name: 'h264',
    profile: 'High 4:4:4 Predictive',
    width: 1920,
    height: 1080,
    avg_frame_rate: '30000/1001',
    side_data_list: [{}, { rotation: -90 }],
  }
  expect(tracksOf(readAnswer(answer(stream)))).toEqual([
    {
      kind: 'video',
      codec: 'h264',
      profile: 'High 4:4:4 Predictive',
      width: 1920,
      height: 1080,
      frameRate: 29.97,
      rotation: -90,
    },
  ])
})

test('sound is described by its channels and rate, and has no size', () => {
  const stream = { codec_type: 'audio', codec_name: 'aac', channels: 2, sample_rate: '48000', width: 5 }
  expect(tracksOf(readAnswer(answer(stream)))).toEqual([
    { kind: 'audio', codec: 'aac', channels: 2, sampleRate: 48_000 },
  ])
})

test('what ffmpeg has no name for is data of an unknown codec', () => {
  expect(tracksOf(readAnswer(answer({ codec_type: 'attachment' })))).toEqual([{ kind: 'data', codec: 'unknown' }])
  expect(tracksOf(readAnswer(answer({})))).toEqual([{ kind: 'data', codec: 'unknown' }])
})

test('a picture that is attached, such as a cover, is data', () => {
  const stream = { codec_type: 'video', codec_name: 'png', width: 600, height: 600 }
  expect(tracksOf(readAnswer(answer({ ...stream, disposition: { attached_pic: 1 } })))).toEqual([
    { kind: 'data', codec: 'png' },
  ])
  expect(tracksOf(readAnswer(answer({ ...stream, disposition: { attached_pic: 0 } })))).toMatchObject([
    { kind: 'video' },
  ])
})

test('control characters and markup do not get into a track', () => {
  const stream = { codec_type: 'video', codec_name: 'h2\u001b[31m64<b>\u202e', profile: '\u0000\n' }
  expect(tracksOf(readAnswer(answer(stream)))).toEqual([{ kind: 'video', codec: 'h231m64b' }])
})

test('a rate averaged over hours is a frame rate too', () => {
  const stream = { codec_type: 'video', codec_name: 'h264', avg_frame_rate: '1289990413/51600030' }
  expect(tracksOf(readAnswer(answer(stream)))).toMatchObject([{ frameRate: 25 }])
})

test.for(['0/0', '1/0', 'NaN', '-25/1', '999999999/1', '1289990413000000000000/51600030', '1e9/1', ''])(
  '"%s" is no frame rate',
  (avg_frame_rate) => {
    const stream = { codec_type: 'video', codec_name: 'h264', avg_frame_rate }
    expect(tracksOf(readAnswer(answer(stream)))).toEqual([{ kind: 'video', codec: 'h264' }])
  },
)

test.for<[string, unknown]>([
  ['nothing', undefined],
  ['null', null],
  ['an empty object', {}],
  ['a size that is text', answer({ width: '1920' })],
  ['a negative size', answer({ width: -1 })],
  ['a size beyond 32 bits', answer({ width: 2 ** 40 })],
  ['a name of a kilobyte', answer({ codec_name: 'x'.repeat(1024) })],
  ['a thousand and one tracks', { streams: Array.from({ length: 1001 }, (_, index) => ({ index })), format: {} }],
  ['tags that are no text', answer({}, { tags: { location: 5 } })],
])('%s is no answer', ([, json]) => {
  expect(() => readAnswer(json)).toThrow('another shape')
})

test.for<[string | undefined, number | null]>([
  ['12.345678', 12.345678],
  ['-0.021333', -0.021333],
  ['0', 0],
  ['N/A', null],
  ['nan', null],
  ['inf', null],
  ['1e300', null],
  ['999999999999', null],
  [undefined, null],
])('the printed time %s is read as %s', ([printed, seconds]) => {
  expect(secondsOf(printed)).toBe(seconds)
})

test('packets are counted by the number the container gives a track', () => {
  const json = { streams: [{ index: 0, id: '0x1f', nb_read_packets: '75' }, { index: 1 }] }
  expect(readCounts(json)).toEqual([
    { index: 0, id: 31, packets: 75 },
    { index: 1, id: null, packets: 0 },
  ])
  expect(readCounts({ streams: 'many' })).toEqual([])
})

test('a dump gives the packets’ bytes back', () => {
  const data =
    '\n00000000: 2447 5052 4d43 2c31 3233 3531 392c 412c  $GPRMC,123519,A,\n00000010: 34                                       4\n'
  expect(readPackets({ packets: [{ data }, {}, { data: 'not a dump' }] })).toBe('$GPRMC,123519,A,4\n\n')
  expect(readPackets({})).toBe('')
})
