import { readFile } from 'node:fs/promises'
import { type NoteKey, parseVkey } from '../base/note.ts'
import { checkProof, leafOfDisclosed, logKeysIn, type ProvenLeaf } from '../ledger/log/verify-proof.ts'
import { Failure } from './failure.ts'
import type { VerifyOptions } from './verify-demands.ts'
import { printable } from './words.ts'

export const isProof = (text: string): boolean => text.startsWith('c2sp.org/tlog-proof@')

/** Undefined for what is no JSON. */
export const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const logKeysOf = async (path: string): Promise<NoteKey[]> => {
  const text = await readFile(path, 'utf8')
  const keys = logKeysIn(jsonOf(text), text)
  if (keys.length > 0) return keys
  throw new Failure(`${path} holds no key of a log: give the saved answer of /api/v1/ledger/keys, or a vkey.`)
}

export const witnessKeys = (vkeys: readonly string[]): NoteKey[] =>
  vkeys.map((vkey) => {
    const key = parseVkey(vkey)
    if (key === null || key.type !== 4) throw new Failure(`${vkey} is no vkey of a witness (C2SP tlog-cosignature).`)
    return key
  })

/** A moment in seconds since 1970, as RFC 3339. */
export const day = (seconds: number): string => new Date(seconds * 1000).toISOString()

export const proofInLines = ({ origin, index, size, leaf, witnessed }: ProvenLeaf): string[] => [
  '✓ The entry is in the log: the path leads from its leaf to a head that was signed with a key you gave.',
  ...witnessed.map(
    ({ witness, at }) => `✓ The witness ${witness} saw that head at ${day(at)}, and that the log only grew until then.`,
  ),
  '',
  `  log            ${printable(origin)}`,
  `  leaf           ${index} of ${size}: ${leaf.toString('hex')}`,
]

/** Checks the proof in this text; `leaf` where it is known from a statement. Throws Failure when what is needed is missing. */
export const judgeProof = async (
  text: string,
  { key, witness = [] }: VerifyOptions,
  leaf: Buffer | null,
): Promise<ProvenLeaf | { fault: string }> => {
  if (key === undefined) throw new Failure('A proof is checked with the key of the log: give it with --key.')
  return checkProof(text, leaf, await logKeysOf(key), witnessKeys(witness))
}

/** Tells whether a proof by itself, or with a disclosed entry, is right. Answers whether it is. */
export const tellOfProof = async (text: string, options: VerifyOptions): Promise<boolean> => {
  const leaf = options.entry === undefined ? null : leafOfDisclosed(jsonOf(await readFile(options.entry, 'utf8')))
  if (options.entry !== undefined && leaf === null)
    throw new Failure(`${options.entry} is no disclosed entry: {entry, salt, parts} as JSON.`)
  const found = await judgeProof(text, options, leaf)
  if ('fault' in found) {
    console.log(options.json ? JSON.stringify({ ok: false, failure: found.fault }) : `✗ NOT verified. ${found.fault}`)
    return false
  }
  console.log(
    options.json
      ? JSON.stringify({ ok: true, ...found, leaf: found.leaf.toString('hex') })
      : [
          ...proofInLines(found),
          ...(leaf === null
            ? ['  The leaf is what the proof itself says: give --entry, or the receipt, to see which entry it is.']
            : []),
        ].join('\n'),
  )
  return true
}
