import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openPromise } from 'yauzl'
import { openZip } from '../../src/bundles/verify/zipped.ts'
import { zipWriter } from '../../src/bundles/zip.ts'

const run = promisify(execFile)
const at = new Date('2026-11-25T22:15:07.480Z')

// Other people's programs, and gigabytes.
vi.setConfig({ testTimeout: 60_000 })

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-zip-'))
})
afterAll(async () => await rm(folder, { recursive: true, force: true }))

const written = async (files: Record<string, Buffer>, moment = at): Promise<Buffer> => {
  const pieces: Buffer[] = []
  const zip = zipWriter(async (bytes) => void pieces.push(Buffer.from(bytes)), moment)
  for (const [name, bytes] of Object.entries(files)) {
    await zip.add(name, bytes.length, async (write) => {
      for (let from = 0; from < bytes.length; from += 1000) await write(bytes.subarray(from, from + 1000))
    })
  }
  const size = await zip.end()
  const whole = Buffer.concat(pieces)
  expect(size).toBe(whole.length)
  return whole
}

const python = async (script: string, ...words: string[]): Promise<unknown> =>
  JSON.parse((await run('python3', ['-c', script, ...words])).stdout)

const listing = `
import json, sys, zipfile
zip = zipfile.ZipFile(sys.argv[1])
print(json.dumps([[i.filename, i.file_size, list(i.date_time), i.external_attr >> 16, i.compress_type] for i in zip.infolist()]))`

describe('a ZIP', () => {
  const files = { 'top/a.txt': Buffer.from('hello\n'), 'top/empty': Buffer.alloc(0), 'top/b/c.bin': randomBytes(5000) }

  test('is read by unzip, by Python and by yauzl, and holds the files as they were', async () => {
    const file = path.join(folder, 'small.zip')
    await writeFile(file, await written(files))
    expect((await run('unzip', ['-t', file])).stdout).toContain('No errors detected')
    await run('unzip', ['-q', file, '-d', path.join(folder, 'out')])
    const sums = await run('sha256sum', Object.keys(files), { cwd: path.join(folder, 'out') })
    const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
    expect(sums.stdout).toBe(
      Object.entries(files)
        .map(([name, bytes]) => `${digest(bytes)}  ${name}\n`)
        .join(''),
    )
    expect(await python(`${listing}\nassert zip.testzip() is None`, file)).toEqual(
      Object.entries(files).map(([name, bytes]) => [name, bytes.length, [2026, 11, 25, 22, 15, 6], 0o100644, 0]),
    )
    const zip = await openPromise(file)
    const found: Record<string, Buffer> = {}
    for await (const entry of zip.eachEntry()) {
      expect(entry.getLastModDate().getTime()).toBe(Date.parse('2026-11-25T22:15:07Z'))
      found[entry.fileName] = await buffer(await zip.openReadStreamPromise(entry))
    }
    expect(found).toEqual(files)
  })

  test('is the same to the byte for the same files and the same moment, and another for another', async () => {
    const [one, other] = [await written(files), await written(files)]
    expect(one.equals(other)).toBe(true)
    expect(one.equals(await written(files, new Date(at.getTime() + 2000)))).toBe(false)
  })

  test('is not written where more or less comes than was announced', async () => {
    const adding = (size: number) =>
      zipWriter(async () => undefined, at).add('a', size, async (write) => await write(Buffer.alloc(10)))
    await expect(adding(9)).rejects.toThrow('more came')
    await expect(adding(11)).rejects.toThrow('less came')
    await expect(adding(10)).resolves.toBeUndefined()
  })

  test('of 70,000 files counts them all', async () => {
    const many = Object.fromEntries(Array.from({ length: 70_000 }, (_, n) => [`d/${n}`, Buffer.alloc(0)]))
    const file = path.join(folder, 'many.zip')
    await writeFile(file, await written(many))
    expect(await python('import json, sys, zipfile\nprint(len(zipfile.ZipFile(sys.argv[1]).infolist()))', file)).toBe(
      70_000,
    )
    expect((await run('unzip', ['-Z', '-h', file])).stdout).toContain('number of entries: 70000')
  })
})

describe('beyond 4 GiB', () => {
  const gib = 1024 ** 3
  const zeros = Buffer.alloc(64 * 1024 * 1024)

  /** A file with holes: zeros take no room in it. What is asked of it, a real file of that size would answer too. */
  const sparse = async (name: string, files: [string, number][]): Promise<string> => {
    const target = path.join(folder, name)
    await using file = await open(target, 'w')
    let end = 0
    const zip = zipWriter(async (bytes) => {
      if (bytes.buffer !== zeros.buffer) await file.write(bytes, 0, bytes.length, end)
      end += bytes.length
    }, at)
    for (const [each, size] of files) {
      await zip.add(each, size, async (write) => {
        for (let left = size; left > 0; left -= zeros.length)
          await write(zeros.subarray(0, Math.min(left, zeros.length)))
      })
    }
    await zip.end()
    return target
  }

  test('one file, and what stands behind it, are found by unzip, Python and yauzl', async () => {
    const file = await sparse('large.zip', [
      ['just-over', 4 * gib + 5],
      ['behind', 3],
    ])
    const sizes = { 'just-over': 4 * gib + 5, behind: 3 }
    expect(await python(`${listing}\nassert zip.read('behind') == bytes(3)`, file)).toEqual(
      Object.entries(sizes).map(([name, size]) => [name, size, expect.any(Array), 0o100644, 0]),
    )
    expect((await run('unzip', ['-p', file, 'behind'], { encoding: 'buffer' })).stdout).toEqual(Buffer.alloc(3))
    expect((await run('unzip', ['-Z', '-l', file])).stdout).toContain('4294967301')
    const zip = await openPromise(file)
    const found: Record<string, number> = {}
    for await (const entry of zip.eachEntry()) {
      found[entry.fileName] = entry.uncompressedSize
      if (entry.fileName === 'behind')
        expect(await buffer(await zip.openReadStreamPromise(entry))).toEqual(Buffer.alloc(3))
    }
    expect(found).toEqual(sizes)
    // What the writer needs for such sizes is no addition to our own command.
    const findings: unknown[] = []
    await using source = await openZip(file, (...finding) => findings.push(finding))
    expect(findings.filter((finding) => !JSON.stringify(finding).includes('one folder'))).toEqual([])
    expect(source.members.get('just-over')?.size).toBe(sizes['just-over'])
  })
})
