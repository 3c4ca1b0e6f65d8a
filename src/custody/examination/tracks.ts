import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { FfmpegFailed } from '../../engines/ffmpeg-failed.ts'
import type { Track } from '../../engines/tables.ts'

/** ffprobe prints numbers that may be missing or odd as text. */
const Printed = Type.Optional(Type.String({ maxLength: 64 }))
const Count = Type.Optional(Type.Integer({ minimum: 0, maximum: 2_147_483_647 }))

const Stream = Type.Object({
  index: Type.Integer({ minimum: 0, maximum: 10_000 }),
  id: Printed,
  codec_type: Type.Optional(Type.String()),
  codec_name: Printed,
  profile: Printed,
  width: Count,
  height: Count,
  avg_frame_rate: Printed,
  r_frame_rate: Printed,
  channels: Count,
  sample_rate: Printed,
  start_time: Printed,
  disposition: Type.Optional(Type.Object({ attached_pic: Count })),
  side_data_list: Type.Optional(Type.Array(Type.Object({ rotation: Type.Optional(Type.Number()) }))),
})

/** What is read of ffprobe's answer. It comes from a hostile file, so that whatever is not of this shape is no answer. */
export const Answer = Type.Object({
  streams: Type.Array(Stream, { maxItems: 1000 }),
  format: Type.Object({
    start_time: Printed,
    duration: Printed,
    tags: Type.Optional(Type.Record(Type.String(), Type.String())),
  }),
})
export type Answer = Static<typeof Answer>

/** The words that make ffprobe answer in that shape and no more. */
export const askForTracks = [
  '-show_entries',
  [
    'stream=index,id,codec_type,codec_name,profile,width,height,avg_frame_rate,r_frame_rate,channels,sample_rate,start_time',
    'stream_disposition=attached_pic',
    'stream_side_data=rotation',
    'format=start_time,duration',
    'format_tags=location,LOCATION,com.apple.quicktime.location.ISO6709',
  ].join(':'),
]

/** Throws FfmpegFailed, blaming the file, when the answer is not of that shape. */
export const readAnswer = (json: unknown): Answer => {
  if (!Value.Check(Answer, json)) throw new FfmpegFailed('ffprobe gave an answer of another shape', 'content', '')
  return json
}

/** A century: what claims more is not believed. */
const longest = 100 * 366 * 24 * 3600

/** Seconds, rounded to microseconds; null when absent or absurd. */
export const secondsOf = (printed: string | undefined): number | null => {
  if (printed === undefined || !/^-?\d{1,12}(\.\d{1,9})?$/.test(printed)) return null
  const seconds = Number(printed)
  return Math.abs(seconds) <= longest ? Number(seconds.toFixed(6)) : null
}

/** `30000/1001` as 29.97; undefined when absent or absurd. */
const rateOf = (printed: string | undefined): number | undefined => {
  const [, over, under] = /^(\d{1,18})\/(\d{1,18})$/.exec(printed ?? '') ?? []
  const rate = Number(over) / Number(under)
  return rate > 0 && rate <= 1000 ? Number(rate.toFixed(3)) : undefined
}

/** A picture that is attached, such as a cover, is not what was filmed. */
const kindOf = ({ codec_type: type, disposition }: Answer['streams'][number]): Track['kind'] => {
  if (type === 'video') return (disposition?.attached_pic ?? 0) === 0 ? type : 'data'
  return type === 'audio' || type === 'subtitle' ? type : 'data'
}

/** Words ffmpeg prints for codecs and profiles, kept to characters that they consist of. */
const word = (printed: string | undefined): string | undefined => printed?.replaceAll(/[^\w .:()+/-]/g, '') || undefined

const present = <Fields extends object>(fields: Fields) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

const trackOf = (stream: Answer['streams'][number]): Track => {
  const kind = kindOf(stream)
  const rotation = stream.side_data_list?.find((data) => data.rotation !== undefined)?.rotation
  const facts = {
    profile: word(stream.profile),
    ...(kind === 'video'
      ? {
          width: stream.width,
          height: stream.height,
          frameRate: rateOf(stream.avg_frame_rate) ?? rateOf(stream.r_frame_rate),
          rotation,
        }
      : {}),
    ...(kind === 'audio' ? { channels: stream.channels, sampleRate: Number(stream.sample_rate) || undefined } : {}),
  }
  return { kind, codec: word(stream.codec_name) ?? 'unknown', ...present(facts) }
}

/** The file's tracks in its own order. */
export const tracksOf = (answer: Answer): Track[] => answer.streams.map(trackOf)

/** Codecs of which one sample in an MP4 is one packet of the demuxer; of others it joins or splits samples. */
const samplesArePackets = new Set('h264 hevc av1 mpeg4 h263 mjpeg aac alac opus'.split(' '))

/** Whether a track's packets can be compared with its index. ffmpeg does not read pictures attached for chapters. */
export const isCountable = ({ codec_name, disposition }: Answer['streams'][number]): boolean =>
  samplesArePackets.has(codec_name ?? '') && (disposition?.attached_pic ?? 0) === 0

const Counts = Type.Object({
  streams: Type.Array(
    Type.Object({ index: Type.Integer({ minimum: 0 }), id: Printed, nb_read_packets: Type.Optional(Type.String()) }),
  ),
})

export const askForCounts = ['-count_packets', '-show_entries', 'stream=index,id,nb_read_packets']

/** How many packets were read of each track; `id` is the container's own number for it, null where it has none. */
export const readCounts = (json: unknown): { index: number; id: number | null; packets: number }[] =>
  !Value.Check(Counts, json)
    ? []
    : json.streams.map(({ index, id, nb_read_packets }) => ({
        index,
        id: /^0x[0-9a-f]{1,8}$/.test(id ?? '') ? Number(id) : null,
        packets: Number(nb_read_packets ?? 0) || 0,
      }))

const Packets = Type.Object({ packets: Type.Array(Type.Object({ data: Type.Optional(Type.String()) })) })

/** The first packets of one track, as a hexadecimal dump. */
export const askForPackets = (index: number): string[] => [
  ...['-select_streams', String(index), '-show_entries', 'packet=data', '-show_data', '-read_intervals', '%+#64'],
]

/** Those packets' bytes, one Latin-1 character each. */
export const readPackets = (json: unknown): string =>
  !Value.Check(Packets, json)
    ? ''
    : json.packets
        .map(({ data = '' }) => {
          const lines = data.matchAll(/^[0-9a-f]{8}: ((?:[0-9a-f]{2,4} )+)/gm)
          return Buffer.from([...lines].map(([, bytes = '']) => bytes.replaceAll(' ', '')).join(''), 'hex')
        })
        .map((bytes) => bytes.toString('latin1'))
        .join('\n')
