/** Degrees (WGS 84, north and east positive) and metres. */
export type Position = { latitude: number; longitude: number; altitude?: number; source: string }

/** Null when out of range, and at exactly 0, 0: devices without a fix write that, and it is open sea. */
const position = (latitude: number, longitude: number, altitude: number | undefined, source: string) => {
  if (!(Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180)) return null
  if (latitude === 0 && longitude === 0) return null
  const high = altitude !== undefined && Math.abs(altitude) < 100_000
  const round = (degrees: number) => Number(degrees.toFixed(7))
  return { latitude: round(latitude), longitude: round(longitude), ...(high ? { altitude } : {}), source }
}

/** `+52.52`, `+5231.2` or `+523112.0` as degrees: two digits (three for longitudes) of degrees, then minutes, then seconds. */
const degrees = (text: string, wide: boolean): number => {
  const sign = text.startsWith('-') ? -1 : 1
  const [whole = '', fraction = ''] = text.slice(1).split('.')
  const width = wide ? 3 : 2
  const part = (from: number, to: number, last: boolean) =>
    Number(`${whole.slice(from, to) || '0'}${last ? `.${fraction}` : ''}`)
  if (whole.length === width) return sign * part(0, width, true)
  if (whole.length === width + 2) return sign * (part(0, width, false) + part(width, width + 2, true) / 60)
  if (whole.length === width + 4)
    return sign * (part(0, width, false) + part(width, width + 2, false) / 60 + part(width + 2, width + 4, true) / 3600)
  return Number.NaN
}

/** ISO 6709 as cameras write it: `+52.5200+013.4050+034.5/`. */
export const parseIso6709 = (text: string, source: string): Position | null => {
  const match = /^([+-]\d{2,6}(?:\.\d{1,12})?)([+-]\d{3,7}(?:\.\d{1,12})?)([+-]\d{1,6}(?:\.\d{1,6})?)?/.exec(text)
  if (match?.[1] === undefined || match[2] === undefined) return null
  const altitude = match[3] === undefined ? undefined : Number(match[3])
  return position(degrees(match[1], false), degrees(match[2], true), altitude, source)
}

/** The content of QuickTime's `©xyz` box: length, language, text. */
export const parseXyz = (content: Buffer): Position | null => {
  if (content.length < 4) return null
  return parseIso6709(content.toString('latin1', 4, 4 + content.readUInt16BE(0)), '©xyz')
}

/** The content of 3GPP's `loci` box: a place's name, its role, and 16.16 fixed-point longitude, latitude, altitude. */
export const parseLoci = (content: Buffer): Position | null => {
  if (content.length < 8) return null
  const wide = [0xfeff, 0xfffe].includes(content.readUInt16BE(6))
  let at = 6
  if (wide) {
    while (at + 2 <= content.length && content.readUInt16BE(at) !== 0) at += 2
    at += 2
  } else {
    const end = content.indexOf(0, at)
    if (end === -1) return null
    at = end + 1
  }
  at += 1
  if (at + 12 > content.length) return null
  const fixed = (from: number) => Number((content.readInt32BE(from) / 65_536).toFixed(5))
  const body = content.toString('latin1', at + 12, at + 18).toLowerCase()
  if (body !== '' && !body.startsWith('\0') && !body.startsWith('earth')) return null
  return position(fixed(at + 4), fixed(at), fixed(at + 8), 'loci')
}

const sentence = /\$(G[A-Z](?:RMC|GGA)),([^*$\r\n]{1,120})\*([0-9A-Fa-f]{2})/g

/** The exclusive or of every character between `$` and `*`. */
const checksum = (text: string): number =>
  [...text].reduce((sum, character) => sum ^ (character.codePointAt(0) ?? 0), 0)

/** `4807.038` and a hemisphere as degrees. */
const nmeaDegrees = (value: string | undefined, hemisphere: string | undefined): number => {
  const match = /^(\d{2,3})(\d{2}(?:\.\d{1,9})?)$/.exec(value ?? '')
  if (match === null || !['N', 'S', 'E', 'W'].includes(hemisphere ?? '')) return Number.NaN
  const size = Number(match[1]) + Number(match[2]) / 60
  return hemisphere === 'S' || hemisphere === 'W' ? -size : size
}

/** The first fix in NMEA 0183 text, from RMC or GGA sentences whose checksum is right and that claim a fix. */
export const parseNmea = (text: string): Position | null => {
  for (const [, kind = '', rest = '', sum = ''] of text.matchAll(sentence)) {
    if (checksum(`${kind},${rest}`) !== Number.parseInt(sum, 16)) continue
    const fields = rest.split(',')
    const isGga = kind.endsWith('GGA')
    if (isGga ? !(Number(fields[5]) > 0) : fields[1] !== 'A') continue
    const from = isGga ? 1 : 2
    const latitude = nmeaDegrees(fields[from], fields[from + 1])
    const longitude = nmeaDegrees(fields[from + 2], fields[from + 3])
    const altitude = isGga && fields[8] !== undefined && fields[8] !== '' ? Number(fields[8]) : undefined
    const found = position(latitude, longitude, altitude, 'nmea')
    if (found !== null) return found
  }
  return null
}
