import type { RecordingId, RenditionId } from '../base/ids.ts'

/** All keys of a rendition begin so; its own id makes sure that one made again writes none of the old keys. */
export const renditionPrefix = (recording: RecordingId, rendition: RenditionId): string =>
  `renditions/${recording}/${rendition}/`

/** Key in the bucket `derived` of one of a rendition's objects, whose name is ours: `init.mp4`, `00000.m4s`, `poster.jpg`. */
export const renditionKey = (recording: RecordingId, rendition: RenditionId, name: string): string =>
  `${renditionPrefix(recording, rendition)}${name}`
