import type { RenditionFacts, RenditionObjectRow } from '../engines/tables.ts'

/** An object of a rendition, as a playlist needs it. Times in seconds. */
export type Piece = Pick<RenditionObjectRow, 'number' | 'name' | 'start' | 'duration'>

export type Stream = { complete: boolean; facts: RenditionFacts; bitsPerSecond: number }

const isFirst = ({ number }: Piece): boolean => number === 0

/**
 * The playlist of one rendition: a growing one while it is being made, played from its beginning all the same, and a
 * complete one when it is ready. `pieces` in order, the first the beginning that all segments share.
 */
export const mediaPlaylist = (complete: boolean, pieces: readonly Piece[]): string => {
  const segments = pieces.filter((piece) => !isFirst(piece))
  const longest = segments.reduce((most, { duration }) => Math.max(most, duration), 0)
  return [
    '#EXTM3U',
    '#EXT-X-VERSION:7',
    `#EXT-X-TARGETDURATION:${Math.max(1, Math.ceil(longest))}`,
    '#EXT-X-MEDIA-SEQUENCE:1',
    `#EXT-X-PLAYLIST-TYPE:${complete ? 'VOD' : 'EVENT'}`,
    // Players begin a playlist that still grows near its end.
    ...(complete ? [] : ['#EXT-X-START:TIME-OFFSET=0,PRECISE=YES']),
    ...pieces.filter(isFirst).map(({ name }) => `#EXT-X-MAP:URI="${name}"`),
    ...segments.flatMap(({ name, duration }) => [`#EXTINF:${duration.toFixed(6)},`, name]),
    ...(complete ? ['#EXT-X-ENDLIST'] : []),
    '',
  ].join('\n')
}

const variant = ({ facts }: Stream, bandwidth: number, uri: string): string[] => {
  const { width, height, codecs } = facts
  const attributes = [
    `BANDWIDTH=${bandwidth}`,
    ...(width === undefined || height === undefined ? [] : [`RESOLUTION=${width}x${height}`]),
    ...(codecs === undefined ? [] : [`CODECS="${codecs}"`]),
  ]
  return [`#EXT-X-STREAM-INF:${attributes.join(',')}`, uri]
}

/**
 * The playlist of playlists, addresses relative to it. The proxy stands beside the full picture once both are complete,
 * since a player cannot change between one that grows and one that does not; alone, it is there from its first segment.
 */
export const masterPlaylist = ({ hls, proxy }: { hls?: Stream; proxy?: Stream }): string => {
  const bandwidth = (stream: Stream): number => Math.max(2, Math.ceil(stream.bitsPerSecond))
  const beside = hls === undefined || (hls.complete && proxy?.complete === true)
  // Where the original is of so few bits that its proxy has more, a player must still take the full picture for the better.
  const most = hls === undefined ? Number.POSITIVE_INFINITY : bandwidth(hls) - 1
  return [
    '#EXTM3U',
    '#EXT-X-VERSION:7',
    ...(hls === undefined ? [] : variant(hls, bandwidth(hls), 'hls/index.m3u8')),
    ...(proxy === undefined || !beside ? [] : variant(proxy, Math.min(bandwidth(proxy), most), 'proxy/index.m3u8')),
    '',
  ].join('\n')
}
