import { most32 } from './zip-frame.ts'

/** Whether a field is nothing but a time, or an owner, as packers write them: in no more bytes than it takes. */
const isOrdinary = (id: number, data: Buffer): boolean => {
  switch (id) {
    // Modified, read and made, as seconds of unix; a directory may repeat the first alone.
    case 0x5455:
      return data.length % 4 === 1 && data.length <= 13 && data.readUInt8(0) <= 7
    // The same three of Windows.
    case 0x000a:
      return data.length === 32 && data.readUInt32LE(0) === 0 && data.readUInt32LE(4) === 0x00180001
    // User and group, by number.
    case 0x7875:
      return data.length === 11 && data.readUInt16LE(0) === 0x0401 && data.readUInt8(6) === 4
    default:
      return false
  }
}

/**
 * How many bytes of a file's extra fields are there for nothing: all that is no time, no owner, and none of the `wide`
 * numbers that 32 bits do not hold. Most programs never show them.
 */
export const strayIn = (extra: Buffer, wide: number): number => {
  const seen = new Set<number>()
  let stray = 0
  let at = 0
  while (at + 4 <= extra.length) {
    const id = extra.readUInt16LE(at)
    const data = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2))
    const known = id === 1 ? wide > 0 && data.length === wide * 8 : isOrdinary(id, data)
    if (!known || seen.has(id)) stray += 4 + data.length
    seen.add(id)
    at += 4 + data.length
  }
  return stray + extra.length - at
}

/** How many of these stand elsewhere, since 32 bits do not hold them. */
export const wideOf = (...numbers: readonly number[]): number => numbers.filter((each) => each >= most32).length
