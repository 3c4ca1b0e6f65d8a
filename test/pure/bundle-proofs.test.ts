import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type NoteKey, parseVkey } from '../../src/base/note.ts'
import { type BundleVerdict, verifyBundle } from '../../src/bundles/verify.ts'
import { asFolder, asZip, type Built, type Files, growLog, seal, withoutProofs } from '../bundle-builder.ts'
import { expectTold, media, smallBundle, told } from '../bundle-verdicts.ts'
import { runCommand } from '../command-line.ts'

let place: string
beforeAll(async () => {
  place = await mkdtemp(path.join(os.tmpdir(), 'exhibit-proofs-'))
})
afterAll(async () => await rm(place, { recursive: true, force: true }))

const one = 'proofs/entries/1.tlog-proof'
const two = 'proofs/entries/2.tlog-proof'
const every = [1, 2, 3, 4].map((n) => `proofs/entries/${n}.tlog-proof`)
const head = 'proofs/checkpoint'
const keys = 'proofs/keys.json'

const keyIn = (vkey: string): NoteKey => {
  const key = parseVkey(vkey)
  if (key === null) throw new Error(`${vkey} was not read`)
  return key
}
const textIn = (files: Files, name: string): string => files.get(name)?.toString() ?? ''
const set = (files: Files, name: string, text: string | Buffer): Files => files.set(name, Buffer.from(text))
const edit = (files: Files, name: string, from: string | RegExp, to: string): Files =>
  set(files, name, textIn(files, name).replace(from, to))

const written = async ({ top, files }: Built): Promise<string> => {
  const file = path.join(await mkdtemp(path.join(place, 'zip-')), 'bundle.zip')
  await writeFile(file, asZip({ top, files }))
  return file
}

type Options = Parameters<typeof verifyBundle>[1]

/** A bundle of which something was changed, and its manifests made again by somebody who knows how. */
const resealed = async (change: (files: Files, built: Built) => unknown, options?: Options): Promise<BundleVerdict> => {
  const built = smallBundle()
  change(built.files, built)
  return await verifyBundle(await written({ ...built, files: seal(built.files) }), options)
}

describe('a bundle with proofs', () => {
  it('proves every entry that it discloses, under one head that the log signed', async () => {
    const built = smallBundle()
    const { origin, size, vkey } = built.log
    expect(await verifyBundle(await written(built))).toMatchObject({
      ok: true,
      entries: 4,
      proofs: { carried: true, proven: 4, heads: [{ path: head, origin, size, witnessed: [] }] },
      logKeys: { from: 'bundle', vkeys: [vkey] },
    })
  })

  const swap = (files: Files): void => {
    const [first, second] = [textIn(files, one), textIn(files, two)]
    set(set(files, one, second), two, first)
  }
  const noExtra = (files: Files): void => {
    for (const name of [one, two]) edit(files, name, /extra .*\n/, '')
  }

  it.each<[string, string[], RegExp, (files: Files, built: Built) => unknown]>([
    ['a proof is gone', [`missing ${one}`], /proof that the entry beside it/, (files) => files.delete(one)],
    [
      'the head is gone',
      [`missing ${head}`, ...every.map((proof) => `proof ${proof}`)],
      /./,
      (files) => files.delete(head),
    ],
    [
      'all proofs are gone and the head stayed',
      every.map((proof) => `missing ${proof}`),
      /./,
      (files) => every.map((proof) => files.delete(proof)),
    ],
    [
      'all is gone, but the key of the log',
      [head, ...every].map((gone) => `missing ${gone}`),
      /./,
      (files) => [head, ...every].map((gone) => files.delete(gone)),
    ],
    [
      'a proof is beside no entry',
      ['extra proofs/entries/9.tlog-proof'],
      /beside it is no entry/,
      (files) => set(files, 'proofs/entries/9.tlog-proof', textIn(files, one)),
    ],
    ['two proofs changed places', [`proof ${one}`, `proof ${two}`], /about another leaf/, swap],
    [
      'two proofs changed places, and do not say of which leaf they are',
      [`proof ${one}`, `proof ${two}`],
      /does not lead from the entry beside it, as leaf/,
      (files) => [swap(files), noExtra(files)],
    ],
    ['a proof has another place', [`proof ${one}`], /does not lead/, (files) => edit(files, one, 'index 3', 'index 4')],
    [
      'a place is beyond the tree',
      [`proof ${one}`],
      /33 leaves only/,
      (files) => edit(files, one, 'index 3', 'index 33'),
    ],
    ['a hash is another', [`proof ${one}`], /does not lead/, (files) => edit(files, one, /(?<=index 3\n)./, 'x')],
    ['a hash is missing', [`proof ${one}`], /does not lead/, (files) => edit(files, one, /(?<=index 3\n).*\n/, '')],
    [
      'a hash is too many',
      [`proof ${one}`],
      /does not lead/,
      (files) => edit(files, one, /(?<=index 3\n)(.*\n)/, '$1$1'),
    ],
    [
      'a proof is cut',
      [`proof ${one}`],
      /cut or altered/,
      (files) => set(files, one, textIn(files, one).slice(0, -20)),
    ],
    ['a proof is empty', [`proof ${one}`], /no proof of the log/, (files) => set(files, one, '')],
    ['a proof is no text', [`unreadable ${one}`], /not UTF-8/, (files) => set(files, one, Buffer.from([0xff, 0xfe]))],
    ['a proof is endless', [`unreadable ${one}`], /larger than/, (files) => set(files, one, 'x'.repeat(70_000))],
    [
      'a proof lacks what the witness signed below its head',
      [`proof ${one}`],
      /another checkpoint than those of the bundle/,
      (files) => edit(files, one, /— witness.*\n/, ''),
    ],
    [
      'the head has another root, in every proof as well',
      [`checkpoint ${head}`],
      /a signature of the checkpoint is not by the key/,
      (files) => {
        const other = /\n33\n(.)/.exec(textIn(files, head))?.[1] === 'x' ? 'y' : 'x'
        for (const name of [head, ...every]) edit(files, name, /(?<=\n33\n)./, other)
      },
    ],
    [
      'the head is of another log',
      [`checkpoint ${head}`],
      /whose key is not among those/,
      (files) => {
        for (const name of [head, ...every])
          edit(files, name, 'log.example.org/exhibit\n33', 'log.example.org/other\n33')
      },
    ],
    [
      'the head is no note',
      [`checkpoint ${head}`, ...every.map((proof) => `proof ${proof}`)],
      /no signed note/,
      (files) => set(files, head, 'hello'),
    ],
    [
      'the entry that a receipt names is gone with its proof',
      ['proof RECEIPT', `exhibit ${media}`],
      /not here, so it is not proven/,
      (files) => [files.delete(one), files.delete('proofs/entries/1.entry.json')],
    ],
    [
      'a continuity statement is gone',
      ['missing data/exhibits/AB_1/continuity.pdf'],
      /continuity statement/,
      (files) => files.delete('data/exhibits/AB_1/continuity.pdf'),
    ],
  ])('is refused, and what is wrong named, where %s', async (_, expected, says, change) => {
    let receipt = ''
    const verdict = await resealed((files, built) => {
      receipt = built.story.receipts[0]?.path ?? ''
      change(files, built)
    })
    expect(told(verdict).toSorted()).toEqual(expected.map((each) => each.replace('RECEIPT', receipt)).toSorted())
    expect(verdict.findings.map(({ says: words }) => words).join('\n')).toMatch(says)
    expect(verdict.ok).toBe(false)
  })

  it('that was changed without its manifests names each file once as missing or altered', async () => {
    const built = smallBundle()
    const folder = await asFolder(built, await mkdtemp(path.join(place, 'folder-')))
    await rm(path.join(folder, one))
    await writeFile(path.join(folder, two), textIn(built.files, two).slice(0, -20))
    await writeFile(path.join(folder, 'proofs/entries/9.tlog-proof'), textIn(built.files, one))
    const verdict = await verifyBundle(folder)
    expect(told(verdict).toSorted()).toEqual([
      `altered ${two}`,
      'extra proofs/entries/9.tlog-proof',
      `missing ${one}`,
      `proof ${two}`,
    ])
    expect(verdict.proofs.proven).toBe(2)
  })

  it('over a forged log agrees with itself, and is told by the key that was got elsewhere', async () => {
    const forge = (files: Files, { story, log }: Built): void => {
      const leaves = story.entries.map(({ proof }) => /extra (.*)/.exec(proof.text)?.[1] ?? '')
      const forged = growLog(leaves.map((leaf) => Buffer.from(leaf, 'base64').toString('hex')))
      for (const [n, name] of every.entries()) set(files, name, forged.proofs[n] ?? '')
      set(files, head, forged.built.checkpoint)
      edit(files, keys, new RegExp(RegExp.escape(log.vkey), 'g'), forged.built.vkey)
    }
    expect(await resealed(forge)).toMatchObject({ ok: true, proofs: { proven: 4 }, logKeys: { from: 'bundle' } })
    const another = await resealed(forge, { logKeys: [keyIn(smallBundle().log.vkey)] })
    expectTold(another, `checkpoint ${head}`, 'is not signed with the key')
    expect(another).toMatchObject({ proofs: { proven: 0 }, logKeys: { from: 'given' } })
  })

  const twoLogs = (files: Files, built: Built, name: string): void => {
    const leaf = /extra (.*)/.exec(textIn(files, one))?.[1] ?? ''
    const old = growLog([Buffer.from(leaf, 'base64').toString('hex')], {}, name)
    set(set(files, one, old.proofs[0] ?? ''), 'proofs/checkpoint-1', old.built.checkpoint)
    const document = JSON.parse(textIn(files, keys))
    document.logs.unshift({ number: 1, origin: name, vkey: old.built.vkey, from: built.key.from })
    set(files, keys, JSON.stringify(document))
  }

  it('of which an entry stands in a log that was left is proven under the last head of that one', async () => {
    const verdict = await resealed((files, built) => twoLogs(files, built, 'log.example.org/old'))
    expect(verdict).toMatchObject({ ok: true, proofs: { proven: 4 } })
    expect(verdict.proofs.heads.map(({ path: at, origin }) => [at, origin]).toSorted()).toEqual([
      [head, 'log.example.org/exhibit'],
      ['proofs/checkpoint-1', 'log.example.org/old'],
    ])
    const twice = await resealed((files) => set(files, 'proofs/checkpoint-2', textIn(files, head)))
    expectTold(twice, 'checkpoint proofs/checkpoint-2', 'of the same log')
  })
})

describe('a witness that is asked for', () => {
  it('has cosigned the head, and says when', async () => {
    const built = smallBundle()
    const verdict = await verifyBundle(await written(built), { witnesses: [keyIn(built.log.witness)] })
    expect(verdict).toMatchObject({ ok: true })
    expect(verdict.proofs.heads).toMatchObject([
      { witnessed: [{ witness: 'witness.example.org/w1', at: 1_795_644_960 }] },
    ])
  })

  it.each<[string, (files: Files) => unknown]>([
    ['has not, or with another key', () => undefined],
    ['never saw that head', (files) => [head, ...every].map((name) => edit(files, name, /— witness.*\n/, ''))],
  ])('fails the bundle where it %s', async (_, change) => {
    const verdict = await resealed(change, { witnesses: [keyIn(smallBundle().log.witness)] })
    expect(told(verdict)).toEqual([`checkpoint ${head}`])
    expectTold(verdict, `checkpoint ${head}`, 'not cosigned by the witness witness.example.org/w1')
  })
})

describe('a bundle from before bundles carried proofs', () => {
  it('is still verified, and says that it carries none', async () => {
    const file = await written(withoutProofs(smallBundle()))
    expect(await verifyBundle(file)).toMatchObject({ ok: true, entries: 4, proofs: { carried: false, proven: 0 } })
    const { code, out } = await runCommand(['verify', file])
    expect(code).toBe(0)
    expect(out).toContain('! It carries no proofs that its entries are in the log')
    expect(out).not.toContain('The key of the log')
  }, 60_000)

  it('is refused where a witness is asked for', async () => {
    const built = smallBundle()
    const verdict = await verifyBundle(await written(withoutProofs(built)), { witnesses: [keyIn(built.log.witness)] })
    expectTold(verdict, `missing ${head}`, 'no checkpoint that a witness could have cosigned')
  })

  it('cannot be made of a newer one by taking the proofs away alone', async () => {
    const bare = (files: Files): void => {
      for (const name of [head, ...every]) files.delete(name)
      set(files, keys, JSON.stringify({ keys: JSON.parse(textIn(files, keys)).keys }))
    }
    expectTold(await resealed(bare), `missing ${head}`, 'signed head of the log')
  })
})

describe('the verify command', () => {
  it('tells what was proven, under which head, with whose keys, and who saw it', async () => {
    const built = smallBundle()
    const file = await written(built)
    const folder = path.dirname(file)
    const [vkey, answer] = [path.join(folder, 'log.vkey'), path.join(folder, 'keys.json')]
    await writeFile(vkey, `${built.log.vkey}\n`)
    await writeFile(answer, built.files.get(keys) ?? '')
    const alone = await runCommand(['verify', file])
    expect(alone.out).toContain('✓ 4 of them proven to be in the log, under a head that it signed')
    expect(alone.out).toContain('log.example.org/exhibit, 33 leaves')
    expect(alone.out).toMatch(/The key of the log came with the bundle too[\s\S]*\n {4}log\.example\.org\/exhibit\+/)
    const given = await runCommand(['verify', file, '--key', vkey, '--witness', built.log.witness])
    expect(given.code).toBe(0)
    expect(given.out).toContain(`Proofs were checked with the key of the log you gave: ${built.log.vkey}.`)
    expect(given.out).toContain('✓ the witness witness.example.org/w1 saw that head at 2026-11-25T22:16:00.000Z')
    expect(given.out).toContain('The keys came with the bundle, so the receipts prove only')
    const json = await runCommand(['verify', file, '--key', answer, '--json'])
    expect(JSON.parse(json.out)).toMatchObject({
      ok: true,
      proofs: { carried: true, proven: 4 },
      keys: { from: 'given' },
      logKeys: { from: 'given', vkeys: [built.log.vkey] },
    })
  }, 120_000)

  it('refuses keys that are none, and names a witness that did not sign', async () => {
    const file = await written(smallBundle())
    const nothing = path.join(path.dirname(file), 'nothing')
    await writeFile(nothing, 'nothing')
    const none = await runCommand(['verify', file, '--key', nothing])
    expect(none).toMatchObject({ code: 1, err: expect.stringContaining('holds no Ed25519 public key') })
    const other = await runCommand(['verify', file, '--witness', smallBundle().log.witness])
    expect(other).toMatchObject({ code: 1, out: expect.stringContaining('✗ checkpoint  proofs/checkpoint') })
    const bad = await runCommand(['verify', file, '--witness', 'nobody'])
    expect(bad).toMatchObject({ code: 1, err: expect.stringContaining('no vkey of a witness') })
  }, 120_000)
})
