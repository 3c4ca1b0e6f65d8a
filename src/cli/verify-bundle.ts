import { open, stat } from 'node:fs/promises'
import { type BundleVerdict, verifyBundle } from '../bundles/verify.ts'
import type { PublicKey } from '../custody/verify-receipt.ts'
import { type Progress, showProgress, silentProgress } from './progress.ts'
import { counted, inBytes, printable } from './words.ts'

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

const withProgress = async (path: string, keys: readonly PublicKey[], progress: Progress): Promise<BundleVerdict> => {
  let last = ''
  try {
    return await verifyBundle(path, {
      keys,
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
  const { kind, files, bytes, right, exhibits, receipts, leaves, entries, findings, bundle } = verdict
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
  lines.push(`  ${counted(exhibits, 'exhibit')}`)
  lines.push(
    `  ${counted(receipts, 'receipt')} signed right${leaves > 0 ? `; the ledger's entry of ${leaves} is here and fits` : ''}`,
  )
  lines.push(`  ${counted(entries, 'entry').replace(/entrys$/, 'entries')} of the ledger disclosed`)
  lines.push('', ...keysInWords(verdict), '')
  lines.push(
    verdict.ok
      ? '✓ Verified: nothing is missing, nothing was added, nothing was altered.'
      : `✗ NOT verified: ${counted(findings.length, 'thing')} found, named above.`,
  )
  return lines.join('\n')
}

const keysInWords = ({ keys: { from, kids }, receipts }: BundleVerdict): string[] => {
  if (from === 'given') return [`  Receipts were checked with the keys you gave: ${kids.join(', ')}.`]
  if (receipts === 0) return ['  No receipt was verified.']
  return [
    '! The keys came with the bundle, so the receipts prove only that it agrees with itself. Get the keys from the',
    '  installation, or from somebody you know, and give them with --key. They must be among:',
    ...kids.map((kid) => `    ${kid}`),
  ]
}

/** Checks the bundle, tells what was found, and answers whether it is as it was made. */
export const tellOfBundle = async (path: string, keys: readonly PublicKey[], asJson: boolean): Promise<boolean> => {
  const verdict = await withProgress(path, keys, asJson ? silentProgress : showProgress())
  console.log(asJson ? JSON.stringify(verdict) : inLines(path, verdict))
  return verdict.ok
}
