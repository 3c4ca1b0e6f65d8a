import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { receiptType } from '../custody/receipt.ts'
import { sidecarType } from '../custody/sidecar.ts'
import { typeOf } from '../custody/verify-receipt.ts'
import { erasureType } from '../retention/proof.ts'
import { bundleKeysOf, isBundle, tellOfBundle } from './verify-bundle.ts'
import { type Given, goesWith, once, refuseUnmet, type VerifyOptions } from './verify-demands.ts'
import { erasure } from './verify-erasure.ts'
import { isProof, tellOfProof, witnessKeys } from './verify-proof.ts'
import { receipt } from './verify-receipt.ts'
import { tellOfSidecar } from './verify-sidecar.ts'
import { keysOf, tellOfStatement } from './verify-statement.ts'

const signed = new Map<string | undefined, Given>([
  [receiptType, 'receipt'],
  [erasureType, 'erasure'],
  [sidecarType, 'sidecar'],
])

/** Tells of what lies there. Answers whether it is right, with everything that was demanded of it. */
const tellOf = async (path: string, options: VerifyOptions): Promise<boolean> => {
  const json = options.json === true
  if (await isBundle(path)) {
    refuseUnmet('bundle', options)
    const keys = options.key === undefined ? {} : await bundleKeysOf(options.key)
    return await tellOfBundle(path, { ...keys, witnesses: witnessKeys(options.witness ?? []) }, json)
  }
  const text = await readFile(path, 'utf8')
  const given = isProof(text) ? 'proof' : (signed.get(typeOf(text.trim())) ?? 'other')
  refuseUnmet(given, options)
  if (given === 'proof') return await tellOfProof(text, options)
  if (given === 'sidecar') return await tellOfSidecar(path, text, await keysOf(options.key, 'sidecar'), json)
  if (given === 'erasure') return await tellOfStatement(text, options, erasure)
  return await tellOfStatement(text, options, receipt)
}

export const verifyCommand = (): Command =>
  new Command('verify')
    .description(
      'Check a bundle, a custody receipt, a proof of the log, a proof of erasure, or a sidecar, offline: without any server and any configuration',
    )
    .argument(
      '<what>',
      'a bundle as the ZIP that was downloaded or as the folder it was unpacked to; a receipt; a proof; or a sidecar, the objects that it names beside it',
    )
    .option(
      '--key <file>',
      "public keys got elsewhere: a JWK, the saved answer of /api/v1/ledger/keys, a dock's enrolment file, or vkeys of logs",
      once('key'),
    )
    .option(
      '--file <video>',
      `with ${goesWith.file}: also check that this file is the one in custody, by size and SHA-256`,
      once('file'),
    )
    .option(
      '--proof <file>',
      `with ${goesWith.proof}: also check this proof that its entry is in the log (/api/v1/ledger/proofs/…)`,
      once('proof'),
    )
    .option('--entry <file>', `with ${goesWith.entry}: the disclosed entry that it is about`, once('entry'))
    .option('--witness <vkey...>', `with ${goesWith.witness}: witnesses that must have cosigned`)
    .option('--json', 'answer as JSON')
    .addHelpText(
      'after',
      '\nA receipt, a proof and a sidecar need --key. A bundle brings keys with it, which prove only that it agrees with itself: with --key, those' +
        '\ngiven alone decide, of receipts and of the log each where there are some. Ends with 0 when all was verified and with 1 otherwise, after naming everything that is wrong.' +
        '\nAn option with something that it does not go with is refused and ends with 1, so that 0 always says that every check asked for was made.' +
        '\ndocs/verify.md tells how to do the same by hand.',
    )
    .action(async (path: string, options: VerifyOptions) => {
      if (!(await tellOf(path, options))) process.exitCode = 1
    })
