import { execFile, spawnSync } from 'node:child_process'
import { chmod, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BundleVerdict, verifyBundle } from '../../src/bundles/verify.ts'
import { asFolder, asZip, type Built, type Files, seal } from '../bundle-builder.ts'
import { expectTold, media, smallBundle, told, verifyBytes } from '../bundle-verdicts.ts'
import { runCommand } from '../command-line.ts'

const run = promisify(execFile)

let place: string
beforeAll(async () => {
  place = await mkdtemp(path.join(os.tmpdir(), 'exhibit-bundles-'))
})
afterAll(async () => await rm(place, { recursive: true, force: true }))

describe('a bundle whose manifests were made again', () => {
  const resealed = async (change: (files: Files, built: Built) => void): Promise<BundleVerdict> => {
    const built = smallBundle()
    change(built.files, built)
    return await verifyBytes(asZip({ top: built.top, files: seal(built.files) }))
  }
  const edit = (files: Files, name: string, from: string | RegExp, to: string): void => {
    files.set(name, Buffer.from((files.get(name)?.toString() ?? '').replace(from, to)))
  }

  it('over another original is told by its provenance, and by its receipt where that was made again too', async () => {
    const other = Buffer.alloc(300_000, 'forged')
    expectTold(
      await resealed((files) => files.set(media, other)),
      'exhibit data/exhibits/AB_1/provenance.json',
      'another SHA-256',
    )
    const forged = await resealed((files, built) => {
      files.set(media, other)
      const was = built.story.exhibits[0]?.media.sha256 ?? ''
      const is = /[0-9a-f]{64}/.exec(seal(new Map(files)).get('manifest-sha256.txt')?.toString() ?? '')?.[0] ?? ''
      edit(files, 'data/exhibits/AB_1/provenance.json', new RegExp(was, 'g'), is)
    })
    expectTold(forged, 'exhibit data/exhibits/AB_1/provenance.json', 'another recording than its receipt')
    expect(told(forged)).toEqual(['exhibit data/exhibits/AB_1/provenance.json', `exhibit ${media}`])
  })

  it('over a receipt of another recording, or an altered one, is told by the receipt', async () => {
    const swapped = await resealed((files, { story: { receipts } }) => {
      files.set(receipts[0]?.path ?? '', Buffer.from(receipts[1]?.jws ?? ''))
    })
    expect(told(swapped).filter((line) => line.startsWith('receipt '))).toHaveLength(1)
    const altered = await resealed((files, { story: { receipts } }) => {
      const [header, , signature] = receipts[0]?.jws.split('.') ?? []
      const [, payload] = receipts[1]?.jws.split('.') ?? []
      files.set(receipts[0]?.path ?? '', Buffer.from(`${header}.${payload}.${signature}`))
    })
    expect(altered.findings.map(({ says }) => says).join()).toContain('signature is wrong')
  })

  it('over an altered entry is told by the seal, or by the leaf that its receipt states and its proof is about', async () => {
    const part = await resealed((files) =>
      edit(files, 'proofs/entries/1.entry.json', '"take-into-custody"', '"nobody"'),
    )
    expectTold(part, 'entry proofs/entries/1.entry.json', 'not what was sealed')
    const whole = await resealed((files) => edit(files, 'proofs/entries/1.entry.json', '"allowed"', '"denied"'))
    expect(whole.findings.map(({ says }) => says)).toEqual([
      'The entry that the receipt names is disclosed, but has another leaf.',
      'It is about another leaf than that of the entry beside it.',
      'No entry here states which bytes came into custody as this recording.',
    ])
    const added = await resealed((files) =>
      edit(files, 'proofs/entries/1.entry.json', '"actor": {\n      "value"', '"policy": {\n      "value"'),
    )
    expectTold(added, 'entry proofs/entries/1.entry.json', 'does not seal')
  })

  it('over a file that no provenance speaks of, and over an exhibit without provenance, is told so', async () => {
    const more = await resealed((files) => files.set('data/exhibits/AB_1/more.mp4', Buffer.from('x')))
    expectTold(more, 'exhibit data/exhibits/AB_1/more.mp4', 'does not speak of it')
    const none = await resealed((files) => files.delete('data/exhibits/AB_2/provenance.json'))
    expect(told(none)).toEqual(['exhibit data/exhibits/AB_2'])
    const receiptAlone = await resealed((files) => {
      for (const name of [...files.keys()]) if (name.startsWith('data/exhibits/AB_2/')) files.delete(name)
    })
    expect(receiptAlone.findings.map(({ says }) => says)).toEqual([
      'No exhibit of the bundle is of the recording of this receipt.',
      'The bundle was asked for with AB/2, which is not in it.',
    ])
  })

  it('and brings other keys than those that are known is told by the keys that were given', async () => {
    const built = smallBundle()
    const file = path.join(place, 'keys.zip')
    await writeFile(file, asZip(built))
    const given = await verifyBundle(file, { keys: [smallBundle().key] })
    expect(given.findings.map(({ says }) => says).join()).toContain('not among the keys given')
    expect(given).toMatchObject({ ok: false, receipts: 0, keys: { from: 'given' } })
    expect(await verifyBundle(file, { keys: [built.key] })).toMatchObject({ ok: true, keys: { from: 'given' } })
    expect(await verifyBundle(file)).toMatchObject({ ok: true, keys: { from: 'bundle', kids: [built.key.kid] } })
  })

  it('with lines that are none, climb out, or come twice, is told line by line', async () => {
    const built = smallBundle()
    const text = built.files.get('manifest-sha256.txt')?.toString() ?? ''
    const [first = ''] = text.split('\n')
    const digest = 'a'.repeat(64)
    const worse = `${text}${digest}  ../../etc/passwd\n${digest}  data/%0d%0Ax\nnonsense\n${first}\n${digest}  README.txt\n`
    built.files.set('manifest-sha256.txt', Buffer.from(worse))
    const verdict = await verifyBytes(asZip(built))
    expectTold(verdict, 'unsafe-name ../../etc/passwd', 'climbs out')
    expectTold(verdict, 'unsafe-name data/\r\nx', 'control')
    expectTold(verdict, 'manifest manifest-sha256.txt', 'is not a digest and a path')
    expectTold(verdict, `manifest ${first.slice(66)}`, 'a second time')
    expectTold(verdict, 'manifest README.txt', 'belongs in the other manifest')
    expectTold(verdict, 'altered manifest-sha256.txt', 'SHA-256')
  })
})

describe('a folder', () => {
  const unpacked = async (): Promise<[Built, string]> => {
    const built = smallBundle()
    return [built, await asFolder(built, place)]
  }

  it('as it was unpacked is verified, named as the bundle, as what holds it, or as something else', async () => {
    const built = smallBundle()
    const holder = await mkdtemp(path.join(place, 'holder-'))
    const folder = await asFolder(built, holder)
    expect(await verifyBundle(folder)).toMatchObject({ ok: true, kind: 'folder', receipts: 2 })
    expect(await verifyBundle(holder)).toMatchObject({ ok: true })
    await rename(folder, path.join(holder, 'renamed'))
    expect(await verifyBundle(path.join(holder, 'renamed'))).toMatchObject({ ok: true })
  })

  it('with files missing, extra, altered and cut names each of them', async () => {
    const [, folder] = await unpacked()
    await rm(path.join(folder, 'data/exhibits/AB_2/clip.mp4'))
    await writeFile(path.join(folder, 'data/notes.txt'), 'x')
    await writeFile(path.join(folder, '.DS_Store'), 'x')
    await writeFile(path.join(folder, 'README.txt'), 'x')
    await truncate(path.join(folder, media), 10)
    const verdict = await verifyBundle(folder)
    expect(told(verdict).toSorted()).toEqual([
      'altered README.txt',
      'bag bag-info.txt',
      `cut ${media}`,
      'extra .DS_Store',
      'extra data/notes.txt',
      'missing data/exhibits/AB_2/clip.mp4',
    ])
    expectTold(verdict, 'extra .DS_Store', 'a computer leaves behind')
  })

  it('with a link, also to a folder, is refused for it', async () => {
    const [, folder] = await unpacked()
    await rm(path.join(folder, media))
    await symlink('/etc/passwd', path.join(folder, media))
    await symlink('/', path.join(folder, 'data/all'))
    const verdict = await verifyBundle(folder)
    expectTold(verdict, `link ${media}`, 'symbolic link')
    expectTold(verdict, 'link data/all', 'symbolic link')
  })

  it('with a pipe in it does not wait for somebody to write', async () => {
    const [, folder] = await unpacked()
    await rm(path.join(folder, media))
    await run('mkfifo', [path.join(folder, media)])
    expectTold(await verifyBundle(folder), `special ${media}`, 'was not opened')
  })

  it('with a file that may not be read says so', async () => {
    const holder = await mkdtemp(path.join(place, 'holder-'))
    const folder = await asFolder(smallBundle(), holder)
    for (const open of [place, holder]) await chmod(open, 0o755)
    await chmod(path.join(folder, media), 0)
    // Root may read whatever it likes, so that another one has to look.
    const args = [path.join(import.meta.dirname, '../../src/cli/main.ts'), 'verify', folder, '--json']
    const asNobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
    const { stdout, status } = spawnSync(process.execPath, args, { ...asNobody, encoding: 'utf8' })
    expect(status).toBe(1)
    expectTold(JSON.parse(stdout), `unreadable ${media}`, 'EACCES')
  })

  it('with a large file is read in memory that stays small', async () => {
    const [, folder] = await unpacked()
    await truncate(path.join(folder, media), 400_000_000)
    const before = process.memoryUsage().rss
    let [highest, read] = [0, 0]
    const verdict = await verifyBundle(folder, {
      onBytes: ({ all }) => {
        read = all
        highest = Math.max(highest, process.memoryUsage().rss)
      },
    })
    expect(read).toBeGreaterThan(400_000_000)
    expect(highest - before).toBeLessThan(64 * 1024 * 1024)
    expectTold(verdict, `altered ${media}`, 'It has 399700000 bytes too many.')
  })

  it('that is no bundle says what is missing', async () => {
    const empty = await mkdtemp(path.join(place, 'empty-'))
    const verdict = await verifyBundle(empty)
    expect(told(verdict)).toContain('missing bagit.txt')
    expect(told(verdict)).toContain('manifest -')
  })
})

describe('the verify command', () => {
  it('tells all is well of a bundle, says what its own keys are worth, and believes those that are given', async () => {
    const built = smallBundle()
    const [file, keys] = [path.join(place, 'good.ZIP'), path.join(place, 'keys.json')]
    await writeFile(file, asZip(built))
    await writeFile(keys, JSON.stringify({ keys: [built.key] }))
    const alone = await runCommand(['verify', file])
    expect(alone.code).toBe(0)
    expect(alone.out).toContain('✓ Verified: nothing is missing, nothing was added, nothing was altered.')
    expect(alone.out).toMatch(/The keys came with the bundle, so the receipts prove only that it agrees with itself/)
    expect(alone.out).toContain(built.key.kid)
    const given = await runCommand(['verify', file, '--key', keys])
    expect(given).toMatchObject({ code: 0, out: expect.stringContaining('checked with the keys you gave') })
    const json = await runCommand(['verify', file, '--key', keys, '--json'])
    expect(json.err).toBe('')
    expect(JSON.parse(json.out)).toMatchObject({ ok: true, bundle: built.story.bundle.id, receipts: 2, findings: [] })
  }, 60_000)

  it('names what is wrong, in letters that no name can use against the terminal, and ends with 1', async () => {
    const built = smallBundle()
    built.files.set('data/\u001b[2Jx', Buffer.from('x'))
    const bytes = asZip(built)
    const at = bytes.indexOf(built.files.get(media) ?? '') + 5
    bytes[at] = (bytes[at] ?? 0) ^ 1
    const file = path.join(place, 'bad.zip')
    await writeFile(file, bytes)
    const { code, out } = await runCommand(['verify', file])
    expect(code).toBe(1)
    expect(out).toContain(`✗ altered     ${media}`)
    expect(out).toContain('✗ unsafe-name data/?[2Jx')
    expect(out).not.toContain('\u001b')
    expect(out).toMatch(/✗ NOT verified: \d things found/)
  }, 60_000)

  it('says what goes with what', async () => {
    const [folder, receipt] = [await mkdtemp(path.join(place, 'some-')), path.join(place, 'receipt.jws')]
    await writeFile(receipt, 'eyJhbGciOiJFZERTQSJ9.e30.AA')
    const both = await runCommand(['verify', folder, '--file', receipt])
    expect(both).toMatchObject({ code: 1, err: expect.stringContaining('a bundle holds its files itself') })
    expect(await runCommand(['verify', receipt])).toMatchObject({ code: 1, err: expect.stringContaining('--key') })
    const none = await runCommand(['verify', path.join(place, 'nowhere')])
    expect(none).toMatchObject({ code: 1, err: expect.stringMatching(/nowhere: no such file or directory/) })
  }, 60_000)
})
