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
