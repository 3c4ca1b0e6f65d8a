import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseVkey } from '../../src/base/note.ts'
import { verifyBundle } from '../../src/bundles/verify.ts'
import { asZip, type Built, buildBundle, type Files, seal, withoutProofs } from '../bundle-builder.ts'
import { expectTold, media, smallBundle, told, verifyBytes } from '../bundle-verdicts.ts'
import { runCommand } from '../command-line.ts'

let place: string
beforeAll(async () => {
  place = await mkdtemp(path.join(os.tmpdir(), 'exhibit-footage-'))
})
afterAll(async () => await rm(place, { recursive: true, force: true }))

const clip = 'data/exhibits/AB_2/clip.mp4'
const request = 'proofs/entries/4.entry.json'
const cutting = 'proofs/entries/3.entry.json'
const stateOf = (file: string): string => `${path.dirname(file)}/provenance.json`

const edit = (files: Files, name: string, change: (text: string) => string): void => {
  files.set(name, Buffer.from(change(files.get(name)?.toString() ?? '')))
}
const change = (built: Built, what: (files: Files) => unknown): Built => {
  what(built.files)
  return { ...built, files: seal(built.files) }
}

/** Puts other bytes in the place of a file, and their digest and size wherever the provenance beside it states them. */
const replace = (files: Files, file: string, bytes = Buffer.alloc(1234, 'forged')): void => {
  const was = files.get(file) ?? Buffer.alloc(0)
  const digest = (of: Buffer): string => createHash('sha256').update(of).digest('hex')
  files.set(file, bytes)
  edit(files, stateOf(file), (text) =>
    text.replaceAll(digest(was), digest(bytes)).replaceAll(`"size": ${was.length}`, `"size": ${bytes.length}`),
  )
}

/** Takes the receipt of a recording away, and says that there never was one. */
const withoutReceipt = (files: Files, file: string): void => {
  const [, receipt = ''] = /"receipt": "([^"]+)"/.exec(files.get(stateOf(file))?.toString() ?? '') ?? []
  files.delete(receipt)
  edit(files, stateOf(file), (text) => text.replace(`"${receipt}"`, 'null'))
}

const dropSecond = (files: Files): void => {
  withoutReceipt(files, clip)
  for (const name of [...files.keys()]) if (name.startsWith('data/exhibits/AB_2/')) files.delete(name)
}

const addCopy = (files: Files): void => {
  for (const [name, bytes] of [...files])
    if (name.startsWith('data/exhibits/AB_2/')) files.set(name.replace('AB_2', 'AB_3'), bytes)
  edit(files, 'data/exhibits/AB_3/provenance.json', (text) => text.replaceAll('AB_2', 'AB_3'))
}

/** Each of the two exhibits says that it is the other one. */
const exchange = (files: Files): void => {
  const [first, second] = [stateOf(media), stateOf(clip)]
  const named = (file: string): string =>
    /"exhibit": \{\s+"id": "[^"]+",\s+"reference": "[^"]+",\s+"item": \d/.exec(
      files.get(file)?.toString() ?? '',
    )?.[0] ?? ''
  const [one, other] = [named(first), named(second)]
  edit(files, first, (text) => text.replace(one, other))
  edit(files, second, (text) => text.replace(other, one))
}

/** The command's answer, with the keys of the bundle's installation given. */
const commanded = async (built: Built) => {
  const folder = await mkdtemp(path.join(place, 'with-keys-'))
  const [file, keys] = [path.join(folder, 'bundle.zip'), path.join(folder, 'keys.json')]
  await writeFile(file, asZip(built))
  await writeFile(keys, JSON.stringify({ keys: [built.key], log: { origin: built.log.origin, vkey: built.log.vkey } }))
  return await runCommand(['verify', file, '--key', keys])
}

describe('a bundle whose manifests and provenance were made again', () => {
  it.each<[string, string, string | RegExp, (files: Files) => void]>([
    ['another clip', clip, /another one than was cut.*3\.entry\.json/, (files) => replace(files, clip)],
    [
      'another clip of the same size',
      clip,
      /another one than was cut/,
      (files) => replace(files, clip, Buffer.alloc(90_000, 'forged')),
    ],
    [
      'another original, whose receipt was taken away',
      media,
      /another one than came into custody.*1\.entry\.json/,
      (files) => [replace(files, media), withoutReceipt(files, media)],
    ],
    [
      'another camera, with no receipt that would tell',
      media,
      'from BWC-004217',
      (files) => [
        withoutReceipt(files, media),
        edit(files, stateOf(media), (text) => text.replace('BWC-004217', 'BWC-000001')),
      ],
    ],
    [
      'a clip of whose cutting the entry was taken away',
      clip,
      'No entry here states that this clip was cut',
      (files) => [files.delete(cutting), files.delete(cutting.replace('.entry.json', '.tlog-proof'))],
    ],
    ['one exhibit fewer', request, 'asked for with AB/2, which is not in it', dropSecond],
    [
      'one exhibit more',
      'data/exhibits/AB_3/provenance.json',
      'not asked for with this exhibit, or it is here twice',
      addCopy,
    ],
    [
      'two exhibits that changed places',
      stateOf(clip),
      'AB/1 has another reference, number, recording or clip',
      exchange,
    ],
    [
      'an exhibit under another reference',
      stateOf(clip),
      'another reference',
      (files) => edit(files, stateOf(clip), (text) => text.replace('"AB/2"', '"AB/9"')),
    ],
  ])('over %s is refused, and the file is named', async (_, file, says, forge) => {
    const built = smallBundle()
    expectTold(await verifyBytes(asZip(change(built, forge))), `exhibit ${file}`, says)
    const { code, out } = await commanded(built)
    expect(code).toBe(1)
    expect(out).toContain(`✗ exhibit     ${file}`)
    expect(out).not.toContain('✓ Verified')
  })

  it('without the entry of its request is refused: nothing says which exhibits it is of', async () => {
    const verdict = await verifyBytes(
      asZip(
        change(smallBundle(), (files) => {
          for (const kind of ['entry.json', 'tlog-proof']) files.delete(`proofs/entries/4.${kind}`)
        }),
      ),
    )
    expect(told(verdict)).toEqual(['exhibit -'])
    expectTold(verdict, 'exhibit -', 'which exhibits it is of, nothing says')
  })

  it('without the originals that were asked for as well is refused', async () => {
    const [recording, cut] = [Buffer.alloc(300, 'footage'), Buffer.alloc(90, 'clip')]
    const verdict = await verifyBytes(asZip(buildBundle({ recording, clip: cut, includeOriginals: true })))
    expect(told(verdict)).toEqual([`exhibit ${stateOf(clip)}`])
    expectTold(verdict, `exhibit ${stateOf(clip)}`, 'the original was asked for as well')
  })
})

describe('a recording without a receipt', () => {
  it('is taken where a proven entry states its digest, and is named aloud', async () => {
    const built = change(smallBundle(), (files) => withoutReceipt(files, media))
    expect(await verifyBytes(asZip(built))).toMatchObject({ ok: true, receipts: 1, withoutReceipt: ['AB/1'] })
    const { code, out } = await commanded(built)
    expect(code).toBe(0)
    expect(out).toContain('! There is no receipt of AB/1: none is signed where only a part of a recording came into')
    expect(out).toContain('  Of the others, the receipts were checked with the keys you gave')
    expect(out).not.toContain('Receipts were checked')
    expect(out).toContain('✓ Verified')
  })

  it('is never said to have had one checked, where none of the bundle has one', async () => {
    const built = change(smallBundle(), (files) => [withoutReceipt(files, media), withoutReceipt(files, clip)])
    const { code, out } = await commanded(built)
    expect(code).toBe(0)
    expect(out).toContain('! There is no receipt of AB/1, AB/2:')
    expect(out).toContain('  No receipt was verified.')
    expect(out).not.toMatch(/receipts were checked/i)
  })

  it('is refused where no entry says which bytes came into custody, in a bundle without proofs too', async () => {
    const forge = (files: Files): void => {
      withoutReceipt(files, media)
      for (const kind of ['entry.json', 'tlog-proof']) files.delete(`proofs/entries/1.${kind}`)
    }
    for (const built of [smallBundle(), withoutProofs(smallBundle())])
      expectTold(
        await verifyBytes(asZip(change(built, forge))),
        `exhibit ${media}`,
        'There is no receipt, and no entry',
      )
  })
})

describe('a bundle without proofs', () => {
  it('is not said to be verified: it agrees with itself, and for its clip nothing else speaks', async () => {
    const { code, out } = await commanded(withoutProofs(smallBundle()))
    expect(code).toBe(0)
    expect(out).toContain('! Nothing but the bundle itself speaks for AB/2.')
    expect(out).toContain('! Nothing proves that these exhibits are all, though the entry of the request lists them.')
    expect(out).toContain('✓ It agrees with itself: by its own words')
    expect(out).not.toContain('✓ Verified')
  })

  it('is refused where its clip is not the one that its own entry says was cut', async () => {
    const verdict = await verifyBytes(asZip(change(withoutProofs(smallBundle()), (files) => replace(files, clip))))
    expectTold(verdict, `exhibit ${clip}`, 'another one than was cut')
  })

  it('says aloud for what nothing else speaks, also where the entries that would tell were taken out with the proofs', async () => {
    const forge = (files: Files): void => {
      for (const name of [cutting, request]) files.delete(name)
      replace(files, clip)
    }
    const { code, out } = await commanded(change(withoutProofs(smallBundle()), forge))
    expect(code).toBe(0)
    expect(out).toContain('! It carries no proofs')
    expect(out).toContain('! Nothing but the bundle itself speaks for AB/2.')
    expect(out).toContain('! Nothing proves that these exhibits are all.')
    expect(out).not.toContain('✓ Verified')
  })
})

describe('for an exhibit', () => {
  it('speaks what was signed under a key that was given: of a recording a receipt, of a clip the log alone', async () => {
    const built = smallBundle()
    const file = path.join(place, 'speaks.zip')
    await writeFile(file, asZip(built))
    const key = parseVkey(built.log.vkey)
    const logKeys = key === null ? [] : [key]
    expect(await verifyBundle(file)).toMatchObject({ ok: true, asked: true, alone: ['AB/1', 'AB/2'] })
    expect(await verifyBundle(file, { keys: [built.key] })).toMatchObject({ ok: true, alone: ['AB/2'] })
    expect(await verifyBundle(file, { logKeys })).toMatchObject({ ok: true, alone: [], withoutReceipt: [], copies: 0 })
  })
})
