import path from 'node:path'

/** What ffmpeg reads: a file whose demuxer its bytes decided, or a test picture or tone that a filter makes. */
export type Input = { path: string; demuxer: string; options?: string[] } | { graph: string; options?: string[] }

/** `path` null throws the result away, for work whose result is what ffmpeg says. */
export type Output = { path: string | null; options: string[] }

/** One run of ffmpeg. Every file lies in `folder`, the only one it sees. */
export type FfmpegWork = { folder: string; inputs: Input[]; outputs: Output[] }

export type ReadingLimits = {
  /** Of one frame. */
  maxPixels: number
  maxStreams: number
}

const inside = (folder: string, file: string): string => {
  if (!path.isAbsolute(file) || path.dirname(path.normalize(file)) !== path.normalize(folder))
    throw new TypeError('ffmpeg reads and writes only in its own scratch folder')
  return `file:${path.normalize(file)}`
}

/**
 * What stands before every hostile input. The demuxer is forced, since a guess turns a text into a playlist that names
 * other files; no protocol but `file`; QuickTime's references to other files stay closed.
 */
const readingRules = (demuxer: string, { maxPixels, maxStreams }: ReadingLimits): string[] => [
  ...['-protocol_whitelist', 'file', '-max_streams', String(maxStreams), '-max_pixels', String(maxPixels)],
  ...(demuxer === 'mov' ? ['-enable_drefs', '0'] : []),
  ...['-f', demuxer],
]

export const inputWords = (folder: string, input: Input, limits: ReadingLimits): { options: string[]; from: string } =>
  'graph' in input
    ? { options: [...(input.options ?? []), '-f', 'lavfi'], from: input.graph }
    : {
        options: [...(input.options ?? []), ...readingRules(input.demuxer, limits)],
        from: inside(folder, input.path),
      }

export const outputWords = (folder: string, output: Output): { options: string[]; to: string } =>
  output.path === null
    ? { options: [...output.options, '-f', 'null'], to: '-' }
    : { options: output.options, to: inside(folder, output.path) }

/** Standing before the first input; progress goes to stderr as `key=value` lines. */
export const globalWords = (progress: boolean): string[] => [
  ...['-nostdin', '-hide_banner', '-y', '-v', 'error', '-nostats'],
  ...(progress ? ['-progress', 'pipe:2'] : []),
]

/** The whole command line of one run, for the record of what was derived: paths without their folder. */
export const recordedWords = (work: FfmpegWork, limits: ReadingLimits): string[] => {
  const words = [
    ...globalWords(false),
    ...work.inputs.flatMap((input) => {
      const { options, from } = inputWords(work.folder, input, limits)
      return [...options, '-i', from]
    }),
    ...work.outputs.flatMap((output) => {
      const { options, to } = outputWords(work.folder, output)
      return [...options, to]
    }),
  ]
  return words.map((word) => word.replaceAll(`${work.folder}/`, ''))
}

/** ffprobe's command line: `ask` says what to show (`-show_format` and the like), the answer is JSON. */
export const probeWords = (file: string, demuxer: string, ask: string[], limits: ReadingLimits): string[] => [
  ...['-hide_banner', '-v', 'error', '-of', 'json=compact=1'],
  ...ask,
  ...readingRules(demuxer, limits),
  inside(path.dirname(file), file),
]
