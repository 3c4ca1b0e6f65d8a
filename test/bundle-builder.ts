import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { CameraSerial, Collar, RecordingId, Sha256, UploadId } from '../src/base/ids.ts'
import { type BundleId, type CaseId, type ClipId, type EntryId, type ExhibitId, newId } from '../src/base/ids.ts'
import type { BundleFile, BundleStory, ExhibitStory, MediaFile, Provenance } from '../src/bundles/story.ts'
import type { PublishedKey } from '../src/ledger/keys/receipt-keys.ts'
import { type Zipped, zipOf } from './bundle-zip.ts'
import { pathIn, treeOf } from './second-tree.ts'

/** The files of a bundle by their paths below its top folder. */
export type Files = Map<string, Buffer>
export type Built = { top: string; files: Files; story: BundleStory; key: PublishedKey; log: BuiltLog }

const sha256 = (...pieces: (Uint8Array | string)[]): Sha256 => {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return hash.digest('hex') as Sha256
}

type Value = string | number | boolean | null | Value[] | { [member: string]: Value }

/** RFC 8785 of what stands in a bundle: members in order, no space. */
const inOrder = (value: Value): string => {
  if (Array.isArray(value)) return `[${value.map(inOrder).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([name, each]) => `${JSON.stringify(name)}:${inOrder(each)}`).join(',')}}`
}

const asHex = (digit: string): string => digit.repeat(32)

type Act = { id: EntryId; action: string; subject: { type: string; id: string }; actor: string; detail: Value }

/** An entry as the ledger discloses it, its purpose withheld; and its leaf. */
const discloseEntry = ({ id, action, subject, actor: name, detail }: Act) => {
  const seal = (salt: string, value: Value): Sha256 => sha256(Buffer.from(salt, 'hex'), inOrder(value))
  const actor = { kind: 'service', id: name }
  const sealed = {
    ...{ actor: seal(asHex('1'), actor), purpose: seal(asHex('2'), 'kept to ourselves') },
    detail: seal(asHex('4'), detail),
  }
  const at = '2026-11-25T22:15:10.000000Z'
  const entry = { v: 1, id, at, operation: 'collection', action, subject, outcome: 'allowed', sealed }
  const leaf = sha256(Buffer.from(asHex('3'), 'hex'), inOrder(entry))
  const parts = { actor: { value: actor, salt: asHex('1') }, detail: { value: detail, salt: asHex('4') } }
  return { leaf, disclosed: { entry, salt: asHex('3'), parts } }
}

const makeKey = (
  privateKey = generateKeyPairSync('ed25519').privateKey,
): { key: PublishedKey; privateKey: KeyObject } => {
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' })
  const kid = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url')
  return {
    key: { kty: 'OKP', crv: 'Ed25519', x, kid, use: 'sig', alg: 'EdDSA', from: '2026-01-01T00:00:00.000Z' },
    privateKey,
  }
}

const signed = (claims: Value, { key, privateKey }: ReturnType<typeof makeKey>): string => {
  const part = (value: Value): string => Buffer.from(inOrder(value)).toString('base64url')
  const text = `${part({ alg: 'EdDSA', typ: 'exhibit-receipt+jwt', kid: key.kid })}.${part(claims)}`
  return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`
}

/** Keys of notes (C2SP signed-note): `type` 1 signs as a log, 4 as a witness. */
const noteKey = (name: string, type: 1 | 4, privateKey: KeyObject = generateKeyPairSync('ed25519').privateKey) => {
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' })
  const key = Buffer.concat([Buffer.from([type]), Buffer.from(x, 'base64url')])
  const id = sha256(`${name}\n`, key).slice(0, 8)
  return { name, id, privateKey, vkey: `${name}+${id}+${key.toString('base64')}` }
}
type Signer = ReturnType<typeof noteKey>

const signatureLine = ({ name, id }: Signer, signature: Buffer): string =>
  `— ${name} ${Buffer.concat([Buffer.from(id, 'hex'), signature]).toString('base64')}\n`

/** A signed head, and below it what a witness says of it, when. */
const signedHead = (text: string, log: Signer, witness: Signer, seconds: number): string => {
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(BigInt(seconds))
  const seen = sign(null, Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`), witness.privateKey)
  const lines = [signatureLine(log, sign(null, Buffer.from(text), log.privateKey))]
  return `${text}\n${[...lines, signatureLine(witness, Buffer.concat([time, seen]))].join('')}`
}

const inBase64 = (bytes: Buffer): string => bytes.toString('base64')

/** The log that has the entries of the bundle among its leaves, and a witness of it. */
type BuiltLog = { origin: string; vkey: string; witness: string; checkpoint: string; size: number }

/** Some leaves of others, and these at 3, 10, 17 and so on. */
export const growLog = (
  own: readonly string[],
  { logKey, witnessKey }: Pick<Wanted, 'logKey' | 'witnessKey'> = {},
  origin = 'log.example.org/exhibit',
) => {
  const size = 7 * own.length + 5
  const leaves = Array.from({ length: size }, (_, n) => Buffer.from(sha256(`the leaf ${n} of somebody else`), 'hex'))
  const indexes = own.map((_, n) => 7 * n + 3)
  for (const [n, leaf] of own.entries()) leaves[indexes[n] ?? 0] = Buffer.from(leaf, 'hex')
  const tree = treeOf(leaves)
  const log = noteKey(origin, 1, logKey)
  const witness = noteKey('witness.example.org/w1', 4, witnessKey)
  const text = `${log.name}\n${size}\n${inBase64(tree(0, size))}\n`
  const checkpoint = signedHead(text, log, witness, 1_795_644_960)
  const proofs = indexes.map((index) => {
    const head = ['c2sp.org/tlog-proof@v1', `extra ${inBase64(leaves[index] ?? Buffer.alloc(0))}`, `index ${index}`]
    return [...head, ...pathIn(tree, index, 0, size).map(inBase64), '', checkpoint].join('\n')
  })
  const built: BuiltLog = { origin: log.name, vkey: log.vkey, witness: witness.vkey, checkpoint, size }
  return { built, indexes, proofs }
}

const json = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value, null, 2)}\n`)
const fileOf = (place: string, bytes: Buffer): BundleFile => ({
  path: place,
  size: bytes.length,
  sha256: sha256(bytes),
})

/** Writes the manifests and the count of what is there, as somebody would who knows how: nothing is wrong after it. */
export const seal = (files: Files): Files => {
  for (const name of ['manifest-sha256.txt', 'tagmanifest-sha256.txt']) files.delete(name)
  const payload = [...files].filter(([name]) => name.startsWith('data/'))
  const bytes = payload.reduce((sum, [, { length }]) => sum + length, 0)
  const id = String(/External-Identifier: (.*)/.exec(files.get('bag-info.txt')?.toString() ?? '')?.[1])
  const info = `Bagging-Date: 2026-11-26\nPayload-Oxum: ${bytes}.${payload.length}\nExternal-Identifier: ${id}\n`
  files.set('bag-info.txt', Buffer.from(info))
  const lines = (some: [string, Buffer][]): Buffer =>
    Buffer.from(some.map(([name, each]) => `${sha256(each)}  ${name}\n`).join(''))
  files.set('manifest-sha256.txt', lines(payload))
  files.set('tagmanifest-sha256.txt', lines([...files].filter(([name]) => !name.startsWith('data/'))))
  return files
}

type Wanted = {
  recording: Buffer
  clip: Buffer
  title?: string
  page?: (story: BundleStory) => string
  /** What signs the receipts, the head of the log, and that a witness saw it; one of its own where none is given. */
  privateKey?: KeyObject
  logKey?: KeyObject
  witnessKey?: KeyObject
  /** Says that originals were asked for as well, and puts none beside the clip. */
  includeOriginals?: boolean
  /** Where the ids come from, for bytes that are the same each time. */
  nextId?: () => string
}

/**
 * A bundle of one recording and one clip of another, made from the layout that docs/verify.md describes and apart from the
 * product's own maker.
 */
export const buildBundle = ({
  recording,
  clip,
  title = 'A case',
  page,
  nextId = newId,
  includeOriginals = false,
  ...signing
}: Wanted): Built => {
  const next = <Id extends string>(): Id => nextId() as Id
  const signer = makeKey(signing.privateKey)
  const bundle = next<BundleId>()
  const top = `exhibit-bundle-${bundle}`
  const files: Files = new Map()
  const theCase = { id: next<CaseId>(), reference: 'OP/2026/7', title }
  const entries: BundleStory['entries'] = []
  const receipts: BundleStory['receipts'] = []
  const leaves: string[] = []
  const asked: Value[] = []

  /** Writes an entry, and answers its path and its leaf. */
  const enter = (act: Act): { path: string; leaf: string } => {
    const { leaf, disclosed } = discloseEntry(act)
    const place = `proofs/entries/${entries.length + 1}`
    leaves.push(leaf)
    entries.push({ path: `${place}.entry.json`, proof: { path: `${place}.tlog-proof`, text: '' }, ...disclosed })
    files.set(`${place}.entry.json`, json(disclosed))
    return { path: `${place}.entry.json`, leaf }
  }

  const take = (bytes: Buffer, filename: string): Provenance['source'] => {
    const [id, entryId] = [next<RecordingId>(), next<EntryId>()]
    const facts = { camera: 'BWC-004217' as CameraSerial, filename, size: bytes.length, sha256: sha256(bytes) }
    const upload = next<UploadId>()
    const { camera, size, sha256: digest } = facts
    const { leaf } = enter({
      ...{ id: entryId, action: 'recording.verified', subject: { type: 'recording', id }, actor: 'take-into-custody' },
      detail: { upload, camera, size, sha256: digest },
    })
    const stated = { iss: 'exhibit.example.org', iat: 1795644910, uploadId: upload, recordingId: id }
    const jws = signed({ ...stated, ...facts, readBackAt: '2026-11-25T22:15:10.000Z', entryId, leaf }, signer)
    const receipt = `proofs/receipts/${id}.jws`
    receipts.push({ path: receipt, recording: id, jws })
    files.set(receipt, Buffer.from(`${jws}\n`))
    return {
      ...facts,
      recording: id,
      officer: 'AB1234' as Collar,
      recordedAt: '2026-11-25T20:02:00.000Z',
      clockOffset: 2,
      receivedAt: '2026-11-25T22:10:00.000Z',
      duration: 2,
      mediaType: 'video/mp4',
      flags: [],
      incident: null,
      receipt,
    }
  }

  const exhibit = (item: number, bytes: Buffer, original: Buffer | null): ExhibitStory => {
    const folder = `data/exhibits/AB_${item}`
    const source = take(original ?? bytes, `BWC_000${item}.MP4`)
    const kind = original === null ? 'recording' : 'clip'
    const at = '2026-11-25T22:15:10.000Z'
    const media: MediaFile = {
      ...fileOf(`${folder}/${original === null ? source.filename : 'clip.mp4'}`, bytes),
      made: original === null ? 'original' : 'clip',
      mediaType: 'video/mp4',
    }
    files.set(media.path, bytes)
    const about = {
      id: next<ExhibitId>(),
      reference: `AB/${item}`,
      item,
      kind,
      description: `What AB/${item} shows`,
    } as const
    const taken = entries.at(-1)?.path ?? null
    const cut = { id: next<ClipId>(), size: bytes.length, sha256: sha256(bytes) }
    const { id: clipId, ...ofClip } = cut
    const made =
      original === null
        ? null
        : enter({
            ...{ id: next<EntryId>(), action: 'clip.cut', actor: 'cut-clip' },
            subject: { type: 'recording', id: source.recording },
            detail: { clip: clipId, ...ofClip, frames: 25, method: 'encoded', first: 1, last: 1.96, tool: 'ffmpeg' },
          })
    asked.push({
      ...{ exhibit: about.id, reference: about.reference, item, recording: source.recording },
      ...(original === null ? {} : { clip: clipId }),
    })
    const provenance: Provenance = {
      v: 1,
      bundle,
      case: { id: theCase.id, reference: theCase.reference },
      exhibit: about,
      source,
      clip:
        original === null
          ? null
          : {
              ...cut,
              v: 1,
              source: {
                ...{ recording: source.recording, sha256: source.sha256, size: source.size, objectVersion: 'v1' },
                ...{ read: 'whole', bytesRead: source.size, checked: 'all of it' },
              },
              asked: { start: 1, end: 2 },
              exact: { first: 1, last: 1.96, end: 2, frames: 25 },
              method: 'encoded',
              sound: null,
              tool: 'ffmpeg',
              arguments: [['-i', 'source']],
              checks: ['every frame was decoded'],
            },
      files: [{ ...media, is: 'the exhibit', isNot: 'a copy for viewing', run: null }],
    }
    const provenancePath = `${folder}/provenance.json`
    const statementPath = `${folder}/continuity.pdf`
    files.set(provenancePath, json(provenance))
    files.set(statementPath, Buffer.from('%PDF-1.7\n'))
    return {
      ...{
        item,
        reference: about.reference,
        folder,
        kind,
        description: about.description,
        media,
        provenance,
        provenancePath,
        statementPath,
      },
      ...{ viewingCopy: null, original: null, playable: true, receipt: source.receipt },
      story: [
        { at: source.recordedAt, words: 'Recorded by the camera BWC-004217.', entry: null, leaf: null },
        {
          at,
          words: 'Stored, read back whole, and receipted.',
          entry: taken,
          leaf: { index: 0, size: 0 },
        },
        ...(made === null ? [] : [{ at, words: 'Cut, and published.', entry: made.path, leaf: { index: 0, size: 0 } }]),
      ],
    }
  }

  const exhibits = [exhibit(1, recording, null), exhibit(2, clip, Buffer.concat([recording, clip]))]
  const entry = next<EntryId>()
  enter({
    ...{ id: entry, action: 'bundle.asked', subject: { type: 'bundle', id: bundle }, actor: 'bundle.request' },
    detail: { case: theCase.id, schedule: 1, includeOriginals, exhibits: asked },
  })
  const { built: log, indexes, proofs } = growLog(leaves, signing)
  for (const [n, entry] of entries.entries()) {
    const [index = 0, text = ''] = [indexes[n], proofs[n]]
    entry.proof.text = text
    files.set(entry.proof.path, Buffer.from(text))
    for (const line of exhibits.flatMap(({ story }) => story))
      if (line.entry === entry.path) line.leaf = { index, size: log.size }
  }
  const schedule = exhibits.map(({ item, reference, description, media }) => ({
    ...{ item, reference, description, content: 'Footage', location: media.path, range: 'the whole', evidence: 'Yes' },
    ...{ sha256: media.sha256, listed: '2026-11-26' },
  }))
  files.set('data/schedules/MG6C.json', json({ items: schedule }))
  files.set('data/schedules/MG6C.csv', Buffer.from('item,description\r\n1,"What AB/1 shows"\r\n'))
  files.set('data/schedules/MG6C.pdf', Buffer.from('%PDF-1.7\n'))
  const { origin, vkey } = log
  const keys = { keys: [signer.key], log: { origin, vkey }, logs: [{ number: 1, origin, vkey, from: signer.key.from }] }
  files.set('proofs/keys.json', json(keys))
  files.set('proofs/checkpoint', Buffer.from(log.checkpoint))
  files.set('README.txt', Buffer.from('Check with sha256sum -c manifest-sha256.txt\n'))
  files.set('bagit.txt', Buffer.from('BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n'))
  files.set('bag-info.txt', Buffer.from(`External-Identifier: ${bundle}\n`))
  const story: BundleStory = {
    v: 1,
    bundle: {
      ...{
        id: bundle,
        folder: top,
        askedAt: '2026-11-26T09:00:00.000Z',
        recipient: 'The defence',
        purpose: 'Disclosure',
      },
      ...{ includeOriginals, schedule: 1, entry },
    },
    case: theCase,
    exhibits,
    schedule,
    manifest: [...files].filter(([name]) => name.startsWith('data/')).map(([name, bytes]) => fileOf(name, bytes)),
    receipts,
    entries,
    checkpoints: [{ path: 'proofs/checkpoint', note: log.checkpoint }],
    keys,
  }
  files.set('data/index.html', Buffer.from(page?.(story) ?? '<!doctype html><title>A bundle</title>'))
  return { top, files: seal(files), story, key: signer.key, log }
}

/** The same bundle as it was made before bundles carried proofs. */
export const withoutProofs = (built: Built): Built => {
  const files = new Map(built.files)
  for (const name of files.keys())
    if (/\.tlog-proof$|^proofs\/checkpoint|\/continuity\.pdf$/.test(name)) files.delete(name)
  files.set('proofs/keys.json', json({ keys: [built.key] }))
  return { ...built, files: seal(files) }
}

/** The files as a ZIP holds them, to be made wrong or not. */
export const zipped = ({ top, files }: Pick<Built, 'top' | 'files'>): Zipped[] =>
  [...files].map(([name, bytes]) => ({ name: `${top}/${name}`, bytes }))

export const asZip = (built: Pick<Built, 'top' | 'files'>): Buffer => zipOf(zipped(built))

/** Writes the files below `place`, as an unpacked bundle, and answers its folder. */
export const asFolder = async ({ top, files }: Pick<Built, 'top' | 'files'>, place: string): Promise<string> => {
  for (const [name, bytes] of files) {
    const file = path.join(place, top, name)
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, bytes)
  }
  return path.join(place, top)
}
