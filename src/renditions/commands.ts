import type { FfmpegWork, Input } from '../engines/ffmpeg-arguments.ts'
import { longest, type Plan, proxyHeight } from './plan.ts'

/** The original's copy in its scratch folder, and the demuxer that its bytes decided. */
export type Source = { folder: string; path: string; demuxer: string }

const segmentSeconds = 6
export const playlistName = 'index.m3u8'
export const initName = 'init.mp4'

const noMetadata = ['-map_metadata', '-1', '-map_chapters', '-1', '-dn', '-sn']

const input = ({ path, demuxer }: Source, options: string[] = []): Input => ({ path, demuxer, options })

/**
 * Fragmented MP4 in pieces that begin with a key frame. Each is in the playlist as soon as it is whole. Times stay as they
 * are: pushed until none is negative, pictures would come late by as much as they are reordered, and sound by less.
 */
const segments = ({ folder }: Source): string[] => [
  ...['-avoid_negative_ts', 'disabled'],
  ...['-f', 'hls', '-hls_segment_type', 'fmp4', '-hls_time', String(segmentSeconds), '-hls_playlist_type', 'event'],
  ...['-hls_flags', 'independent_segments+temp_file', '-start_number', '1'],
  ...['-hls_fmp4_init_filename', initName, '-hls_segment_filename', `${folder}/%05d.m4s`],
]

const evenSquare = "scale='trunc(iw*sar/2)*2':'trunc(ih/2)*2',setsar=1"
const progressive = 'yadif=mode=send_frame:deint=interlaced'

/**
 * Where sound is first, black pictures stand until the first one of the footage: an empty edit in their place, as ffmpeg writes
 * it, not every player heeds. How many, and where they end, is known by the rate alone.
 */
const blackUntil = ({ pictureFrom = 0, video }: Plan): string => {
  if (pictureFrom === 0) return ''
  const rate = video?.frameRate ?? 25
  const count = Math.max(1, Math.floor(pictureFrom * rate))
  const cut = `trim=start=${(pictureFrom - 0.001).toFixed(3)},setpts=PTS-STARTPTS`
  const black = `fps=${rate.toFixed(3)},tpad=start=${count}:color=black`
  return `,${cut},${black},setpts='if(lt(N,${count}),PTS,PTS-${count}/(FR*TB)+${pictureFrom.toFixed(3)}/TB)'`
}

/** H.264 that every browser plays, a key frame where each piece begins, frames at the times they had. */
const encodeVideo = (plan: Plan, filters: string, quality: number): string[] => [
  ...['-c:v', 'libx264', '-preset', 'veryfast', '-crf', String(quality), '-profile:v', 'high', '-pix_fmt', 'yuv420p'],
  ...[
    '-vf',
    `${filters}${blackUntil(plan)}`,
    '-fps_mode',
    'vfr',
    '-force_key_frames',
    `expr:gte(t,n_forced*${segmentSeconds})`,
  ],
]

/** Sound that drifts is laid where its times say, so that it stays with the picture. */
const encodeAudio = (rate: string, silence = ''): string[] => [
  ...['-c:a', 'aac', '-b:a', rate, '-ac', '2', '-ar', '48000', '-af', `aresample=async=1000:first_pts=0${silence}`],
]

const soundName = 'sound.mp4'
const soundRates = { hls: '128k', proxy: '96k' } as const

const apartTo = ({ video, audio, soundTo }: Plan): number | undefined =>
  video === undefined || audio === undefined ? undefined : soundTo

/** The sound by itself, as long as the picture, for `hlsWork` or `proxyWork`; undefined where it can be made with the picture. */
export const soundWork = (source: Source, plan: Plan, kind: 'hls' | 'proxy'): FfmpegWork | undefined => {
  const soundTo = apartTo(plan)
  if (soundTo === undefined) return undefined
  // Silence until 0 would have no end.
  const sound = encodeAudio(soundRates[kind], soundTo > 0 ? `,apad=whole_dur=${soundTo.toFixed(3)}` : '')
  return {
    folder: source.folder,
    // A hole of ten seconds and more would be taken for a clock that jumped, and closed.
    inputs: [input(source, ['-dts_delta_threshold', String(longest)])],
    outputs: [
      {
        path: `${source.folder}/${soundName}`,
        options: ['-map', '0:a:0', '-vn', ...noMetadata, ...sound, '-f', 'mp4'],
      },
    ],
  }
}

/** The first picture, none that is attached, such as a cover, and the first sound, or what was made of it. */
const tracks = (source: Source, plan: Plan): { inputs: Input[]; maps: string[] } =>
  apartTo(plan) === undefined
    ? { inputs: [input(source)], maps: ['-map', '0:V:0?', '-map', '0:a:0?'] }
    : {
        inputs: [input(source), { path: `${source.folder}/${soundName}`, demuxer: 'mov', options: [] }],
        maps: ['-map', '0:V:0', '-map', '1:a:0'],
      }

/** A transport stream tells what its AAC is in front of every packet, an MP4 once, at its beginning. */
const copiedAudio = ({ demuxer }: Source): string[] => [
  ...['-c:a', 'copy'],
  ...(demuxer === 'mpegts' ? ['-bsf:a', 'aac_adtstoasc'] : []),
]

const audioOptions = (source: Source, plan: Plan, kind: 'hls' | 'proxy', copied: boolean): string[] => {
  if (plan.audio === undefined) return ['-an']
  if (apartTo(plan) !== undefined) return ['-c:a', 'copy']
  return copied ? copiedAudio(source) : encodeAudio(soundRates[kind])
}

/** The original's packets, where a browser plays them, in pieces; what it does not play is encoded anew. */
export const hlsWork = (source: Source, plan: Plan, copyVideo: boolean): FfmpegWork => {
  const video = copyVideo ? ['-c:v', 'copy'] : encodeVideo(plan, `${progressive},${evenSquare}`, 21)
  const { inputs, maps } = tracks(source, plan)
  const options = [
    ...maps,
    ...noMetadata,
    ...(plan.video === undefined ? ['-vn'] : video),
    ...audioOptions(source, plan, 'hls', plan.copyAudio && copyVideo),
    ...segments(source),
  ]
  return {
    folder: source.folder,
    inputs,
    outputs: [{ path: `${source.folder}/${playlistName}`, options }],
  }
}

/** Small enough for a bad line. */
export const proxyWork = (source: Source, plan: Plan): FfmpegWork => {
  const filters = `${progressive},${evenSquare},scale=-2:'min(${proxyHeight},ih)'`
  const { inputs, maps } = tracks(source, plan)
  const options = [
    ...maps,
    ...noMetadata,
    ...encodeVideo(plan, filters, 26),
    ...audioOptions(source, plan, 'proxy', false),
    ...segments(source),
  ]
  return {
    folder: source.folder,
    inputs,
    outputs: [{ path: `${source.folder}/${playlistName}`, options }],
  }
}

export const posterName = 'poster.jpg'
export const thumbnailName = 'thumbnail.jpg'

/** One picture large and small, `at` seconds after the beginning; none comes out where the file has none so late. */
export const posterWork = (source: Source, at: number): FfmpegWork => {
  const picture = (name: string, mostWidth: number) => ({
    path: `${source.folder}/${name}`,
    options: [
      ...['-map', '0:V:0', ...noMetadata, '-an', '-frames:v', '1'],
      ...['-vf', `${evenSquare},scale='min(${mostWidth},iw)':-2`, '-q:v', '4'],
      ...['-f', 'image2', '-update', '1', '-c:v', 'mjpeg'],
    ],
  })
  return {
    folder: source.folder,
    inputs: [input(source, at === 0 ? [] : ['-ss', at.toFixed(3)])],
    outputs: [picture(posterName, 1280), picture(thumbnailName, 320)],
  }
}

/** Every picture of a storyboard is `width` × `height`; a sheet holds `columns` × `rows` of them. */
export const sheet = { width: 160, height: 90, columns: 10, rows: 10 }
const mostPictures = 400
const closest = 2

/** Seconds between two pictures of a storyboard. */
export const storyboardInterval = (duration: number): number => Math.max(closest, Math.ceil(duration / mostPictures))

export const sheetName = (index: number): string => `sheet-${String(index).padStart(3, '0')}.jpg`

/** Sheets of small pictures, out of key frames alone. */
export const storyboardWork = (source: Source, interval: number): FfmpegWork => {
  const { width, height, columns, rows } = sheet
  const fit = `scale=${width}:${height}:force_original_aspect_ratio=decrease,pad=${width}:${height}:-1:-1`
  const filters = `fps=1/${interval}:start_time=0:round=near:eof_action=pass,${evenSquare},${fit},tile=${columns}x${rows}`
  const options = [
    ...['-map', '0:V:0', ...noMetadata, '-an', '-fps_mode', 'passthrough'],
    ...['-vf', filters, '-q:v', '6', '-f', 'image2', '-start_number', '0', '-c:v', 'mjpeg'],
  ]
  return {
    folder: source.folder,
    inputs: [input(source, ['-skip_frame', 'nokey'])],
    outputs: [{ path: `${source.folder}/sheet-%03d.jpg`, options }],
  }
}
