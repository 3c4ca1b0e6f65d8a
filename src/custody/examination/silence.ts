import type { FfmpegWork } from '../../engines/ffmpeg-arguments.ts'

export type SilenceRules = {
  /** How much of the beginning is listened to, in seconds. */
  window: number
  /** Quieter than this, in dB of full scale, is digital silence; a live microphone in a quiet room is louder. */
  threshold: number
  /** Silence from the start counts from this long on, in seconds. */
  least: number
}

export const silenceRules: SilenceRules = { window: 120, threshold: -70, least: 5 }

/**
 * Decodes the first audio track's beginning and prints where silences start and end. They are read from metadata on
 * standard output, not from the log, where text of the file's own may stand.
 */
export const silenceWork = (
  folder: string,
  input: { path: string; demuxer: string },
  { window, threshold }: SilenceRules,
): FfmpegWork => {
  const print = (key: string) => `ametadata=mode=print:key=lavfi.${key}:file=-`
  const filters = [`silencedetect=noise=${threshold}dB:d=0.5`, print('silence_start'), print('silence_end')]
  return {
    folder,
    inputs: [{ ...input, options: ['-t', String(window)] }],
    outputs: [{ path: null, options: ['-map', '0:a:0', '-vn', '-sn', '-dn', '-af', filters.join(',')] }],
  }
}

/** The first silence in seconds from the file's start; `end` null when it lasted as long as was listened. */
export const firstSilence = (printed: string): { start: number; end: number | null } | null => {
  const value = (key: string) => new RegExp(`^lavfi\\.${key}=(-?\\d+(?:\\.\\d+)?)$`, 'm').exec(printed)?.[1]
  const start = value('silence_start')
  if (start === undefined) return null
  const end = value('silence_end')
  return { start: Number(start), end: end === undefined ? null : Number(end) }
}

/**
 * Whether a file starts without sound: the audio track begins late, or begins with digital silence, and sound follows (or
 * may follow, beyond what was listened to). `audioStart` and `duration` in seconds from the file's start.
 */
export const startsSilent = (
  silence: ReturnType<typeof firstSilence>,
  audioStart: number,
  duration: number,
  { window, least }: SilenceRules,
): boolean => {
  const fromTheStart = silence !== null && silence.start <= audioStart + 0.25
  if (fromTheStart && silence.end === null) return duration > window
  const until = fromTheStart ? (silence.end ?? 0) : audioStart
  // The last silence ends where the file does: then nothing follows.
  return until >= least && until < duration - 0.25
}
