import { crc32 } from 'node:zlib'

/** A file of a ZIP, and what is to be wrong with it. */
export type Zipped = {
  name: string | Buffer
  bytes: Buffer
  /** What the directory says of it, where that is not what is true. */
  method?: number
  flags?: number
  mode?: number
  size?: number
  /** The name beside its bytes, where that is another one. */
  localName?: string
  /** Bytes that belong to no file, before it. */
  before?: Buffer
  /** The checksum that is stated of it, where that is not what is true. */
  crc?: number
  /** Of the directory. */
  comment?: Buffer
  extra?: Buffer
  /** The extra fields beside its bytes. */
  localExtra?: Buffer
}

/** The digest and the size stand behind the bytes; names are UTF-8: as in ours. */
const ordinary = 0x0808
const none = Buffer.alloc(0)

/**
 * A ZIP written from its specification (PKWARE's APPNOTE), apart from the product's own writer: it can be made wrong.
 * ZIP64 where there are more than 65,535 files.
 */
export const zipOf = (files: Iterable<Zipped>): Buffer => {
  const pieces: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  let count = 0
  const put = (bytes: Buffer): void => {
    pieces.push(bytes)
    offset += bytes.length
  }
  for (const file of files) {
    const { name, bytes, method = 0, flags = ordinary, mode = 0o100644, size, localName, before } = file
    const { comment = none, extra = none, localExtra = none } = file
    if (before !== undefined) put(before)
    const listed = Buffer.from(name)
    const local = Buffer.from(localName ?? name)
    const crc = file.crc ?? crc32(bytes)
    const start = offset
    const later = (flags & 8) !== 0
    const header = Buffer.alloc(30)
    header.writeUInt32LE(0x04034b50, 0)
    header.writeUInt16LE(20, 4)
    header.writeUInt16LE(flags, 6)
    header.writeUInt16LE(method, 8)
    if (!later) {
      header.writeUInt32LE(crc, 14)
      header.writeUInt32LE(bytes.length, 18)
      header.writeUInt32LE(size ?? bytes.length, 22)
    }
    header.writeUInt16LE(local.length, 26)
    header.writeUInt16LE(localExtra.length, 28)
    put(header)
    put(local)
    put(localExtra)
    put(bytes)
    if (later) {
      const after = Buffer.alloc(16)
      after.writeUInt32LE(0x08074b50, 0)
      after.writeUInt32LE(crc, 4)
      after.writeUInt32LE(bytes.length, 8)
      after.writeUInt32LE(size ?? bytes.length, 12)
      put(after)
    }
    const entry = Buffer.alloc(46)
    entry.writeUInt32LE(0x02014b50, 0)
    entry.writeUInt16LE((3 << 8) | 20, 4)
    entry.writeUInt16LE(20, 6)
    entry.writeUInt16LE(flags, 8)
    entry.writeUInt16LE(method, 10)
    entry.writeUInt32LE(crc, 16)
    entry.writeUInt32LE(bytes.length, 20)
    entry.writeUInt32LE(size ?? bytes.length, 24)
    entry.writeUInt16LE(listed.length, 28)
    entry.writeUInt16LE(extra.length, 30)
    entry.writeUInt16LE(comment.length, 32)
    entry.writeUInt32LE(mode * 0x10000, 38)
    entry.writeUInt32LE(start, 42)
    directory.push(entry, listed, extra, comment)
    count++
  }
  const start = offset
  for (const bytes of directory) put(bytes)
  const size = offset - start
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(start, 16)
  end.writeUInt16LE(Math.min(count, 0xffff), 8)
  end.writeUInt16LE(Math.min(count, 0xffff), 10)
  if (count >= 0xffff) {
    const large = Buffer.alloc(76)
    large.writeUInt32LE(0x06064b50, 0)
    large.writeBigUInt64LE(44n, 4)
    large.writeBigUInt64LE(BigInt(count), 24)
    large.writeBigUInt64LE(BigInt(count), 32)
    large.writeBigUInt64LE(BigInt(size), 40)
    large.writeBigUInt64LE(BigInt(start), 48)
    large.writeUInt32LE(0x07064b50, 56)
    large.writeBigUInt64LE(BigInt(offset), 64)
    large.writeUInt32LE(1, 72)
    put(large)
  }
  put(end)
  return Buffer.concat(pieces)
}
