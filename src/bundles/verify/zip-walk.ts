import type { FileHandle } from 'node:fs/promises'
import { bytesOf, type Find } from './finding.ts'
import { mostFiles } from './source.ts'
import { bytesAt } from './zip-frame.ts'
import { describedLater, headerLength, type Placed } from './zip-layout.ts'

const windowSize = 4 * 1024 * 1024
const longest = 24
/** What begins a record of the directory, or of what closes it. */
const closing = ['PK\u0001\u0002', 'PK\u0006\u0006', 'PK\u0005\u0006']

/** Where a file whose size was not known beforehand ends: at the record that states just as many bytes as there are. */
const endOf = async (handle: FileHandle, start: number, fileSize: number): Promise<[number, number] | null> => {
  for (let at = start; at < fileSize; at += windowSize) {
    const bytes = await bytesAt(handle, at, Math.min(windowSize + longest, fileSize - at))
    for (let hit = bytes.indexOf('PK\u0007\u0008', 0, 'latin1'); hit >= 0; ) {
      const size = at + hit - start
      const low = size % 2 ** 32
      if (hit + 16 <= bytes.length && bytes.readUInt32LE(hit + 8) === low) {
        const wide = hit + 24 <= bytes.length && bytes.readBigUInt64LE(hit + 8) === BigInt(size)
        if (wide && bytes.readBigUInt64LE(hit + 16) === BigInt(size)) return [size, longest]
        if (bytes.readUInt32LE(hit + 12) === low) return [size, 16]
      }
      hit = bytes.indexOf('PK\u0007\u0008', hit + 1, 'latin1')
    }
  }
  return null
}

/** A ZIP whose directory is gone, file by file from its front: what is whole in it, and where it was cut. */
export const walk = async (handle: FileHandle, fileSize: number, find: Find): Promise<Placed[]> => {
  const placed: Placed[] = []
  for (let at = 0; at < fileSize && placed.length < mostFiles; ) {
    const header = await bytesAt(handle, at, headerLength)
    const signature = header.subarray(0, 4).toString('latin1')
    if (closing.includes(signature)) break
    if (header.length === headerLength && signature !== 'PK\u0003\u0004') {
      find('zip', null, `From byte ${at} on it is no ZIP, and nothing after that was looked at.`)
      break
    }
    const nameLength = header.length < headerLength ? 0 : header.readUInt16LE(26)
    const name = await bytesAt(handle, at + headerLength, nameLength)
    if (nameLength === 0 || name.length < nameLength) {
      find('cut', null, `The ZIP ends in the middle of a file's name, at byte ${fileSize}.`)
      break
    }
    const start = at + headerLength + nameLength + header.readUInt16LE(28)
    const stated = header.readUInt32LE(18)
    const later = (header.readUInt16LE(6) & describedLater) !== 0
    const found = later ? await endOf(handle, start, fileSize) : ([stated, 0] satisfies [number, number])
    const path = name.toString('utf8')
    if (found === null || start + found[0] > fileSize) {
      const there = bytesOf(Math.max(0, fileSize - start))
      find('cut', path, `The ZIP ends in the middle of this file: ${there} of it are there.`)
      placed.push({ name, start, size: Math.max(0, fileSize - start), barred: true })
      break
    }
    const barred = header.readUInt16LE(8) !== 0
    if (barred) find('compressed', path, 'This file is compressed, and a bundle only stores. It was not unpacked here.')
    placed.push({ name, start, size: found[0], ...(barred && { barred }) })
    at = start + found[0] + found[1]
  }
  return placed
}
