import { existsSync } from 'node:fs'
import { copyFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Ffmpeg } from '../../engines/ffmpeg.ts'
import type { FfmpegWork, Input } from '../../engines/ffmpeg-arguments.ts'
import type { Scratch } from '../../engines/scratch.ts'

const encoders = {
  h264: ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '50'],
  hevc: ['-c:v', 'libx265', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-x265-params', 'log-level=error'],
  mpeg4: ['-c:v', 'mpeg4', '-q:v', '5'],
  mjpeg: ['-c:v', 'mjpeg', '-q:v', '5', '-pix_fmt', 'yuvj420p'],
}

const layouts = {
  'index-first': ['-movflags', '+faststart'],
  'index-last': [],
  fragmented: ['-movflags', '+frag_keyframe+empty_moov+default_base_moof'],
}

const soundEncoders: Record<string, string> = { '.avi': 'pcm_s16le', '.mpg': 'mp2' }

/** Footage as a body-worn camera might make it. Seconds throughout; the extension of `path` decides the container. */
export type Footage = {
  path: string
  seconds: number
  width?: number
  height?: number
  frameRate?: number
  /** Burned in beside the clock. */
  camera?: string
  /** What the burned-in clock shows at the start. */
  startsAt?: Date
  video?: keyof typeof encoders | null
  /** Adds grain and encodes at about this rate, for files of a wanted weight. */
  bitsPerSecond?: number
  /** A tone with a beep every second. `silentUntil`: digital silence before; `absentUntil`: no samples before. */
  sound?: { silentUntil?: number; absentUntil?: number } | null
  layout?: keyof typeof layouts
  /** Time stamp of the first frame. */
  startTime?: number
  /** ISO 6709, as phones write it: `+51.5007-000.1246/`. */
  location?: string
  /** Text of an SRT file, for a subtitle track. */
  subtitles?: string
}

/** Comes with ffmpeg itself on Debian and Ubuntu; without it the test picture's own counter is all that runs. */
const font = '/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf'

const clock = ({ camera = 'CAM-0001', startsAt = new Date('2026-11-25T22:15:00Z'), height = 360 }: Footage): string => {
  const label = camera.replaceAll(/[^A-Za-z0-9 -]/g, ' ')
  const text = `${label} %{pts\\:gmtime\\:${Math.floor(startsAt.getTime() / 1000)}} UTC`
  const size = Math.max(10, Math.round(height / 18))
  return `drawtext=fontfile=${font}:fontsize=${size}:fontcolor=white:box=1:boxcolor=black@0.6:x=8:y=8:text='${text}'`
}

const picture = (footage: Footage, hasFont: boolean): string =>
  [
    `testsrc2=size=${footage.width ?? 640}x${footage.height ?? 360}:rate=${footage.frameRate ?? 25}:duration=${footage.seconds}`,
    ...(footage.bitsPerSecond === undefined ? [] : ['noise=alls=12:allf=t']),
    ...(hasFont ? [clock(footage)] : []),
  ].join(',')

const tone = ({ seconds, sound }: Footage): string => {
  const { silentUntil, absentUntil = 0 } = sound ?? {}
  return [
    `sine=frequency=220:beep_factor=4:sample_rate=48000:duration=${seconds - absentUntil}`,
    ...(silentUntil === undefined ? [] : [`volume=0:enable='lt(t,${silentUntil})'`]),
  ].join(',')
}

/** The run of ffmpeg that makes the footage as `target`; `subtitles` is an SRT file with the footage's. */
const footageWork = (
  footage: Footage,
  files: { folder: string; target: string; subtitles: string },
  hasFont: boolean,
): FfmpegWork => {
  const { video = 'h264', sound = {}, bitsPerSecond, startTime, location } = footage
  const extension = path.extname(footage.path).toLowerCase()
  const inputs: Input[] = [
    ...(video === null ? [] : [{ graph: picture(footage, hasFont) }]),
    ...(sound === null ? [] : [{ graph: tone(footage), options: ['-itsoffset', String(sound.absentUntil ?? 0)] }]),
    ...(footage.subtitles === undefined ? [] : [{ path: files.subtitles, demuxer: 'srt' }]),
  ]
  const options = [
    ...inputs.flatMap((_, index) => ['-map', String(index)]),
    ...(video === null ? [] : encoders[video]),
    ...(video !== null && bitsPerSecond !== undefined ? ['-b:v', String(bitsPerSecond)] : []),
    ...(sound === null ? [] : ['-c:a', soundEncoders[extension] ?? 'aac']),
    ...(footage.subtitles !== undefined && extension !== '.mkv' ? ['-c:s', 'mov_text'] : []),
    ...(extension === '.mp4' || extension === '.mov' ? layouts[footage.layout ?? 'index-first'] : []),
    ...(startTime === undefined ? [] : ['-output_ts_offset', String(startTime)]),
    ...(location === undefined ? [] : ['-metadata', `location=${location}`]),
  ]
  return { folder: files.folder, inputs, outputs: [{ path: files.target, options }] }
}

/** Makes the footage at its path, which it overwrites. */
export const makeFootage = async (
  { ffmpeg, scratch }: { ffmpeg: Ffmpeg; scratch: Scratch },
  footage: Footage,
  signal: AbortSignal,
): Promise<void> => {
  await using made = await scratch('footage')
  const target = made.path(`made${path.extname(footage.path).toLowerCase()}`)
  const subtitles = made.path('subtitles.srt')
  await writeFile(subtitles, footage.subtitles ?? '')
  const work = footageWork(footage, { folder: made.folder, target, subtitles }, existsSync(font))
  await ffmpeg.run(work, { signal, seconds: 600 })
  await copyFile(target, footage.path)
}
