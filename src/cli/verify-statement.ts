import { readFile } from 'node:fs/promises'
import { NotVerified, type PublicKey, publicKeysIn } from '../custody/verify-receipt.ts'
import { Failure } from './failure.ts'
import type { VerifyOptions } from './verify-demands.ts'
import { jsonOf, judgeProof, proofInLines } from './verify-proof.ts'
import { printable } from './words.ts'

/** A signed statement that names its entry by the leaf: a receipt, or a proof of erasure. */
export type Statement<Claims extends { leaf: string }> = {
  /** What people call it. */
  name: string
  /** Throws NotVerified. */
  verify(jws: string, keys: readonly PublicKey[]): Promise<Claims>
  compareWith?(claims: Claims, file: string): Promise<{ verified: string } | { failure: string }>
  inLines(claims: Claims): string[]
}

/** What was found, said in order. `failure` is why the whole is not verified. */
type Verdict<Claims> = { claims?: Claims; verified: string[]; failure?: string }

/** The keys in the file that was given for what is signed. Throws Failure when there is no file, or no key in it. */
export const keysOf = async (path: string | undefined, name: string): Promise<PublicKey[]> => {
  if (path === undefined)
    throw new Failure(`A ${name} is checked with the public key of who signed it: give it with --key.`)
  const keys = publicKeysIn(jsonOf(await readFile(path, 'utf8')))
  if (keys.length > 0) return keys
  throw new Failure(
    `${path} holds no Ed25519 public key: give a JWK, the answer of /api/v1/ledger/keys, or a dock's enrolment file.`,
  )
}

const judge = async <Claims extends { leaf: string }>(
  text: string,
  options: VerifyOptions,
  { name, verify, compareWith }: Statement<Claims>,
): Promise<Verdict<Claims>> => {
  const { key, file, proof } = options
  const keys = await keysOf(key, name)
  let claims: Claims
  try {
    claims = await verify(text.trim(), keys)
  } catch (error) {
    if (error instanceof NotVerified) return { verified: [], failure: error.message }
    throw error
  }
  const verified = [`The signature is right: this ${name} was signed with a key you gave, and not altered since.`]
  if (file !== undefined && compareWith !== undefined) {
    const compared = await compareWith(claims, file)
    if ('failure' in compared) return { claims, verified, failure: compared.failure }
    verified.push(compared.verified)
  }
  if (proof !== undefined) {
    const found = await judgeProof(await readFile(proof, 'utf8'), options, Buffer.from(claims.leaf, 'hex'))
    if ('fault' in found) return { claims, verified, failure: `${printable(proof)}: ${found.fault}` }
    const right = proofInLines(found).filter((line) => line.startsWith('✓ '))
    verified.push(...right.map((line) => line.slice(2)))
  }
  return { claims, verified }
}

/** Tells whether a statement is right, with all that was demanded of it, and what it states. Answers whether it is. */
export const tellOfStatement = async <Claims extends { leaf: string }>(
  text: string,
  options: VerifyOptions,
  statement: Statement<Claims>,
): Promise<boolean> => {
  const verdict = await judge(text, options, statement)
  const { claims, verified, failure } = verdict
  const ok = failure === undefined
  const lines = [
    ...verified.map((line) => `✓ ${line}`),
    ...(claims === undefined ? [] : ['', ...statement.inLines(claims)]),
    ...(ok ? [] : [...(claims === undefined ? [] : ['']), `✗ NOT verified. ${failure}`]),
  ]
  console.log(options.json ? JSON.stringify({ ok, ...verdict }) : lines.join('\n'))
  return ok
}
