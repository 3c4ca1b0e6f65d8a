import { open, readFile, stat } from 'node:fs/promises'
import type { NoteKey } from '../base/note.ts'
import { type BundleVerdict, verifyBundle } from '../bundles/verify.ts'
import { type PublicKey, publicKeysIn } from '../custody/verify-receipt.ts'
import { logKeysIn } from '../ledger/log/verify-proof.ts'
import { Failure } from './failure.ts'
import { type Progress, showProgress, silentProgress } from './progress.ts'
import { day, jsonOf } from './verify-proof.ts'
import { counted, inBytes, printable } from './words.ts'

type Believed = { keys?: PublicKey[]; logKeys?: NoteKey[]; witnesses?: NoteKey[] }

/** The keys of receipts and of logs in a file. Throws Failure when it holds none of either. */
export const bundleKeysOf = async (path: string): Promise<{ keys: PublicKey[]; logKeys: NoteKey[] }> => {
  const text = await readFile(path, 'utf8')
  const document = jsonOf(text)
  const found = { keys: publicKeysIn(document), logKeys: logKeysIn(document, text) }
  if (found.keys.length > 0 || found.logKeys.length > 0) return found
  throw new Failure(
    `${path} holds no Ed25519 public key: give the saved answer of /api/v1/ledger/keys, a JWK, vkeys of logs, or a dock's enrolment file.`,
  )
}

const startsLikeZip = async (path: string): Promise<boolean> => {
  await using handle = await open(path)
  const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0)
  return buffer.toString('latin1') === 'PK'
}

/** A receipt is a line of text: what is a folder, a ZIP, or far too large for a line, is taken for a bundle. */
export const isBundle = async (path: string): Promise<boolean> => {
  const found = await stat(path)
  if (found.isDirectory()) return true
  return found.isFile() && (/\.zip$/i.test(path) || found.size > 1024 * 1024 || (await startsLikeZip(path)))
}

const withProgress = async (path: string, believed: Believed, progress: Progress): Promise<BundleVerdict> => {
  let last = ''
  try {
    return await verifyBundle(path, {
      ...believed,
      onBytes: ({ path: at, done, size, all, total }) => {
        // In a log, a line for each of a thousand files would hide the rest.
        const screen = process.stderr.isTTY === true
        if (screen) {
          if (last !== at) progress.remove(last)
          last = at
          progress.set(at, { label: at, done, total: size })
        }
        progress.set(screen ? 'total' : 'all', { label: 'files of the bundle', done: all, total })
      },
    })
  } finally {
    progress.close()
  }
}

const inLines = (path: string, verdict: BundleVerdict): string => {
  const { kind, files, bytes, right, exhibits, asked, receipts, leaves, entries, findings, bundle } = verdict
  const lines = [
    `${printable(path)}: ${kind === 'zip' ? 'a ZIP' : 'a folder'}, ${counted(files, 'file')}, ${inBytes(bytes)}`,
    ...(bundle === null ? [] : [`bundle ${printable(bundle)}`]),
    '',
  ]
  for (const { kind: what, path: at, says } of findings) {
    lines.push(`✗ ${what.padEnd(11)} ${at === null ? '' : `${printable(at)}\n              `}${printable(says)}`)
  }
  if (findings.length > 0) lines.push('')
  lines.push(`${right === files - 1 ? '✓' : ' '} ${counted(right, 'file')} with the SHA-256 that the manifests state`)
  lines.push(`  ${counted(exhibits, 'exhibit')}${asked ? ', held against the list in the entry of the request' : ''}`)
  lines.push(
    `  ${counted(receipts, 'receipt')} signed right${leaves > 0 ? `; the ledger's entry of ${leaves} is here and fits` : ''}`,
  )
  lines.push(`  ${counted(entries, 'entry').replace(/entrys$/, 'entries')} of the ledger disclosed`)
  lines.push(...proofsInWords(verdict))
  lines.push('', ...keysInWords(verdict), ...logKeysInWords(verdict), ...aloneInWords(verdict), '')
  lines.push(lastWord(verdict))
  return lines.join('\n')
}

const lastWord = ({ ok, findings, proofs: { carried } }: BundleVerdict): string => {
  if (!ok) return `✗ NOT verified: ${counted(findings.length, 'thing')} found, named above.`
  return carried
    ? '✓ Verified: nothing is missing, nothing was added, nothing was altered.'
    : '✓ It agrees with itself: by its own words nothing is missing, added or altered. What is marked ! nothing else says.'
}

const named = (references: readonly string[]): string => references.map(printable).join(', ')

/** What the reader has to take from whoever handed the bundle on. */
const aloneInWords = ({ exhibits, alone, copies, asked, proofs: { carried } }: BundleVerdict): string[] => [
  ...(alone.length === 0
    ? []
    : [
        `! Nothing but the bundle itself speaks for ${alone.length === exhibits ? 'any exhibit: ' : ''}${named(alone)}.`,
      ]),
  ...(carried
    ? []
    : [`! Nothing proves that these exhibits are all${asked ? ', though the entry of the request lists them' : ''}.`]),
  ...(copies === 0
    ? []
    : [
        `  ${counted(copies, 'viewing copy').replace(/copys$/, 'copies')}: never evidence, and nothing speaks for them.`,
      ]),
]

const proofsInWords = ({ proofs: { carried, proven, heads }, entries }: BundleVerdict): string[] => {
  if (!carried) {
    return [
      '! It carries no proofs that its entries are in the log of the installation: it was made before bundles carried any, or',
      '  they were left out.',
    ]
  }
  return [
    `${proven === entries ? '✓' : ' '} ${proven} of them proven to be in the log, under a head that it signed`,
    ...heads.flatMap(({ origin, size, witnessed }) => [
      `    ${printable(origin)}, ${counted(size, 'leaf').replace(/leafs$/, 'leaves')}`,
      ...witnessed.map(({ witness, at }) => `    ✓ the witness ${printable(witness)} saw that head at ${day(at)}`),
    ]),
  ]
}

const logKeysInWords = ({ logKeys: { from, vkeys }, proofs: { carried, heads } }: BundleVerdict): string[] => {
  if (!carried || heads.length === 0) return []
  if (from === 'given') return [`  Proofs were checked with the key of the log you gave: ${vkeys.join(', ')}.`]
  return [
    '! The key of the log came with the bundle too: give --key one that you got elsewhere. It must be among:',
    ...vkeys.map((vkey) => `    ${printable(vkey)}`),
  ]
}

const keysInWords = (verdict: BundleVerdict): string[] => {
  const { withoutReceipt: without } = verdict
  const none = `! There is no receipt of ${named(without)}: none is signed where only a part of a recording came into custody.`
  return [...(without.length === 0 ? [] : [none]), ...receiptsInWords(verdict)]
}

const receiptsInWords = ({ keys: { from, kids }, receipts, withoutReceipt }: BundleVerdict): string[] => {
  if (receipts === 0) return ['  No receipt was verified.']
  const which = withoutReceipt.length === 0 ? 'Receipts' : 'Of the others, the receipts'
  if (from === 'given') return [`  ${which} were checked with the keys you gave: ${kids.join(', ')}.`]
  return [
    '! The keys came with the bundle, so the receipts prove only that it agrees with itself. Get the keys from the',
    '  installation, or from somebody you know, and give them with --key. They must be among:',
    ...kids.map((kid) => `    ${kid}`),
  ]
}

/** Checks the bundle, tells what was found, and answers whether it is as it was made. */
export const tellOfBundle = async (path: string, believed: Believed, asJson: boolean): Promise<boolean> => {
  const verdict = await withProgress(path, believed, asJson ? silentProgress : showProgress())
  console.log(asJson ? JSON.stringify(verdict) : inLines(path, verdict))
  return verdict.ok
}
