import type { RecordingRow, RenditionKind, Track } from '../engines/tables.ts'

/** What of a recording is shown: its first picture and its first sound, and whether their packets may stay as they are. */
export type Plan = {
  video: Track | undefined
  audio: Track | undefined
  /** A browser can decode the original's packets. */
  copyVideo: boolean
  copyAudio: boolean
  /**
   * Sound that begins late, ends early or has holes is made by itself, silent where there is none and up to this second: beside
   * the picture ffmpeg would wait for it no longer than ten seconds, and lay the silence where the sound goes on.
   */
  soundTo?: number
  /** Seconds after the sound at which the picture begins: it is black until then. Players begin both at once otherwise. */
  pictureFrom?: number
}

const browserProfiles = new Set(['Baseline', 'Constrained Baseline', 'Main', 'High'])
/** Of one side; what a player on a tablet decodes in its hardware. */
const largestSide = 4096

const playsAsItIs = ({ codec, profile, width = 0, height = 0, rotation = 0 }: Track): boolean =>
  codec === 'h264' &&
  browserProfiles.has(profile ?? '') &&
  width % 2 === 0 &&
  height % 2 === 0 &&
  Math.max(width, height) <= largestSide &&
  // What turns the picture is an instruction in the container, which not every player of segments follows.
  rotation === 0

const soundsAsItIs = ({ codec, profile, channels = 2, sampleRate = 48_000 }: Track): boolean =>
  codec === 'aac' && (profile ?? 'LC') === 'LC' && channels <= 2 && sampleRate >= 8000 && sampleRate <= 48_000

/** Undefined when there is nothing to show. */
export const planFor = ({ tracks, flags }: Pick<RecordingRow, 'tracks' | 'flags'>): Plan | undefined => {
  if (flags.includes('unplayable')) return undefined
  const video = tracks.find(({ kind }) => kind === 'video')
  const audio = tracks.find(({ kind }) => kind === 'audio')
  if (video === undefined && audio === undefined) return undefined
  return {
    video,
    audio,
    copyVideo: video !== undefined && playsAsItIs(video),
    copyAudio: audio !== undefined && soundsAsItIs(audio),
  }
}

/** An index may say anything: nothing is made for longer than this, in seconds, and nobody waits for it longer. */
export const longest = 86_400

/** Whether no picture has to be encoded anew: then it is made at once, out of the copy that the read-back wrote. */
export const isQuick = ({ video, copyVideo }: Plan): boolean => video === undefined || copyVideo

/**
 * Pieces go as they are stored: a disk that holds an original need not hold it twice. Where they are cut so much faster than the
 * store takes them that this is too little, whoever watches the disk while they are made sees it.
 */
const roomForPieces = 512 * 1024 * 1024

/** Bytes that have to be free where a recording is made playable: for its copy, unless that is there, and for its pieces. */
export const roomFor = ({ size }: Pick<RecordingRow, 'size'>, isCopied: boolean): number =>
  (isCopied ? 0 : size) + Math.min(size, roomForPieces)

export const proxyHeight = 480

/** Which renditions a recording gets, in the order in which they are made. */
export const kindsOf = ({ video, copyVideo }: Plan): RenditionKind[] => {
  if (video === undefined) return ['hls']
  // One encoded anew is small enough for any line; one that is small already needs no smaller one.
  const wantsProxy = copyVideo && Math.min(video.width ?? 0, video.height ?? 0) > proxyHeight
  // Key frames alone make a storyboard: the small form, which encodes every frame, hardly waits for it.
  return ['hls', 'poster', 'storyboard', ...(wantsProxy ? (['proxy'] as const) : [])]
}

/** How long a picture of a recording usually stands, in seconds. */
export const frameSeconds = ({ tracks }: Pick<RecordingRow, 'tracks'>): number =>
  1 / (tracks.find(({ kind }) => kind === 'video')?.frameRate ?? 25)
