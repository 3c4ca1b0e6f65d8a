import { randomBytes } from 'node:crypto'
import { sha256 } from './digest.ts'

/** What makes an address a permission: 32 random bytes as text. Only its digest is kept. */
export const newToken = (): string => randomBytes(32).toString('base64url')

/** Looking a token up by its digest tells nobody, by the time it takes, how much of a guess was right. */
export const tokenDigest = (token: string): Buffer => sha256(token)
