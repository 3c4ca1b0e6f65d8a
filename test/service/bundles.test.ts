import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { compactVerify, importJWK } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BundleId, CaseId, EntryId, ExhibitId, RecordingId } from '../../src/base/ids.ts'
import { bundleKey } from '../../src/bundles/bundle.ts'
import { verifyBundle } from '../../src/bundles/verify.ts'
import { changeExhibit } from '../../src/cases/exhibits.ts'
import { moveExhibit } from '../../src/cases/moving.ts'
import { TakenOver } from '../../src/jobs/job.ts'
import { leafOf, sealOf } from '../../src/ledger/entry.ts'
import { keyDocument } from '../../src/ledger/keys/key-document.ts'
import { registerReceiptKey } from '../../src/ledger/keys/receipt-keys.ts'
import { placesOf } from '../../src/ledger/log/proofs.ts'
import { logKeysIn } from '../../src/ledger/log/verify-proof.ts'
import type { Person } from '../../src/people/person.ts'
import { placeHold } from '../../src/retention/holds.ts'
import { openViewing } from '../../src/viewings/opening.ts'
import { askBundle, bundleRow, checkedBag, jsonIn, makeNow, put, readable, run, unpacked, zipIn } from '../bundled.ts'
import { aCase } from '../case-files.ts'
import { assign, entriesAbout, someone } from '../catalogued.ts'
import { cutNow } from '../clipped.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { aDock } from '../footsteps.ts'
import { ffmpeg, show } from '../shown.ts'

let engines: TestEngines
let folder: string
let asha: Person
let dora: Person
let caseId: CaseId
let recording: RecordingId
let old: RecordingId
let top: string
let id: BundleId
const exhibits: Record<string, ExhibitId> = {}

const picture = ['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25:d=4', '-f', 'lavfi', '-i', 'sine=d=4']

beforeAll(async () => {
  engines = await testEngines({ env: { RECEIPT_ISSUER: 'Avon Police' } })
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-bundles-'))
  await registerReceiptKey(engines)
  asha = await someone(engines, ['investigator', 'supervisor'])
  dora = await someone(engines, ['disclosure', 'auditor'])
  caseId = await aCase(engines, asha, [[dora, 'disclosure']])
  const dock = await aDock(engines)
  const [usual, avi] = [path.join(folder, 'BWC 0417.mp4'), path.join(folder, 'old.avi')]
  await ffmpeg(...picture, '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac', usual)
  await ffmpeg(...picture, '-c:v', 'mjpeg', '-c:a', 'pcm_s16le', avi)
  recording = await show(engines, dock, usual)
  old = await show(engines, dock, avi)
  const { camera } = await engines.db
    .selectFrom('recordings')
    .select('camera')
    .where('id', '=', recording)
    .executeTakeFirstOrThrow()
  await assign(engines, camera, 'PC1234', '2026-11-20T00:00:00Z', null)
  await openViewing(engines, asha, recording, 'Complaint 26/0193')
  await placeHold(engines, asha, recording, { kind: 'complaint', reason: 'Appeal 7' })
  const clip = await cutNow(engines, asha, recording, [1, 2.5])
  exhibits.usual = await put(engines, asha, caseId, 'AB/1', {
    recordingId: recording,
    description: '=SUM(A1), "left"\nand Łódź',
  })
  exhibits.old = await put(engines, asha, caseId, 'AB/2', { recordingId: old })
  exhibits.clip = await put(engines, asha, caseId, 'AB/3', { clipId: clip.id })
  id = await askBundle(engines, dora, caseId, Object.values(exhibits))
  expect(await makeNow(engines, id)).toMatchObject({ state: 'ready', failure: null, progress: 1 })
  top = await unpacked(engines, id, folder)
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await engines[Symbol.asyncDispose]()
})

const sha256Of = (bytes: Buffer | null) =>
  createHash('sha256')
    .update(bytes ?? '')
    .digest('hex')
const inBundle = async (name: string) => await readFile(path.join(top, name))

describe('a bundle', () => {
  test('is one ZIP of one bag, which unzip, sha256sum and the rules of BagIt find whole', async () => {
    const { size, sha256 } = await bundleRow(engines, id)
    const zip = await zipIn(engines, id)
    expect({ size, sha256 }).toEqual({ size: zip?.length, sha256: sha256Of(zip) })
    expect((await run('unzip', ['-t', path.join(folder, `${id}.zip`)])).stdout).toContain('No errors detected')
    for (const manifest of ['manifest-sha256.txt', 'tagmanifest-sha256.txt']) {
      const { stdout } = await run('sha256sum', ['-c', manifest], { cwd: top })
      expect(
        stdout
          .trim()
          .split('\n')
          .filter((line) => !line.endsWith(': OK')),
      ).toEqual([])
    }
    const { wrong, info, files } = await checkedBag(top)
    expect(wrong).toEqual([])
    expect(info).toMatchObject({
      'Source-Organization': 'Avon Police',
      'External-Identifier': id,
      Recipient: 'CPS London North',
      Purpose: 'Initial details',
    })
    expect(files).toEqual(
      expect.arrayContaining([
        'README.txt',
        'data/exhibits/AB_1/BWC_0417.mp4',
        'data/exhibits/AB_1/provenance.json',
        'data/exhibits/AB_2/old.avi',
        'data/exhibits/AB_2/viewing-copy.mp4',
        'data/exhibits/AB_3/BWC_0417-clip.mp4',
        'data/index.html',
        'data/schedules/MG6C.csv',
        'data/schedules/MG6C.json',
        'data/schedules/MG6C.pdf',
        'data/exhibits/AB_1/continuity.pdf',
        'data/exhibits/AB_2/continuity.pdf',
        'data/exhibits/AB_3/continuity.pdf',
        'proofs/checkpoint',
        'proofs/entries/1.entry.json',
        'proofs/entries/1.tlog-proof',
        'proofs/keys.json',
        `proofs/receipts/${recording}.jws`,
        `proofs/receipts/${old}.jws`,
      ]),
    )
    expect(files).not.toContain('data/exhibits/AB_1/viewing-copy.mp4')
  })

  test('is verified by our own command as well, as a ZIP and as a folder, with the keys that are published', async () => {
    const { keys, logs } = await keyDocument(engines.db)
    const logKeys = logKeysIn({ logs }, '')
    for (const place of [path.join(folder, `${id}.zip`), top]) {
      expect(await verifyBundle(place, { keys, logKeys })).toMatchObject({
        findings: [],
        proofs: { carried: true, heads: [{ path: 'proofs/checkpoint' }] },
        logKeys: { from: 'given' },
      })
    }
  })

  test('holds the originals bit for bit, and a copy that plays of what browsers do not', async () => {
    expect(await inBundle('data/exhibits/AB_1/BWC_0417.mp4')).toEqual(await readFile(path.join(folder, 'BWC 0417.mp4')))
    expect(await inBundle('data/exhibits/AB_2/old.avi')).toEqual(await readFile(path.join(folder, 'old.avi')))
    const copy = path.join(top, 'data/exhibits/AB_2/viewing-copy.mp4')
    const crc = await ffmpeg('-i', copy, '-map', '0:v', '-c', 'copy', '-f', 'framecrc', '-')
    expect(crc.split('\n').filter((line) => /^0,/.test(line))).toHaveLength(100)
  })

  test('says of each exhibit where it comes from, how it was made, and what it is not', async () => {
    const original = await jsonIn(top, 'data/exhibits/AB_1/provenance.json')
    expect(original).toMatchObject({
      v: 1,
      bundle: id,
      exhibit: { reference: 'AB/1', item: 1, kind: 'recording' },
      source: {
        recording,
        officer: 'PC1234',
        recordedAt: '2026-11-20T08:00:00.000Z',
        clockOffset: null,
        filename: 'BWC 0417.mp4',
        sha256: sha256Of(await inBundle('data/exhibits/AB_1/BWC_0417.mp4')),
        receipt: `proofs/receipts/${recording}.jws`,
      },
      clip: null,
      files: [{ made: 'original', run: null, is: expect.stringContaining('bit for bit') }],
    })
    const clip = await jsonIn(top, 'data/exhibits/AB_3/provenance.json')
    expect(clip).toMatchObject({
      exhibit: { reference: 'AB/3', item: 3, kind: 'clip' },
      clip: {
        sha256: sha256Of(await inBundle('data/exhibits/AB_3/BWC_0417-clip.mp4')),
        asked: { start: 1, end: 2.5 },
        exact: { first: 1, last: 2.48, end: 2.5, frames: 38 },
        source: { recording, sha256: original.source.sha256 },
      },
      files: [{ made: 'clip', isNot: expect.stringContaining('not the recording') }],
    })
    expect(clip.files[0].run.arguments.flat()).toContain('-i')
    const copied = await jsonIn(top, 'data/exhibits/AB_2/provenance.json')
    expect(copied.files).toMatchObject([
      { made: 'original', run: null },
      {
        made: 'viewing-copy',
        isNot: expect.stringContaining('not evidence'),
        run: { tool: expect.stringMatching(/ffmpeg/) },
      },
    ])
  })

  test('lists its exhibits on MG6C: a table without formulas, JSON, and a PDF', async () => {
    const csv = (await inBundle('data/schedules/MG6C.csv')).toString()
    const rows = JSON.parse(
      (
        await run('python3', [
          ...[
            '-c',
            "import csv, json, sys; print(json.dumps(list(csv.reader(open(sys.argv[1], encoding='utf-8-sig', newline='')))))",
          ],
          path.join(top, 'data/schedules/MG6C.csv'),
        ])
      ).stdout,
    )
    expect(rows).toHaveLength(4)
    expect(rows[0].slice(0, 5)).toEqual(['Item', 'Reference', 'Description', 'Content', 'Location'])
    expect(rows[1].slice(0, 3)).toEqual(['1', 'AB/1', '\'=SUM(A1), "left"\nand Łódź'])
    expect(rows[3][5]).toBe('from 1 s to 2.5 s of the recording')
    expect(csv.split('\r\n')).toHaveLength(5)
    expect(await jsonIn(top, 'data/schedules/MG6C.json')).toMatchObject({
      form: 'MG6C',
      schedule: 1,
      items: [
        { item: 1, description: '=SUM(A1), "left"\nand Łódź', prosecutorDecision: null },
        { item: 2 },
        { item: 3 },
      ],
    })
    const pdf = (await inBundle('data/schedules/MG6C.pdf')).toString('latin1')
    expect(pdf).toMatch(/^%PDF-1\.[\s\S]*%%EOF\s*$/)
    expect(pdf).not.toMatch(/FontFile|URI/)
  })

  test('proves what it says: receipts under the keys beside them, entries under their seals and leaves', async () => {
    const { keys } = await jsonIn(top, 'proofs/keys.json')
    const jws = (await inBundle(`proofs/receipts/${recording}.jws`)).toString()
    const { payload } = await compactVerify(jws, await importJWK(keys[0], 'EdDSA'))
    const claims = JSON.parse(Buffer.from(payload).toString())
    expect(claims.sha256).toBe(sha256Of(await inBundle('data/exhibits/AB_1/BWC_0417.mp4')))
    const { files } = await checkedBag(top)
    const leaves = new Map<string, string>()
    const actions: string[] = []
    for (const file of files.filter((name) => name.endsWith('.entry.json'))) {
      const { entry, salt, parts } = await jsonIn(top, file)
      const text = (await inBundle(file)).toString()
      const canonicalEntry = text.slice('{"entry":'.length, text.indexOf(',"parts":'))
      leaves.set(entry.id, leafOf(Buffer.from(salt, 'hex'), canonicalEntry).toString('hex'))
      actions.push(entry.action)
      for (const [name, part] of Object.entries<{ value: string; salt: string }>(parts))
        expect(sealOf(Buffer.from(part.salt, 'hex'), part.value)).toBe(entry.sealed[name])
    }
    expect(leaves.get(claims.entryId)).toBe(claims.leaf)
    expect(new Set(actions)).toEqual(
      new Set(['recording.verified', 'recording.examined', 'clip.cut', 'exhibit.added', 'bundle.asked']),
    )
  })

  test('tells nobody outside what the others said, nor by name who did what', async () => {
    const texts = (await checkedBag(top)).files.filter((name) => /\.(txt|json|csv|html|jws|pdf)$/.test(name))
    for (const name of texts) {
      const text = await readable(top, name)
      expect(text, name).not.toMatch(/case 12\/3456|Complaint 26|Appeal 7|opened to be watched|A hold|complaint/)
      expect(text, name).not.toMatch(/investigator supervisor|disclosure auditor/)
      // The title of a clip. The page has a heading of these words, and nothing else.
      expect(text.replaceAll('>What happened to it<', ''), name).not.toContain('What happened')
    }
    const disclosed = await Promise.all(
      texts.filter((name) => name.endsWith('.entry.json')).map(async (name) => await jsonIn(top, name)),
    )
    const withPurpose = disclosed.filter(({ parts }) => parts.purpose !== undefined).map(({ entry }) => entry.action)
    expect(withPurpose).toEqual(['bundle.asked'])
  })

  test('leaves a trace: who asked for it, for whom, and of each recording that it was disclosed', async () => {
    const [asked, made] = await entriesAbout(engines, id)
    expect(asked).toMatchObject({
      operation: 'disclosure',
      action: 'bundle.asked',
      actor: { id: dora.id, role: 'disclosure' },
      recipient: 'CPS London North',
      purpose: 'Initial details',
      detail: { case: caseId, schedule: 1, exhibits: [{ reference: 'AB/1', item: 1, recording }, {}, { recording }] },
    })
    expect(made).toMatchObject({ action: 'bundle.made', recipient: 'CPS London North', actor: { kind: 'service' } })
    const about = (await entriesAbout(engines, recording)).filter(({ action }) => action === 'recording.disclosed')
    expect(about).toMatchObject([{ operation: 'disclosure', detail: { bundle: id, original: true } }])
  })
})

describe('the continuity statement of an exhibit', () => {
  const statement = async (name: string) => await readable(top, `data/exhibits/${name}/continuity.pdf`)
  const sealed = 'An act that is not told to the reader of this statement.'

  test('lists every act up to the head of the log: what is disclosed in words, and of all else its place alone', async () => {
    const text = await statement('AB_1')
    const size = Number((await inBundle('proofs/checkpoint')).toString().split('\n')[1])
    expect(text).toContain('until the moment at which the head of the log that is given below was signed')
    expect(text).toContain(`for CPS London North. Entry ${(await bundleRow(engines, id)).entry} records it.`)
    expect(text).toContain(`over ${size} leaves, signed:`)
    for (const said of [
      'every byte of the recording was read back and had the SHA-256 that is given here',
      'The clip was cut from the recording, checked frame by frame, and published.',
      'It was put into the case as AB/3.',
      'This bundle was asked for.',
      'Why: “Initial details”',
      `person ${dora.id}, as disclosure`,
    ])
      expect(text).toContain(said)
    const places = [...text.matchAll(/In the log: place (\d+) of (\S+), under the signed head above/g)]
    const acts = Number(/End of the list: (\d+) acts\./.exec(text)?.[1])
    expect(places).toHaveLength(acts)
    const told = [...text.matchAll(/(?<= Entry: )[0-9a-f-]{36}/g)].map(([each]) => each)
    expect(text.split(sealed)).toHaveLength(acts - told.length + 1)
    // Viewed, held, asked for as a clip, sent, stored, shown: none of them is told.
    expect(acts - told.length).toBeGreaterThan(5)
    const known = await placesOf(engines.db, told as EntryId[])
    const indexes = new Set(places.map(([, index]) => Number(index)))
    expect(indexes.size).toBe(acts)
    for (const entry of told as EntryId[]) expect(indexes).toContain(known.get(entry)?.index)
  })

  test('of a clip names its range and the exhibit that it is, and nobody by name', async () => {
    const text = await statement('AB_3')
    expect(text).toMatch(/Clip: [0-9a-f-]{36}, “AB\/3”, asked for from 1 s to 2\.5 s of the recording/)
    expect(text).toContain('are in the folder proofs/ of this bundle')
    expect(text).not.toContain('api/v1')
    expect(text).toContain(sealed)
    expect(await statement('AB_2')).not.toContain('The clip was cut')
  })
})

test('the same inputs give the same bytes, in one object, also where an attempt came to its end and was not heard of', async () => {
  const again = await askBundle(engines, dora, caseId, Object.values(exhibits))
  let calls = 0
  const lost = makeNow(engines, again, {
    fence: async () => {
      calls += 1
      if (calls === 4) throw new TakenOver()
    },
  })
  await expect(lost).rejects.toThrow(TakenOver)
  expect(await bundleRow(engines, again)).toMatchObject({ state: 'working', sha256: null })
  const first = await zipIn(engines, again)
  expect(first?.length).toBeGreaterThan(10_000)
  expect(await makeNow(engines, again, { attempt: 2 })).toMatchObject({ state: 'ready', sha256: sha256Of(first) })
  expect((await zipIn(engines, again))?.equals(first ?? Buffer.alloc(0))).toBe(true)
  expect(await engines.store.list('derived', bundleKey(again))).toEqual([bundleKey(again)])
  expect(await engines.store.multiparts('derived', bundleKey(again))).toEqual([])
})

test('numbers on the schedules of a case go on, and stay', async () => {
  const fresh = await put(engines, asha, caseId, 'AB/9', { recordingId: old })
  const more = await askBundle(engines, dora, caseId, [fresh, ...(exhibits.clip === undefined ? [] : [exhibits.clip])])
  await makeNow(engines, more)
  const place = await unpacked(engines, more, folder)
  const { schedule, items } = await jsonIn(place, 'data/schedules/MG6C.json')
  expect(schedule).toBeGreaterThan(1)
  expect(items.map(({ item, reference }: { item: number; reference: string }) => [item, reference])).toEqual([
    [3, 'AB/3'],
    [4, 'AB/9'],
  ])
})

test('what was said of an exhibit before, and other cases, stay inside', async () => {
  const [from, to] = [
    await aCase(engines, asha, [[dora, 'disclosure']]),
    await aCase(engines, asha, [[dora, 'disclosure']]),
  ]
  const secret = { recordingId: old, sensitivity: 'sensitive', description: 'Shows the informant' } as const
  const changed = await put(engines, asha, to, 'D/1', secret)
  await changeExhibit(engines, asha, changed, { sensitivity: 'none', description: 'The street' }, 'A slip of the pen')
  const moved = await put(engines, asha, from, 'D/2', { recordingId: old })
  const here = await moveExhibit(engines, asha, moved, { caseId: to, reference: 'D/2' }, 'Belongs there')
  const both = await askBundle(engines, dora, to, [changed, here.id])
  expect((await makeNow(engines, both)).failure).toBeNull()
  const place = await unpacked(engines, both, folder)
  expect((await verifyBundle(place)).findings).toEqual([])
  const actions: string[] = []
  for (const name of (await checkedBag(place)).files) {
    const text = await readable(place, name)
    for (const inside of ['informant', 'slip of the pen', 'Belongs there', from, moved])
      expect(text, name).not.toContain(inside)
    if (name.endsWith('.entry.json')) actions.push(JSON.parse(text).entry.action)
  }
  expect(actions).toEqual(expect.arrayContaining(['exhibit.added', 'exhibit.moved-here']))
  expect(actions).not.toContain('exhibit.changed')
})

test('the original goes with a clip where it was asked for, and once', async () => {
  const other = await aCase(engines, asha, [[dora, 'disclosure']])
  const two = [await cutNow(engines, asha, recording, [0, 1]), await cutNow(engines, asha, recording, [2, 3])]
  const ids: ExhibitId[] = []
  for (const [at, clip] of two.entries()) ids.push(await put(engines, asha, other, `C/${at + 1}`, { clipId: clip.id }))
  const both = await askBundle(engines, dora, other, ids, { includeOriginals: true })
  expect((await makeNow(engines, both)).failure).toBeNull()
  const place = await unpacked(engines, both, folder)
  const { wrong, files } = await checkedBag(place)
  expect(wrong).toEqual([])
  expect(files.filter((name) => name.includes('original'))).toEqual(['data/exhibits/C_1/original-BWC_0417.mp4'])
  expect(await verifyBundle(place)).toMatchObject({ findings: [], exhibits: 2, asked: true })
  expect(await readFile(path.join(place, 'data/exhibits/C_1/original-BWC_0417.mp4'))).toEqual(
    await readFile(path.join(folder, 'BWC 0417.mp4')),
  )
  expect(await engines.store.list('derived', bundleKey(both))).toEqual([bundleKey(both)])
})
