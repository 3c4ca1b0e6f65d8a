import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { type NoteKey, noteKey } from '../src/base/note.ts'

/** A new key for notes (type 1) or for cosignatures (type 4), with its private half. */
export const newNoteKey = (name: string, type: 1 | 4 = 1): { key: NoteKey; privateKey: KeyObject } => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url')
  return { key: noteKey(name, type, raw), privateKey }
}
