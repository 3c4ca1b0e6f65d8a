import { u16 } from './writing.ts'

/** What an MP4 file keeps of an H.264 track beside its samples (`avcC`, ISO 14496-15): parameter sets without start codes. */
export type ParameterSets = {
  profile: number
  compatibility: number
  level: number
  lengthSize: number
  sps: Buffer[]
  pps: Buffer[]
  /** What profiles from High on say once more of depth and colours. */
  extension: Buffer
}

/** Something in the stream that is not as it has to be for its pictures to be copied. Its message says what, for a person. */
export class NotPlain extends Error {}

const take = (bytes: Buffer, from: number, length: number): Buffer => {
  if (from + length > bytes.length) throw new NotPlain('its parameter sets are cut short')
  return bytes.subarray(from, from + length)
}

/** Reads the content of an `avcC` box. */
export const parameterSetsOf = (content: Buffer): ParameterSets => {
  const [version, profile = 0, compatibility = 0, level = 0, size = 0, count = 0] = take(content, 0, 6)
  if (version !== 1) throw new NotPlain('its parameter sets are of an unknown version')
  let at = 6
  const sets = (many: number): Buffer[] =>
    Array.from({ length: many }, () => {
      const length = take(content, at, 2).readUInt16BE(0)
      const set = take(content, at + 2, length)
      at += 2 + length
      return set
    })
  const sps = sets(count & 31)
  const [pictures = 0] = take(content, at, 1)
  at += 1
  const pps = sets(pictures)
  return { profile, compatibility, level, lengthSize: (size & 3) + 1, sps, pps, extension: content.subarray(at) }
}

/** The content of an `avcC` box. */
export const avcC = ({ profile, compatibility, level, lengthSize, sps, pps, extension }: ParameterSets): Buffer => {
  const listed = (sets: Buffer[]) => sets.flatMap((set) => [u16(set.length), set])
  return Buffer.concat([
    Buffer.from([1, profile, compatibility, level, 0xfc | (lengthSize - 1), 0xe0 | sps.length]),
    ...listed(sps),
    Buffer.from([pps.length]),
    ...listed(pps),
    extension,
  ])
}

/** What a unit says, without its emulation prevention bytes (7.3.1). */
const payloadOf = (unit: Buffer): Buffer =>
  Buffer.from(unit.filter((byte, at) => !(byte === 3 && at >= 2 && unit[at - 1] === 0 && unit[at - 2] === 0)))

/** Reads the bits of a parameter set. */
const bitsOf = (set: Buffer) => {
  const bytes = payloadOf(set)
  let at = 0
  const bit = (): number => {
    const byte = bytes[at >> 3]
    if (byte === undefined) throw new NotPlain('a parameter set ends too soon')
    return (byte >> (7 - (at++ & 7))) & 1
  }
  const bits = (many: number): number => {
    let value = 0
    for (let n = 0; n < many; n++) value = value * 2 + bit()
    return value
  }
  const golomb = (): number => {
    let zeros = 0
    while (bit() === 0) if (++zeros > 31) throw new NotPlain('a parameter set makes no sense')
    return 2 ** zeros - 1 + bits(zeros)
  }
  const signed = (): number => {
    const code = golomb()
    return code % 2 === 1 ? (code + 1) / 2 : -code / 2
  }
  return { bit, bits, golomb, signed }
}

const skipScaling = ({ signed }: ReturnType<typeof bitsOf>, many: number): void => {
  let [last, next] = [8, 8]
  for (let n = 0; n < many; n++) {
    if (next !== 0) next = (last + signed() + 256) % 256
    last = next === 0 ? last : next
  }
}

const highProfiles = new Set([100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135])

export type SequenceFacts = {
  id: number
  profile: number
  fullFrames: boolean
  plainColours: boolean
  references: number
}

/** What a sequence parameter set (7.3.2.1.1) says. `plainColours`: eight bits, 4:2:0. */
export const sequenceFacts = (sps: Buffer): SequenceFacts => {
  const reader = bitsOf(sps.subarray(1))
  const { bit, bits, golomb, signed } = reader
  const profile = bits(8)
  bits(16)
  const id = golomb()
  let plainColours = true
  if (highProfiles.has(profile)) {
    const chroma = golomb()
    if (chroma === 3) bit()
    const depths = golomb() + golomb()
    const lossless = bit()
    plainColours = chroma === 1 && depths === 0 && lossless === 0
    const lists = bit() === 1 ? (chroma === 3 ? 12 : 8) : 0
    for (let n = 0; n < lists; n++) if (bit() === 1) skipScaling(reader, n < 6 ? 16 : 64)
  }
  golomb()
  const order = golomb()
  if (order === 0) golomb()
  if (order === 1) {
    bit()
    signed()
    signed()
    for (let left = golomb(); left > 0; left--) signed()
  }
  const references = golomb()
  bit()
  golomb()
  golomb()
  return { id, profile, fullFrames: bit() === 1, plainColours, references }
}

/** The ids of a picture parameter set and of the sequence it belongs to. */
export const pictureIds = (pps: Buffer): { id: number; sequence: number } => {
  const { golomb } = bitsOf(pps.subarray(1))
  return { id: golomb(), sequence: golomb() }
}

export type Unit = { type: number; start: number; end: number; bytes: Buffer }

/** The units of a sample, each behind its length; `start` is where that length stands. */
export const unitsOf = (sample: Buffer, lengthSize: number): Unit[] => {
  const units: Unit[] = []
  for (let start = 0; start < sample.length; ) {
    if (start + lengthSize >= sample.length) throw new NotPlain('a frame is cut short')
    const body = start + lengthSize
    const end = body + sample.readUIntBE(start, lengthSize)
    if (end > sample.length || end === body) throw new NotPlain('a frame is cut short')
    const bytes = sample.subarray(body, end)
    units.push({ type: (bytes[0] ?? 0) & 31, start, end, bytes })
    start = end
  }
  return units
}

/**
 * Supplemental information (annex D) that says how the pictures are to be shown: where decoding may begin, which way up they
 * are, their colours. By its kind, the bytes that its syntax can fill at most. No kind is needed to decode them.
 */
const forPlayers = new Map([
  [6, 5],
  [47, 7],
  [147, 1],
])

/**
 * Whether supplemental information may carry somebody's own data (positions, names) beside the picture: whatever is not known
 * to be for players alone, is longer than that can be, or cannot be read to its end.
 */
export const carriesData = ({ bytes }: Unit): boolean => {
  const said = payloadOf(bytes.subarray(1))
  const last = said.findLastIndex((byte) => byte !== 0)
  const number = (from: number): [value: number, next: number] => {
    let at = from
    while (said[at] === 255) at += 1
    return [255 * (at - from) + (said[at] ?? 0), at + 1]
  }
  for (let at = 0; at < last; ) {
    const [type, afterType] = number(at)
    const [size, body] = number(afterType)
    at = body + size
    if (at > last || size > (forPlayers.get(type) ?? -1)) return true
  }
  return said[last] !== 0x80
}
