import { readFile, stat } from 'node:fs/promises'
import { Command } from 'commander'
import type { ReceiptClaims } from '../custody/receipt.ts'
import { sha256OfFile } from './dock/digest.ts'
import { Failure } from './failure.ts'
import { NotVerified, type PublicKey, publicKeysIn, verifyReceipt } from './verify-receipt.ts'
import { inBytes, printable } from './words.ts'

type Options = { key: string; file?: string; json?: true }

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

const judge = async (text: string, { key, file }: Options): Promise<Verdict> => {
  let claims: ReceiptClaims
  try {
    claims = await verifyReceipt(text.trim(), await keysOf(key))
  } catch (error) {
    if (error instanceof NotVerified) return { verified: [], failure: error.message }
    throw error
  }
  const verified = ['The signature is right: this receipt was signed with a key you gave, and not altered since.']
  if (file === undefined) return { claims, verified }
  const compared = await compareWith(claims, file)
  if ('failure' in compared) return { claims, verified, failure: compared.failure }
  return { claims, verified: [...verified, compared.verified] }
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
    .description('Check a custody receipt offline, with the public key of the installation that signed it')
    .argument('<receipt>', 'file that holds the receipt (a compact JWS)')
    .requiredOption(
      '--key <file>',
      "public key: a JWK, the saved answer of /api/v1/ledger/keys, or a dock's enrolment file",
    )
    .option('--file <video>', 'also check that this file is the one in custody, by size and SHA-256')
    .option('--json', 'answer as JSON')
    .addHelpText(
      'after',
      '\nEnds with 0 when all was verified and with 1 otherwise. docs/verify.md tells how to do the same by hand.',
    )
    .action(async (path: string, options: Options) => {
      const verdict = await judge(await readFile(path, 'utf8'), options)
      if (options.json) console.log(JSON.stringify({ ok: verdict.failure === undefined, ...verdict }))
      else console.log(inWords(verdict))
      if (verdict.failure !== undefined) process.exitCode = 1
    })
