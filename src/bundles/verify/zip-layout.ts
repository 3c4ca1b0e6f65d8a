import type { FileHandle } from 'node:fs/promises'
import { bytesOf, type Find } from './finding.ts'
import type { Listed } from './zip-directory.ts'
import { strayIn, wideOf } from './zip-extra.ts'
import { most32, piecewise } from './zip-frame.ts'

/** Where a file's bytes stand in the ZIP, and which checksum it states of them. */
export type Placed = { name: Buffer; start: number; size: number; crc?: number; barred?: true }

export const headerLength = 30
export const describedLater = 0x08
const encrypted = 0x41
const u64 = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at))

/** The two sizes in a local header, [whole, packed], from its ZIP64 part where they stand there. */
const localSizes = (header: Buffer, extra: Buffer): [number, number] => {
  const sizes: [number, number] = [header.readUInt32LE(22), header.readUInt32LE(18)]
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1) continue
    let next = at + 4
    const wide = (size: number): number => {
      if (size !== most32 || next + 8 > extra.length) return size
      next += 8
      return u64(extra, next - 8)
    }
    return [wide(sizes[0]), wide(sizes[1])]
  }
  return sizes
}

/** How long the record after a file's bytes is; null where it does not say what the directory says. */
const descriptorLength = (bytes: Buffer, { crc, size, packed }: Listed): number | null => {
  const signed = bytes.length >= 4 && bytes.readUInt32LE(0) === 0x08074b50
  const at = signed ? 4 : 0
  if (bytes.length < at + 12 || bytes.readUInt32LE(at) !== crc) return null
  if (bytes.length >= at + 20 && u64(bytes, at + 4) === packed && u64(bytes, at + 12) === size) return at + 20
  return bytes.readUInt32LE(at + 4) === packed && bytes.readUInt32LE(at + 8) === size ? at + 12 : null
}

type Local = { start: number; end: number; disagrees: boolean; stray: number }

/** Reads a file's local header, and what follows its bytes. Null where there is no such header. */
const localOf = async (bytesAt: ReturnType<typeof piecewise>, listed: Listed): Promise<Local | null> => {
  if (listed.header < 0) return null
  const header = await bytesAt(listed.header, headerLength)
  if (header.length < headerLength || header.readUInt32LE(0) !== 0x04034b50) return null
  const [nameLength, extraLength] = [header.readUInt16LE(26), header.readUInt16LE(28)]
  const rest = await bytesAt(listed.header + headerLength, nameLength + extraLength)
  const start = listed.header + headerLength + nameLength + extraLength
  const later = (listed.flags & describedLater) !== 0
  const extra = rest.subarray(nameLength)
  const stray = strayIn(extra, wideOf(header.readUInt32LE(22), header.readUInt32LE(18)))
  const [size, packed] = localSizes(header, extra)
  const unsaid = later && header.readUInt32LE(14) === 0
  const same =
    rest.subarray(0, nameLength).equals(listed.name) &&
    header.readUInt16LE(6) === listed.flags &&
    header.readUInt16LE(8) === listed.method &&
    (unsaid || header.readUInt32LE(14) === listed.crc) &&
    ((later && size === 0) || size === listed.size) &&
    ((later && packed === 0) || packed === listed.packed)
  const end = start + listed.packed
  if (!later) return { start, end, disagrees: !same, stray }
  const after = descriptorLength(await bytesAt(end, 24), listed)
  return { start, end: end + (after ?? 0), disagrees: !same || after === null, stray }
}

/** What cannot be read as it stands, in words; undefined where it is a file, stored. */
const barredBecause = ({ kind, flags, method, size, packed }: Listed): Parameters<Find> | undefined => {
  if (kind === 0xa000) {
    return ['link', null, 'This is a symbolic link: a bundle holds files only, and a link may lead anywhere.']
  }
  if (kind !== 0 && kind !== 0x8000) return ['special', null, 'By its mode this is neither a file nor a folder.']
  if ((flags & encrypted) !== 0) return ['encrypted', null, 'This file is encrypted. A bundle never is.']
  if (method !== 0 || size !== packed) {
    const says = 'This file is compressed, and a bundle only stores: the ZIP was packed anew. It was not unpacked here.'
    return ['compressed', null, `${says} Unpack it yourself, and check the folder.`]
  }
  return undefined
}

/** Reads every local header, and finds each byte of the ZIP up to `directory` that belongs to none of the files. */
export const layOut = async (
  handle: FileHandle,
  listed: readonly Listed[],
  [first, directory]: [number, number],
  find: Find,
): Promise<Placed[]> => {
  const placed: Placed[] = []
  const bytesAt = piecewise(handle)
  let reached = first
  for (const each of listed.toSorted((a, b) => a.header - b.header)) {
    const name = each.name.toString('utf8')
    const local = await localOf(bytesAt, each)
    const cut = local === null || local.end > directory
    if (local === null) find('cut', name, 'The ZIP lists this file, but where it should begin there is none.')
    else if (cut) find('cut', name, 'The ZIP lists more bytes of this file than there are.')
    else {
      if (local.disagrees) {
        find(
          'zip',
          name,
          'The ZIP states two things of this file, in its directory and beside it: programs may differ.',
        )
      }
      if (each.header < reached) find('zip', name, 'This file stands in the bytes of another one of the ZIP.')
      if (each.header > reached) {
        find(
          'padded',
          name,
          `Before this file are ${bytesOf(each.header - reached)} that belong to no file of the ZIP.`,
        )
      }
      reached = Math.max(reached, local.end)
    }
    const stray = each.stray + (local?.stray ?? 0)
    if (stray > 0) {
      const says = `The ZIP has ${bytesOf(stray)} about this file, as a comment or in extra fields, that are no part of it.`
      find('padded', name, says)
    }
    const barred = barredBecause(each)
    if (barred !== undefined && !each.name.toString('latin1').endsWith('/')) find(barred[0], name, barred[2])
    const wrong = cut || barred !== undefined
    const { crc, size } = each
    placed.push({ name: each.name, start: local?.start ?? 0, size, crc, ...(wrong && { barred: true }) })
  }
  if (reached < directory) {
    find('padded', null, `After the last file are ${bytesOf(directory - reached)} that belong to no file of the ZIP.`)
  }
  return placed
}
