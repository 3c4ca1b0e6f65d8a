import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BundleVerdict, verifyBundle } from '../../src/bundles/verify.ts'
import { asFolder, asZip, type Built, zipped } from '../bundle-builder.ts'
import { expectTold, media, smallBundle, told, verifyBytes } from '../bundle-verdicts.ts'
import { type Zipped, zipOf } from '../bundle-zip.ts'

let place: string
beforeAll(async () => {
  place = await mkdtemp(path.join(os.tmpdir(), 'exhibit-hostile-'))
})
afterAll(async () => await rm(place, { recursive: true, force: true }))

/** The bundle as a ZIP after something was done to the list of its files. */
const verifyZipped = async (spoil: (files: Zipped[], built: Built) => Zipped[]): Promise<BundleVerdict> => {
  const built = smallBundle()
  return await verifyBytes(zipOf(spoil(zipped(built), built)))
}

const of = (built: Built, name: string) => (file: Zipped) => file.name === `${built.top}/${name}`
const spoilt =
  (name: string, how: Partial<Zipped>) =>
  (files: Zipped[], built: Built): Zipped[] =>
    files.map((file) => (of(built, name)(file) ? { ...file, ...how } : file))

describe('a ZIP that was tampered with as a file', () => {
  it('is told whole by its files where nothing was done to it', async () => {
    const verdict = await verifyBytes(asZip(smallBundle()))
    expect(told(verdict)).toEqual([])
    expect(verdict).toMatchObject({ ok: true, kind: 'zip', exhibits: 2, receipts: 2, leaves: 2, entries: 4 })
    expect(verdict.right).toBe(verdict.files - 1)
  })

  it('and was cut anywhere, is never taken for whole, and the file that was cut is named', async () => {
    const built = smallBundle()
    const bytes = asZip(built)
    const inside = bytes.indexOf(built.files.get(media) ?? '') + 1000
    const verdict = await verifyBytes(bytes.subarray(0, inside))
    expectTold(verdict, `cut ${media}`, 'The ZIP ends in the middle of this file: 1000 bytes of it are there.')
    expectTold(verdict, 'manifest -', 'cannot be told which files belong')
    expectTold(verdict, 'missing manifest-sha256.txt', 'is not there')

    const names = new Set([...built.files.keys()])
    for (let end = 0; end < bytes.length; end += Math.ceil(bytes.length / 60)) {
      const cut = await verifyBytes(bytes.subarray(0, end))
      expect(cut.ok).toBe(false)
      expect(told(cut).some((line) => line.startsWith('cut'))).toBe(true)
      for (const { kind, path: at } of cut.findings) if (kind === 'missing') expect(names.has(at ?? '')).toBe(true)
    }
  })

  it('and was cut after its last file, has all files checked still', async () => {
    const bytes = asZip(smallBundle())
    const verdict = await verifyBytes(bytes.subarray(0, bytes.indexOf('PK\u0001\u0002') + 100))
    expect(told(verdict)).toEqual(['cut -'])
    expect(verdict.right).toBe(verdict.files - 1)
  })

  it('and lost its beginning, says what is gone', async () => {
    const built = smallBundle()
    const bytes = asZip(built)
    const gone = bytes.indexOf(built.files.get(media) ?? '') + 10
    const verdict = await verifyBytes(bytes.subarray(gone))
    expectTold(verdict, 'cut -', `At the beginning, ${gone} bytes of the ZIP are gone.`)
    expectTold(verdict, `cut ${media}`, 'where it should begin there is none')
    expect(verdict.right).toBeGreaterThan(5)
  })

  it.each([
    ['before', (bytes: Buffer) => Buffer.concat([Buffer.from('#!/bin/sh\n'), bytes]), 'Before the ZIP are 10 bytes'],
    ['after', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('more')]), 'After the ZIP are 4 bytes'],
    ['a page after', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(70_000, 'x')]), 'After the ZIP are 70000'],
  ])('and has bytes %s it, is told padded, and its files are checked all the same', async (_, pad, says) => {
    const verdict = await verifyBytes(pad(asZip(smallBundle())))
    expect(told(verdict)).toEqual(['padded -'])
    expectTold(verdict, 'padded -', says)
    expect(verdict.right).toBe(verdict.files - 1)
  })

  it('and has more bytes after it than are searched, is read from its front', async () => {
    const verdict = await verifyBytes(Buffer.concat([asZip(smallBundle()), Buffer.alloc(3_000_000)]))
    expect(told(verdict)).toEqual(['cut -'])
    expect(verdict.right).toBe(verdict.files - 1)
  })

  it('and has bytes between its files, is told padded', async () => {
    const verdict = await verifyZipped(spoilt(media, { before: Buffer.from('PK\u0003\u0004 hidden') }))
    expectTold(verdict, `padded ${media}`, 'Before this file are 11 bytes')
  })

  const field = (id: number, data: Buffer): Buffer => {
    const head = Buffer.alloc(4)
    head.writeUInt16LE(id, 0)
    head.writeUInt16LE(data.length, 2)
    return Buffer.concat([head, data])
  }
  const filling = field(0x4141, Buffer.alloc(60_000, 'x'))

  it.each([
    [60_000, 'as the comment of a file', { comment: Buffer.alloc(60_000, 'x') }],
    [60_004, "in a file's extra fields beside it", { localExtra: filling }],
    [60_004, "in a file's extra fields of the directory", { extra: filling }],
    [36, 'as another name of a file', { extra: field(0x7075, Buffer.alloc(32)) }],
    [20, 'as a size that is none', { localExtra: field(1, Buffer.alloc(16)) }],
    [16, 'behind a time', { localExtra: field(0x5455, Buffer.alloc(12)) }],
    [9, 'as a time that is there twice', { extra: Buffer.concat(Array(2).fill(field(0x5455, Buffer.alloc(5)))) }],
    [3, 'behind its extra fields', { localExtra: Buffer.alloc(3) }],
  ] satisfies [number, string, Partial<Zipped>][])(
    'and has %d bytes %s, is told padded, and its files are checked all the same',
    async (count, _, how) => {
      const verdict = await verifyZipped(spoilt(media, how))
      expect(told(verdict)).toEqual([`padded ${media}`])
      expectTold(verdict, `padded ${media}`, `has ${count} bytes about this file`)
      expect(verdict.right).toBe(verdict.files - 1)
    },
  )

  it('and has the times and owners that packers write, is whole', async () => {
    const times = field(0x5455, Buffer.concat([Buffer.from([7]), Buffer.alloc(12)]))
    const owners = field(0x7875, Buffer.from([1, 4, 0, 0, 0, 0, 4, 0, 0, 0, 0]))
    const windows = field(0x000a, Buffer.concat([Buffer.from([0, 0, 0, 0, 1, 0, 24, 0]), Buffer.alloc(24)]))
    const [localExtra, extra] = [Buffer.concat([times, owners]), Buffer.concat([windows, owners])]
    expect(told(await verifyZipped(spoilt(media, { localExtra, extra })))).toEqual([])
  })

  it.each([media, 'tagmanifest-sha256.txt'])('and states another checksum of %s, is told so', async (name) => {
    const verdict = await verifyZipped(spoilt(name, { crc: 0x12345678 }))
    expect(told(verdict)).toEqual([`zip ${name}`])
    expectTold(verdict, `zip ${name}`, 'another checksum (CRC-32)')
    expect(verdict.right).toBe(verdict.files - 1)
  })

  it.each(['', 'hello', 'PK', 'PK\u0005\u0006', 'PK\u0003\u0004'])('that is none (%j) is told so', async (text) => {
    const verdict = await verifyBytes(Buffer.from(text))
    expect(verdict.ok).toBe(false)
    expect(told(verdict)).toContain('missing manifest-sha256.txt')
  })

  it('never fails and is never taken for whole, whichever of its bytes is another', async () => {
    const bytes = asZip(smallBundle())
    const structure = Array.from({ length: 400 }, (_, n) => Math.floor((n * bytes.length) / 400))
    const ending = Array.from({ length: 400 }, (_, n) => bytes.length - 1 - n)
    for (const at of [...structure, ...ending]) {
      const before = bytes[at] ?? 0
      bytes[at] = before ^ 0xff
      const verdict = await verifyBytes(bytes)
      bytes[at] = before
      // Times, attributes and versions of a ZIP are not of the bundle; what is read of it is.
      if (!verdict.ok) continue
      expect(verdict.right).toBe(verdict.files - 1)
    }
  }, 120_000)
})

describe('a ZIP that was packed anew', () => {
  it('with one byte changed names the file, and that file alone', async () => {
    const verdict = await verifyZipped((files, built) => {
      const bytes = Buffer.from(built.files.get(media) ?? '')
      bytes[1234] = 0
      return spoilt(media, { bytes })(files, built)
    })
    expect(told(verdict)).toEqual([`altered ${media}`])
  })

  it('with a file cut says how much of it is there', async () => {
    const verdict = await verifyZipped((files, built) =>
      spoilt(media, { bytes: built.files.get(media)?.subarray(0, 999) ?? Buffer.alloc(0) })(files, built),
    )
    expectTold(verdict, `cut ${media}`, 'Only 999 of its 300000 bytes are there.')
  })

  it('compressed is refused in words, and nothing of it is unpacked: a bomb does not go off', async () => {
    const bomb = deflateRawSync(Buffer.alloc(64 * 1024 * 1024))
    const before = process.memoryUsage().arrayBuffers
    const verdict = await verifyZipped(spoilt(media, { bytes: bomb, method: 8, size: 2 ** 31 }))
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024)
    expectTold(verdict, `compressed ${media}`, 'Unpack it yourself, and check the folder.')
  })

  it('in encrypted form is refused in words', async () => {
    const verdict = await verifyZipped(spoilt(media, { flags: 0x0809 }))
    expectTold(verdict, `encrypted ${media}`, 'A bundle never is.')
  })

  it('with strong encryption, which no directory is read beyond, still has its files named', async () => {
    const verdict = await verifyZipped(spoilt(media, { flags: 0x0849 }))
    expectTold(verdict, 'zip -', 'strong encryption')
    expect(verdict.right).toBe(verdict.files - 1)
  })

  it('whose directory and files tell two names is told so', async () => {
    const verdict = await verifyZipped((files, built) =>
      spoilt(media, { localName: `${built.top}/data/exhibits/AB_1/other.MP4` })(files, built),
    )
    expectTold(verdict, `zip ${media}`, 'states two things of this file')
  })

  it('whose directory lists more bytes than there are is told so', async () => {
    const built = smallBundle()
    const bytes = asZip(built)
    const at = bytes.lastIndexOf(Buffer.from(`${built.top}/${media}`)) - 46
    bytes.writeUInt32LE(0x7fffffff, at + 20)
    bytes.writeUInt32LE(0x7fffffff, at + 24)
    expectTold(await verifyBytes(bytes), `cut ${media}`, 'lists more bytes of this file than there are')
  })

  it('whose directory lists one file inside of another is told so', async () => {
    const built = smallBundle()
    const bytes = asZip(built)
    const [clip, where] = ['data/exhibits/AB_2/clip.mp4', bytes.indexOf(built.files.get(media) ?? '') + 1000]
    zipOf([{ name: `${built.top}/${clip}`, bytes: built.files.get(clip) ?? Buffer.alloc(0) }]).copy(bytes, where)
    bytes.writeUInt32LE(where, bytes.lastIndexOf(`${built.top}/${clip}`) - 46 + 42)
    expectTold(await verifyBytes(bytes), `zip ${clip}`, 'stands in the bytes of another')
  })

  it.each([
    ['../outside.txt', 'climbs out'],
    ['data/../../outside.txt', 'climbs out'],
    ['/etc/passwd', 'absolute'],
    ['data\\exhibits\\x', 'backslash'],
    ['C:/x', 'colon'],
    ['data/\u202e4pm.exe', 'direction'],
    ['data//x', 'empty part'],
  ])('with the name %j is refused for it', async (name, says) => {
    const verdict = await verifyZipped((files) => [...files, { name, bytes: Buffer.from('x') }])
    expectTold(verdict, `unsafe-name ${name}`, says)
  })

  it('with a name that is not UTF-8 is refused for it', async () => {
    const name = Buffer.from([0x61, 0xff, 0x62])
    const verdict = await verifyZipped((files) => [...files, { name, bytes: Buffer.from('x') }])
    expectTold(verdict, 'unsafe-name a\ufffdb', 'not UTF-8')
  })

  it('with a symbolic link is refused for it, and the link is not followed', async () => {
    const verdict = await verifyZipped(spoilt(media, { bytes: Buffer.from('/etc/passwd'), mode: 0o120777 }))
    expectTold(verdict, `link ${media}`, 'symbolic link')
    expect(told(verdict)).not.toContain(`altered ${media}`)
  })

  it('with two files of one name is refused for it', async () => {
    const verdict = await verifyZipped((files, built) => [
      ...files,
      { name: `${built.top}/${media}`, bytes: Buffer.from('x') },
    ])
    expectTold(verdict, `same-name ${media}`, 'holds this name twice')
  })

  it('with names that differ only in case is refused for it', async () => {
    const verdict = await verifyZipped((files, built) => [
      ...files,
      { name: `${built.top}/${media.toUpperCase()}`, bytes: Buffer.from('x') },
    ])
    expect(told(verdict).some((line) => line.startsWith('same-name '))).toBe(true)
    expect(told(verdict)).toContain(`extra ${media.toUpperCase()}`)
  })

  it('with something beside the one folder is refused for it', async () => {
    const verdict = await verifyZipped((files) => [...files, { name: 'autorun.inf', bytes: Buffer.from('x') }])
    expectTold(verdict, 'zip -', 'one folder')
    expectTold(verdict, 'extra autorun.inf', 'not of the bundle')
  })

  it('by an ordinary packer that only stores, with its entries for folders, is still the bundle', async () => {
    const built = smallBundle()
    const folder = await asFolder(built, place)
    execFileSync('zip', ['-q', '-0', '-r', path.join(place, 'anew.zip'), built.top], { cwd: place })
    const verdict = await verifyBundle(path.join(place, 'anew.zip'))
    expect(told(verdict)).toEqual([])
    execFileSync('zip', ['-q', '-r', path.join(place, 'deflated.zip'), built.top], { cwd: place })
    expectTold(await verifyBundle(path.join(place, 'deflated.zip')), `compressed ${media}`, 'packed anew')
    await rm(folder, { recursive: true })
  })

  it('with 100,000 files more is looked at to its end, in memory that stays small', async () => {
    const built = smallBundle()
    const many = function* (): Generator<Zipped> {
      yield* zipped(built)
      for (let n = 0; n < 100_000; n++) yield { name: `${built.top}/data/${n}`, bytes: Buffer.alloc(0) }
    }
    const bytes = zipOf(many())
    const before = process.memoryUsage().rss
    const verdict = await verifyBytes(bytes)
    expect(process.memoryUsage().rss - before).toBeLessThan(500 * 1024 * 1024)
    expect(verdict.findings.filter(({ kind }) => kind === 'extra')).toHaveLength(100_000)
    expectTold(verdict, 'bag bag-info.txt', /there are \d+\.100010\.$/)
  }, 120_000)
})
