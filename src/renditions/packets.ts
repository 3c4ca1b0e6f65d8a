import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import { secondsOf } from '../custody/examination/tracks.ts'
import type { Ffmpeg } from '../engines/ffmpeg.ts'
import { FfmpegFailed } from '../engines/ffmpeg-failed.ts'
import type { RecordingRow } from '../engines/tables.ts'
import type { Source } from './commands.ts'
import { frameSeconds, longest, type Plan } from './plan.ts'

/** What an original's own packets say, whatever its index claims. */
export type Packets = {
  /** The pictures may stay as they are: no edit list leaves out the first, and they say when they are shown. */
  copyable: boolean
  /**
   * Seconds from the beginning of the recording to its end; undefined where that cannot be found out, as in a transport or
   * program stream: a clock that jumps in it is put right as it is read.
   */
  end: number | undefined
  /** The same of the picture alone. */
  pictureEnd: number | undefined
  /** Seconds at which the first picture that can be decoded is shown, where sound begins before it; else 0. */
  pictureFrom: number
  /** Whether there is sound for as long as there is a picture: no player goes on where one of them is missing. */
  soundThroughout: boolean
}

const Printed = Type.Optional(Type.String())
const Answer = Type.Object({
  packets: Type.Array(
    Type.Object({
      stream_index: Type.Integer(),
      pts_time: Printed,
      dts_time: Printed,
      duration_time: Printed,
      flags: Type.String(),
    }),
  ),
  streams: Type.Array(
    Type.Object({
      index: Type.Integer(),
      codec_type: Printed,
      disposition: Type.Optional(Type.Object({ attached_pic: Type.Optional(Type.Integer()) })),
    }),
  ),
  format: Type.Object({ start_time: Printed }),
})
type Packet = Static<typeof Answer>['packets'][number]

/** Of all tracks together; sound may lie ahead of the first picture by a second. */
const firstPackets = 200
const lastSeconds = 5
/** Of sound, in seconds: one that claims to last longer has a hole after it. */
const longestPacket = 1
/** So many frames may sound begin late or end early: it is cut into packets of its own. */
const slack = 1.5
const jumping = new Set(['mpegts', 'mpeg'])
/** Later than any footage ends: the last key frame is looked for. */
const farBeyond = 1e6

const entries = [
  'packet=stream_index,pts_time,dts_time,duration_time,flags',
  'stream=index,codec_type',
  'stream_disposition=attached_pic',
  'format=start_time',
].join(':')

const ask = async (
  { probe }: Ffmpeg,
  { path, demuxer }: Source,
  { duration, facts: { startTime = 0 } }: RecordingRow,
  signal: AbortSignal,
): Promise<unknown> => {
  const words = (intervals: string) => ['-show_entries', entries, '-read_intervals', intervals]
  const end = duration === null || duration <= 0 ? farBeyond : startTime + duration - lastSeconds
  try {
    return await probe(path, demuxer, { signal, ask: words(`%+#${firstPackets},${Math.max(0, end).toFixed(3)}%`) })
  } catch (error) {
    if (!(error instanceof FfmpegFailed) || error.blame === 'machine') throw error
    // Its end is out of reach, or so long that it was not listened to.
    return await probe(path, demuxer, { signal, ask: words(`%+#${firstPackets}`) })
  }
}

/** Looks at the first packets and the last ones. */
export const packetsOf = async (
  ffmpeg: Ffmpeg,
  source: Source,
  recording: RecordingRow,
  signal: AbortSignal,
): Promise<Packets> => {
  const answer = await ask(ffmpeg, source, recording, signal)
  if (!Value.Check(Answer, answer))
    return { copyable: false, end: undefined, pictureEnd: undefined, pictureFrom: 0, soundThroughout: true }
  const { packets, streams, format } = answer
  const picture = streams.find((one) => one.codec_type === 'video' && (one.disposition?.attached_pic ?? 0) === 0)
  const sound = streams.find((one) => one.codec_type === 'audio')
  const zero = secondsOf(format.start_time) ?? 0
  const frame = frameSeconds(recording)
  const startOf = ({ pts_time, dts_time }: Packet): number =>
    (secondsOf(pts_time) ?? secondsOf(dts_time) ?? zero) - zero
  const endIn = (packets: readonly Packet[], stream: number | undefined, most: number): number | undefined => {
    const ends = packets
      .filter(({ stream_index, flags }) => stream_index === stream && !flags.includes('D'))
      .map((packet) => startOf(packet) + Math.min(most, secondsOf(packet.duration_time) ?? frame))
    return ends.length === 0 ? undefined : ends.reduce((latest, one) => Math.max(latest, one))
  }

  const last = packets.length < firstPackets ? packets : packets.slice(firstPackets)
  // A last picture that is to stand for long is there all the same as soon as it is shown.
  const pictureEnd = endIn(last, picture?.index, frame)
  const soundEnd = endIn(last, sound?.index, longestPacket)
  const ends = [pictureEnd, soundEnd].filter((end) => end !== undefined)
  const pictures = packets.filter(({ stream_index }) => stream_index === picture?.index)
  const firstSound = packets.slice(0, firstPackets).find(({ stream_index }) => stream_index === sound?.index)
  const beginsLate = firstSound === undefined || startOf(firstSound) > slack * frame
  const firstPicture = packets
    .slice(0, firstPackets)
    .find(({ flags, stream_index }) => stream_index === picture?.index && flags.includes('K'))
  const soundFrom = firstSound === undefined ? Number.POSITIVE_INFINITY : Math.max(0, startOf(firstSound))
  const from = firstPicture === undefined ? 0 : startOf(firstPicture)
  const endsEarly = pictureEnd !== undefined && (soundEnd ?? 0) < pictureEnd - slack * frame
  return {
    copyable:
      pictures[0]?.flags.includes('D') !== true && pictures.every(({ pts_time }) => secondsOf(pts_time) !== null),
    end: jumping.has(source.demuxer) || ends.length === 0 ? undefined : Math.max(...ends),
    pictureEnd,
    pictureFrom: from - soundFrom > slack * frame ? from : 0,
    soundThroughout: picture === undefined || sound === undefined || !(beginsLate || endsEarly),
  }
}

/** The same plan with its sound made by itself. Where the end of the picture is not known, the sound ends where it does. */
export const withSoundApart = (plan: Plan, { pictureEnd = 0 }: Pick<Packets, 'pictureEnd'>): Plan => ({
  ...plan,
  soundTo: Math.min(longest, Math.max(0, pictureEnd)),
})

/** The plan, once the original's packets were looked at. */
export const asMeasured = (plan: Plan, packets: Packets): Plan => {
  const { copyable, pictureFrom } = packets
  const late = pictureFrom > 0 ? { pictureFrom } : {}
  const measured = { ...plan, copyVideo: plan.copyVideo && copyable && pictureFrom === 0, ...late }
  return packets.soundThroughout ? measured : withSoundApart(measured, packets)
}
