import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { sha256 } from './digest.ts'

// C2SP signed-note, with its Ed25519 signatures (type 1) and the keys of Ed25519 cosignatures (type 4).

/** `publicKey` is the 32 bytes of RFC 8032, `id` 8 hex digits. Name and id together tell a key from all others. */
export type NoteKey = { name: string; type: 1 | 4; publicKey: Buffer; id: string }

/** `keyId` is 8 hex digits; `signature` is what follows the key's id. */
export type SignatureLine = { name: string; keyId: string; signature: Buffer }

/** `text` ends in a newline. Nothing of it may be believed before a signature has been verified. */
export type Note = { text: string; signatures: SignatureLine[] }

/** In bytes of UTF-8. */
const longestNote = 65_536
const mostSignatures = 64

const isSpacedOrPlus = /[+\p{White_Space}]/u

/** Below U+0020, other than the newline. */
const hasControl = /(?![\n\u007f-\u009f])\p{Cc}/u

/** Text that a note may hold: at most 64 KiB of valid UTF-8, ended by a newline, without control characters. */
export const isNoteText = (text: string): boolean =>
  Buffer.byteLength(text) <= longestNote && text.endsWith('\n') && text.isWellFormed() && !hasControl.test(text)

const isKeyName = (name: string): boolean => isNoteText(`${name}\n`) && name !== '' && !isSpacedOrPlus.test(name)

/** Standard base64 in its one canonical form; null for anything else. */
export const decodeBase64 = (text: string): Buffer | null => {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}

/** Throws RangeError when the name or the key cannot be one of a note's. */
export const noteKey = (name: string, type: 1 | 4, publicKey: Buffer): NoteKey => {
  if (!isKeyName(name)) throw new RangeError('the name of a key for notes is empty, or has a space or a plus in it')
  if (publicKey.length !== 32) throw new RangeError('an Ed25519 public key has 32 bytes')
  const id = sha256(name, '\n', Uint8Array.of(type), publicKey).toString('hex', 0, 4)
  return { name, type, publicKey, id }
}

/** The key in one line of text, `<name>+<id>+<base64>`. */
export const vkeyOf = ({ name, id, type, publicKey }: NoteKey): string =>
  `${name}+${id}+${Buffer.concat([Uint8Array.of(type), publicKey]).toString('base64')}`

/** Null when it is not well formed, its id is not that of its key, or the key is of another type. */
export const parseVkey = (text: string): NoteKey | null => {
  const [name, id, ...rest] = text.length > longestNote ? [] : text.split('+')
  if (name === undefined || id === undefined || !isKeyName(name)) return null
  const encoded = decodeBase64(rest.join('+')) // base64 has plus signs of its own
  const type = encoded?.[0]
  if (encoded?.length !== 33 || (type !== 1 && type !== 4)) return null
  const key = noteKey(name, type, encoded.subarray(1))
  return key.id === id ? key : null
}

const signaturePrefix = '— '

const parseSignatureLine = (line: string): SignatureLine | null => {
  if (!line.startsWith(signaturePrefix)) return null
  const space = line.indexOf(' ', signaturePrefix.length)
  if (space === -1) return null
  const name = line.slice(signaturePrefix.length, space)
  const bytes = decodeBase64(line.slice(space + 1))
  if (!isKeyName(name) || bytes === null || bytes.length < 5) return null
  return { name, keyId: bytes.toString('hex', 0, 4), signature: bytes.subarray(4) }
}

/** Null when it is not well formed, or beyond 64 KiB or 64 signatures. */
export const parseNote = (note: string): Note | null => {
  if (!isNoteText(note)) return null
  const end = note.lastIndexOf('\n\n')
  if (end === -1) return null
  const lines = note.slice(end + 2, -1).split('\n')
  if (lines.length > mostSignatures) return null
  const signatures = lines.map(parseSignatureLine)
  if (!signatures.every((signature) => signature !== null)) return null
  return { text: note.slice(0, end + 1), signatures }
}

/** `— <name> <base64>` and a newline. */
export const signatureLine = (key: NoteKey, signature: Buffer): string =>
  `${signaturePrefix}${key.name} ${Buffer.concat([Buffer.from(key.id, 'hex'), signature]).toString('base64')}\n`

/** The whole note. Throws RangeError when no note can hold the text, or the key does not sign notes. */
export const signNote = (text: string, key: NoteKey, privateKey: KeyObject): string => {
  if (!isNoteText(text)) {
    throw new RangeError('the text of a note ends in a newline, has no control characters and at most 64 KiB')
  }
  if (key.type !== 1) throw new RangeError('a note is signed with a key of type 1')
  return `${text}\n${signatureLine(key, sign(null, Buffer.from(text), privateKey))}`
}

/** Throws when it is not 32 bytes. */
export const ed25519PublicKey = (raw: Buffer): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' })

/** Whether the Ed25519 signature over the message is this key's. */
export const isSignedBy = (message: string, signature: Buffer, key: NoteKey): boolean =>
  verify(null, Buffer.from(message), ed25519PublicKey(key.publicKey), signature)

/** Whether a line claims to be this key's; whether it is, only its signature says. */
export const isLineOf = (line: SignatureLine, key: NoteKey): boolean => line.name === key.name && line.keyId === key.id
