import type { RecordingRow, Track } from '../engines/tables.ts'

/** 3723.4 → `1 h 2 min 3.4 s`. */
export const lasting = (seconds: number): string => {
  const tenths = Math.round(seconds * 10)
  const [h, min, s] = [Math.floor(tenths / 36_000), Math.floor(tenths / 600) % 60, (tenths % 600) / 10]
  return [...(h > 0 ? [`${h} h`] : []), ...(h > 0 || min > 0 ? [`${min} min`] : []), `${s} s`].join(' ')
}

/** A moment, in UTC, to the second. */
export const moment = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`

/** How far a camera's clock was off when it was docked. */
export const clockInWords = (offset: number | null): string => {
  if (offset === null) return "nobody compared the camera's clock"
  if (offset === 0) return "the camera's clock was right when it was docked"
  return `when it was docked, the camera's clock was ${Math.abs(offset)} s ${offset > 0 ? 'ahead' : 'behind'}`
}

const pictureOf = ({ width, height }: Track): string =>
  width === undefined || height === undefined ? 'picture' : `picture of ${width} × ${height}`

/** What is in a file, by its tracks. */
export const tracksInWords = ({ tracks, flags }: Pick<RecordingRow, 'tracks' | 'flags'>): string => {
  const video = tracks.find(({ kind }) => kind === 'video')
  const sound = tracks.some(({ kind }) => kind === 'audio')
  if (flags.includes('unplayable') || (video === undefined && !sound)) return 'no picture or sound that could be read'
  return [...(video === undefined ? [] : [pictureOf(video)]), sound ? 'sound' : 'no sound'].join(', ')
}
