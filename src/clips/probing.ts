import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { FfmpegFailed } from '../engines/ffmpeg-failed.ts'
import { micros, type Range } from './clip.ts'

const Printed = Type.Optional(Type.String({ maxLength: 64 }))
const Count = Type.Optional(Type.Integer({ minimum: 0, maximum: 2_147_483_647 }))

const Stream = Type.Object({
  codec_type: Printed,
  codec_name: Printed,
  profile: Printed,
  pix_fmt: Printed,
  field_order: Printed,
  width: Count,
  height: Count,
  has_b_frames: Count,
  time_base: Printed,
  sample_aspect_ratio: Printed,
  sample_rate: Printed,
  channels: Count,
  side_data_list: Type.Optional(Type.Array(Type.Object({ rotation: Type.Optional(Type.Number()) }))),
})

const Answer = Type.Object({ streams: Type.Array(Stream, { maxItems: 1000 }) })

/** What is asked of a file before it is cut. */
export const askForStreams = [
  '-show_entries',
  'stream=codec_type,codec_name,profile,pix_fmt,field_order,width,height,has_b_frames,time_base,sample_aspect_ratio,sample_rate,channels:stream_side_data=rotation',
]

/** Seconds a tick: `num` / `den`. */
export type TimeBase = { num: number; den: number }

/** The first picture of a file, and whether it has sound. */
export type Streams = {
  codec: string
  profile: string
  pixels: string
  interlaced: boolean
  rotated: boolean
  width: number
  height: number
  reorders: number
  aspect: [number, number]
  timeBase: TimeBase
  /** Null where there is none. */
  sound: { rate: number; channels: number } | null
}

const ratio = (printed: string | undefined, between: string): [number, number] | undefined => {
  const [over, under] = (printed ?? '').split(between).map(Number)
  return over !== undefined && under !== undefined && over > 0 && under > 0 ? [over, under] : undefined
}

const shape = () => new FfmpegFailed('ffprobe gave an answer of another shape', 'content', '')

/** Throws FfmpegFailed, blaming the file, when there is no picture. */
export const streamsOf = (json: unknown): Streams => {
  if (!Value.Check(Answer, json)) throw shape()
  const video = json.streams.find(({ codec_type }) => codec_type === 'video')
  const audio = json.streams.find(({ codec_type }) => codec_type === 'audio')
  const base = ratio(video?.time_base, '/')
  if (video === undefined || base === undefined) throw new FfmpegFailed('there is no picture', 'content', '')
  const { codec_name: codec = '', profile = '', pix_fmt: pixels = '', width = 0, height = 0 } = video
  return {
    ...{ codec, profile, pixels, width, height },
    interlaced: ['tt', 'bb', 'tb', 'bt'].includes(video.field_order ?? ''),
    rotated: video.side_data_list?.some(({ rotation = 0 }) => rotation !== 0) === true,
    reorders: video.has_b_frames ?? 0,
    aspect: ratio(video.sample_aspect_ratio, ':') ?? [1, 1],
    timeBase: { num: base[0], den: base[1] },
    sound: audio === undefined ? null : { rate: Number(audio.sample_rate) || 0, channels: audio.channels ?? 1 },
  }
}

const Frames = Type.Object({
  frames: Type.Array(
    Type.Object({
      key_frame: Type.Optional(Type.Integer()),
      best_effort_timestamp: Type.Optional(Type.Integer()),
      pkt_duration: Type.Optional(Type.Integer()),
    }),
  ),
})

const intervalOf = (interval: { count: number } | { from: number | null; to: number }): string => {
  if ('count' in interval) return `%+#${interval.count}`
  const { from, to } = interval
  return `${from === null ? '' : Math.max(0, from).toFixed(6)}%${to.toFixed(6)}`
}

/**
 * Frames as a decoder gives them: of the first `count` packets, or between two times of the file's own clock, the first of
 * them null: from its beginning.
 */
export const askForFrames = (interval: Parameters<typeof intervalOf>[0]): string[] => [
  ...['-select_streams', 'v:0', '-show_entries', 'frame=key_frame,best_effort_timestamp,pkt_duration'],
  ...['-read_intervals', intervalOf(interval)],
]

export type DecodedFrame = { pts: number; duration: number; key: boolean }

export const framesOf = (json: unknown): DecodedFrame[] => {
  if (!Value.Check(Frames, json)) throw shape()
  return json.frames.flatMap(({ key_frame, best_effort_timestamp: pts, pkt_duration: duration = 0 }) =>
    pts === undefined ? [] : [{ pts, duration, key: key_frame === 1 }],
  )
}

/** When a frame begins, in seconds from the recording's first. */
export const secondsFrom = (zero: number, pts: number, { num, den }: TimeBase): number => ((pts - zero) * num) / den

/** Of these frames the ones of a range, in order, and when the next one after them begins or would. */
export const wantedOf = (
  frames: DecodedFrame[],
  zero: number,
  base: TimeBase,
  { start, end }: Range,
): { wanted: number[]; after: number } => {
  const sorted = frames.toSorted((a, b) => a.pts - b.pts)
  const at = ({ pts }: DecodedFrame) => micros(secondsFrom(zero, pts, base))
  const within = sorted.filter((frame) => at(frame) >= micros(start) && at(frame) < micros(end))
  const last = within.at(-1)
  const next = last === undefined ? undefined : sorted.find(({ pts }) => pts > last.pts)
  const after = next?.pts ?? (last === undefined ? 0 : last.pts + Math.max(1, last.duration))
  return { wanted: within.map(({ pts }) => pts), after }
}
