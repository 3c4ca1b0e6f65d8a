import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { hex } from '../../base/digest.ts'
import type { Sha256 } from '../../base/ids.ts'
import { bytesOf, type Find } from './finding.ts'
import { systemWord } from './folder.ts'
import { Cut, type Source } from './source.ts'

const found = (path: string, error: unknown, find: Find): void => {
  if (error instanceof Cut) find('cut', path, `It ends after ${bytesOf(error.after)}.`)
  else find('unreadable', path, `It could not be read to its end (${systemWord(error)}), so it was not checked.`)
}

/** SHA-256 and CRC-32 of a member, in flat memory; null where it cannot be read, which is found. */
export const digestsOf = async (
  source: Source,
  path: string,
  find: Find,
  onBytes: (more: number) => void,
): Promise<{ sha256: Sha256; crc: number } | null> => {
  const hash = createHash('sha256')
  let crc = 0
  try {
    for await (const block of source.read(path)) {
      hash.update(block)
      crc = crc32(block, crc)
      onBytes(block.length)
    }
    return { sha256: hex(hash.digest()), crc }
  } catch (error) {
    found(path, error, find)
    return null
  }
}

/** A small member as text. Null where it is not there, barred, larger than `most` bytes or no UTF-8: all but the first are found. */
export const textOf = async (source: Source, path: string, most: number, find: Find): Promise<string | null> => {
  const member = source.members.get(path)
  if (member === undefined || member.barred) return null
  if (member.size > most) {
    find('unreadable', path, `It is larger than ${most} bytes, so it is no such file of ours. It was not read.`)
    return null
  }
  const pieces: Buffer[] = []
  try {
    for await (const block of source.read(path)) pieces.push(Buffer.from(block))
  } catch (error) {
    found(path, error, find)
    return null
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(pieces))
  } catch {
    find('unreadable', path, 'It is not UTF-8 text.')
    return null
  }
}

/** The same, of JSON; undefined where there is none. */
export const jsonOf = async (source: Source, path: string, most: number, find: Find): Promise<unknown> => {
  const text = await textOf(source, path, most, find)
  if (text === null) return undefined
  try {
    return JSON.parse(text)
  } catch {
    find('unreadable', path, 'It is not JSON.')
    return undefined
  }
}
