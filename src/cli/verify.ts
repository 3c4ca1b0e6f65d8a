import { readFile, stat } from 'node:fs/promises'
import { Command } from 'commander'
import type { ReceiptClaims } from '../custody/receipt.ts'
import { NotVerified, type PublicKey, publicKeysIn, verifyReceipt } from '../custody/verify-receipt.ts'
import { sha256OfFile } from './dock/digest.ts'
import { Failure } from './failure.ts'
import { bundleKeysOf, isBundle, tellOfBundle } from './verify-bundle.ts'
import { isErasure, tellOfErasure } from './verify-erasure.ts'
import { isProof, judgeProof, type ProofOptions, proofInLines, tellOfProof, witnessKeys } from './verify-proof.ts'
import { isSidecar, tellOfSidecar } from './verify-sidecar.ts'
import { inBytes, printable } from './words.ts'

type Options = ProofOptions & { file?: string; proof?: string }

/** What was found, said in order. `failure` is why the whole is not verified. */
type Verdict = { claims?: ReceiptClaims; verified: string[]; failure?: string }

const keysOf = async (path: string): Promise<PublicKey[]> => {
  let document: unknown
  try {
    document = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
  }
  const keys = publicKeysIn(document)
  if (keys.length === 0)
    throw new Failure(
      `${path} holds no Ed25519 public key: give a JWK, the answer of /api/v1/ledger/keys, or a dock's enrolment file.`,
    )
  return keys
}

const compareWith = async (
  claims: ReceiptClaims,
  path: string,
): Promise<{ verified: string } | { failure: string }> => {
  const { size } = await stat(path)
  const name = printable(path)
  if (size !== claims.size) return { failure: `${name} has ${size} bytes; the receipt is for ${claims.size}.` }
  const digest = await sha256OfFile(path)
  if (digest !== claims.sha256) return { failure: `${name} is not the file of this receipt: its SHA-256 is ${digest}.` }
  return { verified: `${name} is that file: the same size and the same SHA-256.` }
}

const judge = async (text: string, options: Options): Promise<Verdict> => {
  const { key, file, proof } = options
  if (key === undefined)
    throw new Failure('A receipt is checked with the public key of who signed it: give it with --key.')
  let claims: ReceiptClaims
  try {
    claims = await verifyReceipt(text.trim(), await keysOf(key))
  } catch (error) {
    if (error instanceof NotVerified) return { verified: [], failure: error.message }
    throw error
  }
  const verified = ['The signature is right: this receipt was signed with a key you gave, and not altered since.']
  if (file !== undefined) {
    const compared = await compareWith(claims, file)
    if ('failure' in compared) return { claims, verified, failure: compared.failure }
    verified.push(compared.verified)
  }
  if (proof !== undefined) {
    const found = await judgeProof(await readFile(proof, 'utf8'), options, Buffer.from(claims.leaf, 'hex'))
    if ('fault' in found) return { claims, verified, failure: `${printable(proof)}: ${found.fault}` }
    const [first = '', ...others] = proofInLines(found).filter((line) => line.startsWith('✓ '))
    verified.push(...[first, ...others].map((line) => line.slice(2)))
  }
  return { claims, verified }
}

const inWords = ({ claims, verified, failure }: Verdict): string => {
  const lines = verified.map((line) => `✓ ${line}`)
  if (claims !== undefined) {
    lines.push(
      '',
      `  The installation "${printable(claims.iss)}" states: this recording is in custody; after it was stored, every byte`,
      '  of it was read back and had this digest.',
      '',
      `  recording      ${claims.recordingId}`,
      `  camera         ${printable(claims.camera)}`,
      `  file           ${printable(claims.filename)}, ${inBytes(claims.size)} (${claims.size} bytes)`,
      `  SHA-256        ${claims.sha256}`,
      `  read back at   ${claims.readBackAt}`,
      `  signed at      ${new Date(claims.iat * 1000).toISOString()}`,
      `  ledger entry   ${claims.entryId}, leaf ${claims.leaf}`,
    )
  }
  if (failure !== undefined) lines.push(...(claims === undefined ? [] : ['']), `✗ NOT verified. ${failure}`)
  return lines.join('\n')
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
    )
    .option('--file <video>', 'with a receipt: also check that this file is the one in custody, by size and SHA-256')
    .option(
      '--proof <file>',
      'with a receipt: also check this proof that its entry is in the log (/api/v1/ledger/proofs/…)',
    )
    .option('--entry <file>', 'with a proof: the disclosed entry that it is about')
    .option('--witness <vkey...>', 'with a proof or a bundle: witnesses that must have cosigned')
    .option('--json', 'answer as JSON')
    .addHelpText(
      'after',
      '\nA receipt, a proof and a sidecar need --key. A bundle brings keys with it, which prove only that it agrees with itself: with --key, those' +
        '\ngiven alone decide, of receipts and of the log each where there are some. Ends with 0 when all was verified and with 1 otherwise, after naming everything that is wrong.' +
        '\ndocs/verify.md tells how to do the same by hand.',
    )
    .action(async (path: string, options: Options) => {
      if (await isBundle(path)) {
        if (options.file !== undefined)
          throw new Failure('--file goes with a receipt: a bundle holds its files itself.')
        const keys = options.key === undefined ? {} : await bundleKeysOf(options.key)
        const believed = { ...keys, witnesses: witnessKeys(options.witness ?? []) }
        if (!(await tellOfBundle(path, believed, options.json === true))) process.exitCode = 1
        return
      }
      const text = await readFile(path, 'utf8')
      if (isErasure(text)) {
        if (options.file !== undefined) throw new Failure('--file goes with a receipt: what was erased is nowhere.')
        if (options.key === undefined)
          throw new Failure('A proof of erasure is checked with the public key of who signed it: give it with --key.')
        if (!(await tellOfErasure(text, await keysOf(options.key), options.json === true))) process.exitCode = 1
        return
      }
      if (isSidecar(text)) {
        if (options.file !== undefined)
          throw new Failure('--file goes with a receipt: a sidecar is checked with the objects that lie beside it.')
        if (options.key === undefined)
          throw new Failure('A sidecar is checked with the public keys of who signed it: give them with --key.')
        if (!(await tellOfSidecar(path, text, await keysOf(options.key), options.json === true))) process.exitCode = 1
        return
      }
      if (isProof(text)) {
        if (!(await tellOfProof(text, options))) process.exitCode = 1
        return
      }
      const verdict = await judge(text, options)
      if (options.json) console.log(JSON.stringify({ ok: verdict.failure === undefined, ...verdict }))
      else console.log(inWords(verdict))
      if (verdict.failure !== undefined) process.exitCode = 1
    })
