/** What the first bytes of a file say it is; the demuxer is the one ffmpeg is forced to use, so that it never guesses. */
export type Container = { kind: string; demuxer: string; mediaType: string }

/** How many bytes of a file `sniff` wants to see; fewer only if the file has fewer. */
export const headLength = 4096

const isoBoxes = new Set('ftyp styp moov moof mdat wide free skip pnot uuid sidx'.split(' '))

const isoByBrand = (brand: string): Container => {
  if (brand === 'qt  ') return { kind: 'mov', demuxer: 'mov', mediaType: 'video/quicktime' }
  if (brand.startsWith('3g')) return { kind: '3gp', demuxer: 'mov', mediaType: 'video/3gpp' }
  if (brand.startsWith('M4A')) return { kind: 'm4a', demuxer: 'mov', mediaType: 'audio/mp4' }
  return { kind: 'mp4', demuxer: 'mov', mediaType: 'video/mp4' }
}

/** MP4 and its family. A camera that lost power, and classic QuickTime, start without an `ftyp`. */
const iso = (head: Buffer): Container | null => {
  if (head.length < 8) return null
  const size = head.readUInt32BE(0)
  const type = head.toString('latin1', 4, 8)
  if (!isoBoxes.has(type)) return null
  if (type === 'ftyp') return size >= 12 && size <= headLength ? isoByBrand(head.toString('latin1', 8, 12)) : null
  // Sizes below a header's own are meaningless, except 0 (to the end of the file) and 1 (a 64-bit size follows).
  if (size > 1 && size < 8) return null
  return ['styp', 'moof', 'sidx'].includes(type) ? isoByBrand('') : isoByBrand('qt  ')
}

const riff = (head: Buffer): Container | null => {
  const form = head.toString('latin1', 8, 12)
  const outer = head.toString('latin1', 0, 4)
  if (outer === 'RIFF' && form === 'AVI ') return { kind: 'avi', demuxer: 'avi', mediaType: 'video/x-msvideo' }
  if (['RIFF', 'RF64', 'BW64'].includes(outer) && form === 'WAVE')
    return { kind: 'wav', demuxer: 'wav', mediaType: 'audio/wav' }
  return null
}

/** EBML names its document type in the first few dozen bytes: element 0x4282, a one-byte length, the name. */
const matroska = (head: Buffer): Container | null => {
  if (head.length < 8 || head.readUInt32BE(0) !== 0x1a45dfa3) return null
  const at = head.subarray(0, 128).indexOf(Buffer.from([0x42, 0x82]))
  const name = at === -1 ? '' : head.toString('latin1', at + 3, at + 3 + ((head[at + 2] ?? 0x80) & 0x7f))
  if (name === 'webm') return { kind: 'webm', demuxer: 'matroska', mediaType: 'video/webm' }
  return name === 'matroska' ? { kind: 'matroska', demuxer: 'matroska', mediaType: 'video/x-matroska' } : null
}

/** Transport packets start with 0x47 every 188 bytes, or after a four-byte time stamp every 192. */
const transport = (head: Buffer): Container | null => {
  const synced = (first: number, stride: number) =>
    [0, 1, 2, 3, 4].every((packet) => head[first + packet * stride] === 0x47)
  if (!synced(0, 188) && !synced(4, 192)) return null
  return { kind: 'mpeg-ts', demuxer: 'mpegts', mediaType: 'video/mp2t' }
}

const signatures: { bytes: number[]; is: Container }[] = [
  { bytes: [0, 0, 1, 0xba], is: { kind: 'mpeg-ps', demuxer: 'mpeg', mediaType: 'video/mpeg' } },
  { bytes: [0, 0, 1, 0xb3], is: { kind: 'mpeg-video', demuxer: 'mpegvideo', mediaType: 'video/mpeg' } },
  { bytes: [...Buffer.from('OggS')], is: { kind: 'ogg', demuxer: 'ogg', mediaType: 'video/ogg' } },
  { bytes: [...Buffer.from('FLV\x01')], is: { kind: 'flv', demuxer: 'flv', mediaType: 'video/x-flv' } },
  { bytes: [...Buffer.from('fLaC')], is: { kind: 'flac', demuxer: 'flac', mediaType: 'audio/flac' } },
  { bytes: [...Buffer.from('ID3')], is: { kind: 'mp3', demuxer: 'mp3', mediaType: 'audio/mpeg' } },
  {
    bytes: [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11],
    is: { kind: 'asf', demuxer: 'asf', mediaType: 'video/x-ms-asf' },
  },
]

const signed = (head: Buffer): Container | null =>
  signatures.find(({ bytes }) => bytes.every((byte, at) => head[at] === byte))?.is ?? null

/**
 * The container, told by its first `headLength` bytes alone. Null when no demuxer fits: text, playlists and scripts that
 * name other files, archives, zeros. What is not positively known never reaches a demuxer.
 */
export const sniff = (head: Buffer): Container | null =>
  iso(head) ?? riff(head) ?? matroska(head) ?? signed(head) ?? transport(head)
