import { stat } from 'node:fs/promises'
import { type NoteKey, vkeyOf } from '../base/note.ts'
import { kidOf, type PublicKey } from '../custody/verify-receipt.ts'
import { type Bag, checkBag, tagManifestPath } from './verify/bag.ts'
import { checkEntries, checkLeaves } from './verify/entries.ts'
import { checkExhibits, type Exhibits } from './verify/exhibits.ts'
import { bytesOf, type Find, type Finding } from './verify/finding.ts'
import { openFolder } from './verify/folder.ts'
import { carriesProofs, checkProofs, noProofs, type Proofs } from './verify/proofs.ts'
import type { Provenance } from './verify/provenance.ts'
import { digestsOf } from './verify/reading.ts'
import { checkReceipts, keysInside } from './verify/receipts.ts'
import type { Source } from './verify/source.ts'
import { openZip } from './verify/zipped.ts'

/** All that was found of a bundle. It is as it was made only where `findings` is empty. */
export type BundleVerdict = {
  ok: boolean
  kind: 'zip' | 'folder'
  bundle: string | null
  /** What was there, links and the like left out. */
  files: number
  bytes: number
  /** Of these files the digests are those of the manifests. */
  right: number
  exhibits: number
  /** Whether the entry of its being asked for is here, which lists the exhibits. */
  asked: boolean
  /** References of exhibits without a receipt of their recording. */
  withoutReceipt: string[]
  /** References of exhibits for whose footage neither a receipt nor a proof speaks under a key that was given. */
  alone: string[]
  /** Viewing copies: for them nothing ever speaks but the bundle. */
  copies: number
  /** Receipts that hold; `leaves` of them name an entry that is disclosed here and has the leaf they state. */
  receipts: number
  leaves: number
  entries: number
  /** `proven` of the entries are in the log, under heads that it signed. */
  proofs: Proofs
  /** `given`: the keys were got elsewhere. `bundle`: they were in it, so what they sign proves only that it agrees with itself. */
  keys: { from: 'given' | 'bundle'; kids: string[] }
  logKeys: { from: 'given' | 'bundle'; vkeys: string[] }
  findings: Finding[]
}

type Options = {
  /** Keys got elsewhere, of receipts and of logs; where there are any of a kind, they alone decide. */
  keys?: readonly PublicKey[]
  logKeys?: readonly NoteKey[]
  /** Witnesses that must have cosigned the head of the log. */
  witnesses?: readonly NoteKey[]
  /** Of the file `path`, `done` of `size` bytes were read; of all that is to be read, `all` of `total`. */
  onBytes?: (at: { path: string; done: number; size: number; all: number; total: number }) => void
}

const judge = (
  path: string,
  digest: string,
  expected: string,
  [size, stated]: [number, number | undefined],
): Parameters<Find> => {
  const unlike = `Its SHA-256 is ${digest}, and not ${expected}.`
  if (stated !== undefined && size < stated) {
    return ['cut', path, `Only ${size} of its ${stated} bytes are there. ${unlike}`]
  }
  const longer = stated !== undefined && size > stated ? `It has ${bytesOf(size - stated)} too many. ` : ''
  return ['altered', path, `${longer}These are not the bytes that were put in the bundle. ${unlike}`]
}

const wrongChecksum =
  "The ZIP states another checksum (CRC-32) than this file's bytes have: programs warn of it, or do not unpack it."

/**
 * Reads every file to its end and holds it against the manifests, or what its exhibit states, and against the checksum in
 * the ZIP. Answers how many are right by their digests.
 */
const checkDigests = async (
  source: Source,
  { payload, tags }: Bag,
  stated: Exhibits['stated'],
  find: Find,
  onBytes: Options['onBytes'],
): Promise<number> => {
  const expected = [...source.members].flatMap(([path, { size, crc, barred }]) => {
    const digest = payload?.get(path) ?? tags.get(path) ?? stated.get(path)?.sha256
    // For this one no digest speaks.
    const known = digest !== undefined || (path === tagManifestPath && crc !== undefined)
    return !known || barred ? [] : [{ path, size, digest, crc }]
  })
  const total = expected.reduce((sum, { size }) => sum + size, 0)
  let [all, right] = [0, 0]
  for (const { path, size, digest, crc } of expected) {
    let done = 0
    const is = await digestsOf(source, path, find, (more) => {
      done += more
      all += more
      onBytes?.({ path, done, size, all, total })
    })
    if (is === null) continue
    if (digest !== undefined && is.sha256 !== digest) {
      find(...judge(path, is.sha256, digest, [size, stated.get(path)?.size]))
      continue
    }
    if (digest !== undefined) right++
    if (crc !== undefined && is.crc !== crc) find('zip', path, wrongChecksum)
  }
  return right
}

const referenceOf = ({ exhibit }: Provenance): string => exhibit.reference

/**
 * Checks a bundle, as a ZIP or unpacked, in memory that does not grow with its footage. Never stops at the first thing
 * that is wrong. Throws only what the system says where `path` itself cannot be opened.
 */
export const verifyBundle = async (path: string, options: Options = {}): Promise<BundleVerdict> => {
  const { keys = [], logKeys = [], witnesses = [], onBytes } = options
  const findings: Finding[] = []
  const find: Find = (kind, of, says) => {
    findings.push({ kind, path: of, says })
  }
  const isFolder = (await stat(path)).isDirectory()
  await using source = isFolder ? await openFolder(path, find) : await openZip(path, find)
  const bag = await checkBag(source, find)
  const inside = await keysInside(source, find)
  const believed = keys.length > 0 ? keys : inside.receipts
  const asked = { keys: logKeys.length > 0 ? logKeys : inside.logs, witnesses }
  const receipts = await checkReceipts(source, believed, find)
  const leaves = await checkEntries(source, find)
  const held = checkLeaves(receipts, leaves, find)
  const proofs = carriesProofs(source, bag, inside.logs.length)
    ? await checkProofs(source, bag, { leaves, receipts }, asked, find)
    : noProofs(asked, find)
  const exhibits = await checkExhibits(source, bag, { receipts, leaves, proofs }, find)
  const all = [...exhibits.all.values()]
  const byLog = logKeys.length > 0 && proofs.carried && proofs.proven === leaves.size
  const byReceipt = ({ clip, source: { receipt } }: Provenance): boolean =>
    keys.length > 0 && clip === null && receipt !== null && receipts.has(receipt)
  const right = await checkDigests(source, bag, exhibits.stated, find, onBytes)
  const there = [...source.members.values()].filter(({ barred }) => barred === undefined)
  return {
    ok: findings.length === 0,
    kind: source.kind,
    bundle: bag.bundle,
    files: there.length,
    bytes: there.reduce((sum, { size }) => sum + size, 0),
    right,
    exhibits: exhibits.count,
    asked: exhibits.asked,
    withoutReceipt: all.filter(({ source: { receipt } }) => receipt === null).map(referenceOf),
    alone: all.filter((said) => !byLog && !byReceipt(said)).map(referenceOf),
    copies: all.flatMap(({ files }) => files).filter(({ made }) => made === 'viewing-copy').length,
    receipts: receipts.size,
    leaves: held,
    entries: leaves.size,
    proofs,
    keys: { from: keys.length > 0 ? 'given' : 'bundle', kids: await Promise.all(believed.map(kidOf)) },
    logKeys: { from: logKeys.length > 0 ? 'given' : 'bundle', vkeys: asked.keys.map(vkeyOf) },
    findings,
  }
}
