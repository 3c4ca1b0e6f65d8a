import { createHash, createPrivateKey, type KeyObject } from 'node:crypto'
import { asZip, type Built, buildBundle, type Files, seal } from './bundle-builder.ts'

/** The published vector of a bundle, `docs/vectors/bundle.zip` and `.json`: the same bytes each time. */

const about =
  'bundle.zip is whole and must be accepted. Each of `invalid` is made of its bytes: keep only the first `keep` of them; put `before` in front or `after` behind; or write each [offset, hex] of `write` over them. It must be refused, and `names`, a path below the one folder, must be named as `kind`. `leaves` gives the leaf data of each disclosed entry, `places` its index in the log. The footage is two lines of text, the page and the papers are stubs. The keys are those of RFC 8032, section 7.1: TEST 1 (also RFC 8037, appendix A) signs receipts, TEST 2 the head of the log, TEST 3 is its witness. Never trust them.'

const secrets = [
  '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
  '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
  'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
]

const keyOf = (secret: string): KeyObject =>
  createPrivateKey({
    key: Buffer.from(`302e020100300506032b657004220420${secret}`, 'hex'),
    format: 'der',
    type: 'pkcs8',
  })

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex')

/** UUIDv7 of one moment, counted. */
const counted = () => {
  let count = 0
  return (): string => {
    count++
    const random = sha256(`id ${count}`)
    return `01a22e8d-b342-7${count.toString(16).padStart(3, '0')}-8${random.slice(0, 3)}-${random.slice(3, 15)}`
  }
}

const build = (): Built => {
  const [privateKey, logKey, witnessKey] = secrets.map(keyOf)
  const page = () => '<!doctype html><title>In a real bundle this is the page that plays and checks it.</title>\n'
  const footage = { recording: Buffer.from('Not really a video.\n'), clip: Buffer.from('Not really a clip.\n') }
  if (privateKey === undefined || logKey === undefined || witnessKey === undefined) throw new Error('a key is missing')
  return buildBundle({ ...footage, page, nextId: counted(), privateKey, logKey, witnessKey })
}

type Write = [offset: number, hex: string]

/** What differs between two of one length. */
const between = (one: Buffer, other: Buffer): Write[] => {
  if (one.length !== other.length) throw new Error('it was to have the same length')
  const writes: Write[] = []
  for (let at = 0; at < one.length; at++) {
    if (one[at] === other[at]) continue
    let end = at + 1
    while (end < one.length && one[end] !== other[end]) end++
    writes.push([at, other.subarray(at, end).toString('hex')])
    at = end
  }
  return writes
}

const edit = (files: Files, name: string, change: (text: string) => string): void => {
  files.set(name, Buffer.from(change(files.get(name)?.toString() ?? '')))
}

/** The bundle as somebody makes it again who changed its files, and knows how manifests are written. */
const forged = (change: (files: Files) => void): Buffer => {
  const built = build()
  change(built.files)
  return asZip({ ...built, files: seal(built.files) })
}

const [first, second] = ['data/exhibits/AB_1', 'data/exhibits/AB_2']

const anotherClip = (files: Files): void => {
  const [was, is] = [files.get(`${second}/clip.mp4`) ?? Buffer.alloc(0), Buffer.from('Not at all a clip.\n')]
  files.set(`${second}/clip.mp4`, is)
  edit(files, `${second}/provenance.json`, (text) => text.replaceAll(sha256(was), sha256(is)))
}

const changedPlaces = (files: Files): void => {
  const named = /"exhibit": \{\s+"id": "[^"]+",\s+"reference": "[^"]+",\s+"item": \d/
  const texts = [first, second].map((folder) => files.get(`${folder}/provenance.json`)?.toString() ?? '')
  const [one = '', other = ''] = texts.map((text) => named.exec(text)?.[0])
  edit(files, `${first}/provenance.json`, (text) => text.replace(one, other))
  edit(files, `${second}/provenance.json`, (text) => text.replace(other, one))
}

export const bundleVector = () => {
  const built = build()
  const { top, files, story, log } = built
  const zip = asZip(built)

  /** Where this stands in a file, as the ZIP has it. */
  const place = (name: string, text = ''): number => {
    const within = files.get(name)?.indexOf(text) ?? -1
    if (within === -1) throw new Error(`there is no ${text} in ${name}`)
    return zip.indexOf(`${top}/${name}`) + top.length + 1 + name.length + within
  }
  /** Where the name of a file stands in the directory. */
  const listed = (name: string): number => zip.lastIndexOf(`${top}/${name}`)
  const another = (at: number): Write => [at, zip.toString('latin1', at, at + 1) === 'A' ? '42' : '41']
  const [original, clip, receipt] = [`${first}/BWC_0001.MP4`, `${second}/clip.mp4`, story.receipts[0]?.path ?? '']
  const jws = files.get(receipt)?.toString() ?? ''
  const proof = (n: number): string => `proofs/entries/${n}.tlog-proof`
  const head = 'proofs/checkpoint'
  const inHead = (what: RegExp): number => place(head, what.exec(log.checkpoint)?.[0])
  const header = listed(clip) - 46
  const write = (what: string, names: string, kind: string, ...writes: Write[]) => ({
    what,
    names,
    kind,
    write: writes,
  })

  const invalid = [
    write('one byte of an exhibit is another', original, 'altered', another(place(original))),
    write(
      'one byte of a schedule is another',
      'data/schedules/MG6C.csv',
      'altered',
      another(place('data/schedules/MG6C.csv')),
    ),
    write(
      'one byte of the signature of a receipt is another',
      receipt,
      'receipt',
      another(place(receipt) + jws.lastIndexOf('.') + 10),
    ),
    write('what an entry discloses as its actor is not what was sealed', 'proofs/entries/1.entry.json', 'entry', [
      place('proofs/entries/1.entry.json', 'take-into-custody'),
      Buffer.from('mule').toString('hex'),
    ]),
    write('a proof has another place', proof(1), 'proof', [place(proof(1), 'index 3') + 6, '32']),
    write(
      'one byte of a hash in a proof is another',
      proof(2),
      'proof',
      another(place(proof(2), 'index 10\n') + 'index 10\n'.length),
    ),
    write('the head that a proof stands on has another size', proof(1), 'proof', [
      place(proof(1), `\n${log.size}\n`) + 1,
      Buffer.from(`${log.size - 1}`).toString('hex'),
    ]),
    write(
      'the head of the log has another root',
      head,
      'checkpoint',
      another(inHead(/\n\d+\n/) + `\n${log.size}\n`.length),
    ),
    write(
      "the log's signature under its head is another",
      head,
      'checkpoint',
      another(inHead(/\n\n/) + Buffer.byteLength(`\n\n— ${log.origin} `) + 12),
    ),
    { what: 'cut in the middle of an exhibit', names: clip, kind: 'cut', keep: place(clip) + 9 },
    { what: 'bytes before the ZIP', names: null, kind: 'padded', before: Buffer.from('#!/bin/sh\n').toString('hex') },
    { what: 'bytes after the ZIP', names: null, kind: 'padded', after: Buffer.from('more').toString('hex') },
    write('a path that climbs out of the folder', `.././${original.slice('data/'.length)}`, 'unsafe-name', [
      listed(original) + top.length + 1,
      Buffer.from('.././').toString('hex'),
    ]),
    write('a symbolic link, by its mode in the directory', clip, 'link', [header + 40, 'ffa1']),
    write('an entry that says it is encrypted', clip, 'encrypted', [header + 8, '09']),
    write('an entry that says it is compressed', clip, 'compressed', [header + 10, '08']),
    write('a name in the directory that is not the one beside the bytes', `${second}/clop.mp4`, 'zip', [
      listed(clip) + `${top}/${second}/cl`.length,
      '6f',
    ]),
    write(
      'another clip, and every digest of it made again but that in the entry of its cutting',
      clip,
      'exhibit',
      ...between(zip, forged(anotherClip)),
    ),
    write(
      'two exhibits that changed places, and every digest made again',
      `${second}/provenance.json`,
      'exhibit',
      ...between(zip, forged(changedPlaces)),
    ),
  ]
  const leaves = story.entries.map(({ entry, proof: { text } }) => {
    const extra = Buffer.from(/extra (.*)/.exec(text)?.[1] ?? '', 'base64').toString('hex')
    return [String(entry.id), extra] as const
  })
  const places = story.entries.map(
    ({ entry, proof: { text } }) => [String(entry.id), Number(/\nindex (.*)/.exec(text)?.[1])] as const,
  )
  const { kty, crv, x, kid } = built.key
  const { origin, vkey, witness } = log
  return {
    zip,
    described: {
      ...{ about, keys: [{ kty, crv, x, kid }], log: { origin, vkey }, witness, bundle: story.bundle.id },
      ...{ leaves: Object.fromEntries(leaves), places: Object.fromEntries(places), invalid },
    },
  }
}
