import type { FfmpegWork, Input } from '../engines/ffmpeg-arguments.ts'
import type { TimeBase } from './probing.ts'

/** What is cut from: a file in its scratch folder, and the demuxer that its bytes decided. */
export type Source = { folder: string; path: string; demuxer: string }

/** Ticks of the file's own clock, `to` exclusive. */
export type Ticks = { from: number; to: number }

/** How frames are encoded so that copied ones can stand beside them. Null: whatever plays everywhere. */
export type Style = { profile: string; pixels: string; reorders: number; references: number; setId: number }

const noMetadata = ['-map_metadata', '-1', '-map_chapters', '-1', '-dn', '-sn']
const sameBits = ['-fflags', '+bitexact']

/**
 * Times stay those of the file, so that frames are chosen by their own time stamps and never by counting from wherever a
 * seek went; `seek` (seconds of the file's clock) only says from where on decoding is needed at the latest.
 */
const input = ({ path, demuxer }: Source, seek: number | null, upright = true): Input => ({
  path,
  demuxer,
  options: [
    '-copyts',
    ...(upright ? [] : ['-noautorotate']),
    ...(seek === null ? [] : ['-seek_timestamp', '1', '-noaccurate_seek', '-ss', seek.toFixed(6)]),
  ],
})

const within = ({ from, to }: Ticks): string => `trim=start_pts=${from}:end_pts=${to}`

/** Even sides and colours that every player knows; nothing is cut off. */
const playable = "pad='ceil(iw/2)*2':'ceil(ih/2)*2',format=yuv420p"

const profiles: Record<string, string> = { Baseline: 'baseline', 'Constrained Baseline': 'baseline', Main: 'main' }

/** x264's name of a profile that ffprobe names. */
export const profileOf = (profile: string): string => profiles[profile] ?? 'high'

const likeTheRest = ({ profile, pixels, reorders, references, setId }: Style): string[] => [
  ...['-profile:v', profile, '-pix_fmt', pixels, '-bf', reorders > 0 ? '3' : '0', '-refs', String(references)],
  ...['-x264-params', `sps-id=${setId}:b-pyramid=${reorders > 1 ? 'normal' : 'none'}:scenecut=0`],
]

export type Encoding = {
  ticks: Ticks
  timeBase: TimeBase
  seek: number | null
  interlaced: boolean
  style: Style | null
}

/** Encodes frames at exactly the times they have, the first at zero, into an MP4 file of that time scale. */
export const pictureWork = (source: Source, name: string, encoding: Encoding): FfmpegWork => {
  const { ticks, timeBase, seek, interlaced, style } = encoding
  const filters = [within(ticks), `setpts=PTS-(${ticks.from})`, ...(style === null ? [playable] : [])]
  return {
    folder: source.folder,
    inputs: [input(source, seek, style === null)],
    outputs: [
      {
        path: `${source.folder}/${name}`,
        options: [
          ...['-map', '0:v:0', '-an', ...noMetadata, '-vf', filters.join(',')],
          ...['-fps_mode', 'passthrough', '-enc_time_base', `1:${timeBase.den}`],
          ...['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '18', '-g', '250', '-flags:v', '+bitexact'],
          ...(interlaced ? ['-flags:v', '+bitexact+ilme+ildct'] : []),
          ...(style === null ? ['-profile:v', 'high'] : likeTheRest(style)),
          ...['-video_track_timescale', String(timeBase.den), ...sameBits, '-f', 'mp4'],
        ],
      },
    ],
  }
}

/** Rates that AAC knows. */
const rates = new Set([96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000])

export type Sound = { rate: number; channels: number }

/**
 * Encodes sound from one moment to another (seconds of the file's clock), to the sample. Where there is none yet, silence
 * stands in its place, so that what follows is heard when it was.
 */
export const soundWork = (
  source: Source,
  name: string,
  { from, to, rate, channels }: Ticks & Sound,
  seek: number | null,
): FfmpegWork => ({
  folder: source.folder,
  inputs: [input(source, seek)],
  outputs: [
    {
      path: `${source.folder}/${name}`,
      options: [
        ...['-map', '0:a:0', '-vn', ...noMetadata],
        '-af',
        [
          `atrim=start=${from.toFixed(6)}:end=${to.toFixed(6)}`,
          `asetpts=PTS-(${from.toFixed(6)})/TB`,
          `aresample=${rates.has(rate) ? rate : 48_000}:async=1:first_pts=0`,
          `atrim=end=${(to - from).toFixed(6)}`,
        ].join(','),
        ...['-ac', String(Math.min(2, Math.max(1, channels))), '-c:a', 'aac', '-b:a', channels === 1 ? '80k' : '128k'],
        ...['-flags:a', '+bitexact', ...sameBits, '-f', 'mp4'],
      ],
    },
  ],
})

const listed = ['-f', 'framehash', '-hash', 'murmur3']

/** Enough to list a frame by. */
const corner = 'crop=16:16:0:0'

/**
 * Decodes all of a finished clip, stopping at the first error: a line for each frame, a line with its digest for each frame
 * within `compared`, and one for each packet.
 */
export const proofWork = (
  source: Source,
  names: { frames: string; compared: string; packets: string },
  compared: Ticks[],
  sound: boolean,
): FfmpegWork => {
  const chosen = compared.map(({ from, to }) => `between(pts,${from},${to - 1})`).join('+')
  const list = (label: string, name: string) => ({
    path: `${source.folder}/${name}`,
    options: ['-map', `[${label}]`, '-fps_mode', 'passthrough', '-enc_time_base', '-1', ...listed],
  })
  const graph =
    chosen === '' ? `[0:v:0]${corner}[all]` : `[0:v:0]split[a][b];[a]${corner}[all];[b]select='${chosen}'[some]`
  return {
    folder: source.folder,
    inputs: [
      {
        path: source.path,
        demuxer: source.demuxer,
        options: ['-xerror', '-copyts', '-noautorotate', '-filter_complex', graph],
      },
    ],
    outputs: [
      list('all', names.frames),
      ...(chosen === '' ? [] : [list('some', names.compared)]),
      {
        path: `${source.folder}/${names.packets}`,
        options: ['-map', '0:v:0', '-c', 'copy', '-f', 'framehash', '-hash', 'sha256'],
      },
      ...(sound ? [{ path: null, options: ['-map', '0:a:0'] }] : []),
    ],
  }
}

/** A line for each frame of the source within the ticks, digested as the clip's are. */
export const digestWork = (source: Source, name: string, ticks: Ticks, seek: number | null): FfmpegWork => ({
  folder: source.folder,
  inputs: [input(source, seek, false)],
  outputs: [
    {
      path: `${source.folder}/${name}`,
      options: ['-map', '0:v:0', '-vf', within(ticks), '-fps_mode', 'passthrough', '-enc_time_base', '-1', ...listed],
    },
  ],
})

/** A frame or a packet; `pts` in ticks. */
export type Listed = { pts: number; hash: string }

/** What ffmpeg listed, in its order. */
export const listedIn = (text: string): Listed[] =>
  text.split('\n').flatMap((line) => {
    if (line.startsWith('#') || line === '') return []
    const [, , pts, , , hash] = line.split(',').map((word) => word.trim())
    return pts === undefined || hash === undefined ? [] : [{ pts: Number(pts), hash }]
  })
