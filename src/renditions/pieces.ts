import { boxesIn } from '../custody/examination/boxes.ts'

/** A piece of an HLS playlist; `duration` in seconds. */
export type Piece = { name: string; duration: number }

/** The pieces that a media playlist of ffmpeg's names so far. Anything but a plain name of ours is left out. */
export const piecesIn = (playlist: string): Piece[] => {
  const pieces: Piece[] = []
  let duration = 0
  for (const line of playlist.split('\n')) {
    const [, seconds] = /^#EXTINF:(\d+(?:\.\d+)?),/.exec(line) ?? []
    if (seconds !== undefined) duration = Number(seconds)
    if (/^\d{5,9}\.m4s$/.test(line)) pieces.push({ name: line, duration })
  }
  return pieces
}

/** Whether ffmpeg wrote its playlist to the end. */
export const isEnded = (playlist: string): boolean => /^#EXT-X-ENDLIST$/m.test(playlist)

/**
 * Whether a piece, or the beginning that all share, was written to its end: ffmpeg says nothing of it when the disk is full,
 * and lists a piece that was cut off as if all of it were there.
 */
export const isWhole = async (piece: Buffer): Promise<boolean> => {
  const readAt = async (offset: number, length: number) => piece.subarray(offset, offset + length)
  const budget = { boxes: Number.POSITIVE_INFINITY, rows: 0 }
  let end = 0
  let awaitsData = false
  for await (const box of boxesIn(readAt, 0, piece.length, budget)) {
    if (box.cut) return false
    if (box.type === 'moof') awaitsData = true
    if (box.type === 'mdat') awaitsData = false
    end = box.end
  }
  return end > 0 && end === piece.length && !awaitsData
}
