import { crc32 } from 'node:zlib'

/**
 * Takes the archive's bytes in order. They are good until it comes back, and no longer: whoever wants to keep them copies
 * them.
 */
export type Sink = (bytes: Buffer) => Promise<void>

export type ZipWriter = {
  /**
   * Writes one file of exactly `size` bytes, which `feed` gives piece by piece. Names are unique, relative, in ASCII, and ours. Throws where another number of bytes comes.
   */
  add(name: string, size: number, feed: (write: Sink) => Promise<void>): Promise<void>
  /** Writes the directory. Nothing may be added after it. Answers how many bytes the archive has. */
  end(): Promise<number>
}

const most16 = 0xffff
const most32 = 0xffffffff

/** An unsigned number in so many bytes, the lowest first. */
const field = (bytes: 2 | 4 | 8, value: number): Buffer => {
  const buffer = Buffer.alloc(bytes)
  if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value))
  else buffer.writeUIntLE(value, 0, bytes)
  return buffer
}
const u16 = (value: number) => field(2, value)
const u32 = (value: number) => field(4, value)
const u64 = (value: number) => field(8, value)

const extraField = (id: number, content: Buffer): Buffer => Buffer.concat([u16(id), u16(content.length), content])

/** MS-DOS counts from 1980, in pairs of seconds, in no time zone: UTC here, so that every machine writes the same. */
const dosTime = (at: Date): Buffer => {
  const time = (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1)
  const year = Math.min(Math.max(at.getUTCFullYear(), 1980), 2107)
  const date = ((year - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate()
  return Buffer.concat([u16(time), u16(date)])
}

const plain = 20
const zip64 = 45
const madeOnUnix = 3 << 8
/** The digest and the size come after the bytes; names are UTF-8. */
const flags = 0x0008 | 0x0800
const ordinaryFile = 0o100644

type Written = { name: Buffer; crc: number; size: number; offset: number; wide: boolean }

/**
 * Writes a ZIP as it goes: files stored as they are, all of one moment, a data descriptor behind each, ZIP64 where 32 bits
 * do not do. Memory holds the directory alone. The same files in the same order give the same bytes.
 */
export const zipWriter = (sink: Sink, at: Date): ZipWriter => {
  const time = dosTime(at)
  const stamp = extraField(0x5455, Buffer.concat([Buffer.from([1]), u32(Math.floor(at.getTime() / 1000))]))
  const files: Written[] = []
  let offset = 0

  const write = async (bytes: Buffer): Promise<void> => {
    await sink(bytes)
    offset += bytes.length
  }

  const localHeader = ({ name, wide }: Written): Buffer => {
    const sizes = wide ? Buffer.concat([u32(most32), u32(most32)]) : Buffer.alloc(8)
    const extra = wide ? Buffer.concat([extraField(1, Buffer.alloc(16)), stamp]) : stamp
    return Buffer.concat([
      ...[u32(0x04034b50), u16(wide ? zip64 : plain), u16(flags), u16(0), time, u32(0), sizes],
      ...[u16(name.length), u16(extra.length), name, extra],
    ])
  }

  const descriptor = ({ crc, size, wide }: Written): Buffer =>
    Buffer.concat([u32(0x08074b50), u32(crc), ...(wide ? [u64(size), u64(size)] : [u32(size), u32(size)])])

  const directoryEntry = ({ name, crc, size, offset: start, wide }: Written): Buffer => {
    const far = start >= most32
    const large = [...(wide ? [u64(size), u64(size)] : []), ...(far ? [u64(start)] : [])]
    const extra = Buffer.concat([...(large.length > 0 ? [extraField(1, Buffer.concat(large))] : []), stamp])
    const needed = large.length > 0 ? zip64 : plain
    const shown = u32(wide ? most32 : size)
    return Buffer.concat([
      ...[u32(0x02014b50), u16(madeOnUnix | zip64), u16(needed), u16(flags), u16(0), time, u32(crc), shown, shown],
      ...[u16(name.length), u16(extra.length), u16(0), u16(0), u16(0), u32(ordinaryFile * 0x10000)],
      ...[u32(far ? most32 : start), name, extra],
    ])
  }

  /** What points to the directory, with 64 bits before it where they are needed. */
  const ending = (start: number, size: number): Buffer => {
    const count = files.length
    const short = [u16(Math.min(count, most16)), u16(Math.min(count, most16))]
    const end = [
      u32(0x06054b50),
      u16(0),
      u16(0),
      ...short,
      u32(Math.min(size, most32)),
      u32(Math.min(start, most32)),
      u16(0),
    ]
    if (count < most16 && size < most32 && start < most32) return Buffer.concat(end)
    const large = [u32(0x06064b50), u64(44), u16(madeOnUnix | zip64), u16(zip64), u32(0), u32(0)]
    const locator = [u32(0x07064b50), u32(0), u64(start + size), u32(1)]
    return Buffer.concat([...large, u64(count), u64(count), u64(size), u64(start), ...locator, ...end])
  }

  return {
    add: async (name, size, feed) => {
      const file: Written = { name: Buffer.from(name), crc: 0, size: 0, offset, wide: size >= most32 }
      await write(localHeader(file))
      await feed(async (bytes) => {
        file.crc = crc32(bytes, file.crc)
        file.size += bytes.length
        if (file.size > size) throw new Error('more came of a file than was announced')
        await write(bytes)
      })
      if (file.size !== size) throw new Error('less came of a file than was announced')
      await write(descriptor(file))
      files.push(file)
    },
    end: async () => {
      const start = offset
      for (const file of files) await write(directoryEntry(file))
      await write(ending(start, offset - start))
      return offset
    },
  }
}
