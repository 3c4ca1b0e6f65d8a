import { createHash } from 'node:crypto'
import type { Sha256 } from './ids.ts'

/** SHA-256 of the pieces, one after the other. */
export const sha256 = (...pieces: (Uint8Array | string)[]): Buffer => {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return hash.digest()
}

export const hex = (digest: Uint8Array): Sha256 => Buffer.from(digest).toString('hex') as Sha256
