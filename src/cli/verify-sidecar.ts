import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { NotVerified, type PublicKey } from '../custody/verify-receipt.ts'
import { type VerifiedSidecar, verifySidecar } from '../custody/verify-sidecar.ts'
import { printable } from './words.ts'

/** The objects that a sidecar names lie beside it, under the last part of their keys. Null where one does not. */
const besideOf = (sidecar: string) => async (key: string) => {
  try {
    return await readFile(path.join(path.dirname(sidecar), path.posix.basename(key)))
  } catch (error) {
    if (['ENOENT', 'EISDIR'].includes(Object(error).code)) return null
    throw error
  }
}

const placesIn = ({ leaves }: VerifiedSidecar): string[] => {
  const logs = new Map<string, number[]>()
  for (const { log, index } of leaves.values()) logs.set(log, [...(logs.get(log) ?? []), index])
  return [...logs].map(
    ([log, indexes]) => `${printable(log)}: ${indexes.length}, between ${indexes[0]} and ${indexes.at(-1)}`,
  )
}

const inLines = (sidecar: VerifiedSidecar): string[] => {
  const { claims, receipt, faults } = sidecar
  const { recording, recordingId } = claims
  return [
    '✓ The signature is right: this sidecar was signed with a key you gave, and not altered since.',
    ...(faults.length > 0
      ? []
      : [
          '✓ Every object that it names is what was signed, and every entry and seal in it has its leaf.',
          ...(receipt === undefined ? [] : ['✓ Its receipt is right, and the entry of the receipt is here.']),
        ]),
    '',
    `  The installation "${printable(claims.iss)}" states of this recording:`,
    '',
    `  recording      ${recordingId}`,
    `  camera         ${printable(String(recording.camera ?? ''))}`,
    `  file           ${printable(String(recording.filename ?? ''))}, ${recording.size} bytes`,
    `  SHA-256        ${recording.sha256 ?? 'none: it was never verified'}`,
    `  status         ${printable(String(recording.status ?? ''))}`,
    `  signed at      ${new Date(claims.iat * 1000).toISOString()}`,
    ...placesIn(sidecar).map((place, at) => `  ${at === 0 ? 'leaves of' : '         '}      ${place}`),
    '',
    '  Only the log shows that these entries were made (docs/verify.md, "A sidecar"), and nothing here shows that no newer',
    '  sidecar was written.',
    ...(faults.length === 0 ? [] : ['', `✗ NOT verified. ${faults.length} wrong:`]),
    ...faults.map((fault) => `  ${printable(fault)}`),
  ]
}

/** Tells whether a sidecar and the objects beside it are right, and what it states. Answers whether they are. */
export const tellOfSidecar = async (
  file: string,
  text: string,
  keys: readonly PublicKey[],
  json: boolean,
): Promise<boolean> => {
  try {
    const sidecar = await verifySidecar(text.trim(), keys, besideOf(file))
    const { claims, leaves, faults } = sidecar
    const ok = faults.length === 0
    console.log(
      json ? JSON.stringify({ ok, claims, leaves: Object.fromEntries(leaves), faults }) : inLines(sidecar).join('\n'),
    )
    return ok
  } catch (error) {
    if (!(error instanceof NotVerified)) throw error
    console.log(json ? JSON.stringify({ ok: false, failure: error.message }) : `✗ NOT verified. ${error.message}`)
    return false
  }
}
