import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { calculateJwkThumbprint } from 'jose'
import { ConfigError } from './config.ts'

export type PublicJwk = { kty: 'OKP'; crv: 'Ed25519'; x: string }
export type ReceiptKey = { kid: string; privateKey: KeyObject; publicJwk: PublicJwk }

const publicHalf = (key: KeyObject): PublicJwk => {
  const { kty, crv, x } = createPublicKey(key).export({ format: 'jwk' })
  if (kty !== 'OKP' || crv !== 'Ed25519' || x === undefined) throw new ConfigError('The key must be an Ed25519 key.')
  return { kty, crv, x }
}

/** RFC 7638 thumbprint. */
export const thumbprint = async (jwk: PublicJwk): Promise<string> => await calculateJwkThumbprint(jwk)

/** Reads a private Ed25519 JWK. Throws ConfigError, without the file's content, when it is not one. */
export const readKeyFile = async (path: string): Promise<ReceiptKey> => {
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey({ key: JSON.parse(await readFile(path, 'utf8')), format: 'jwk' })
  } catch {
    throw new ConfigError('The key file cannot be read as a private Ed25519 JWK.')
  }
  const publicJwk = publicHalf(privateKey)
  return { kid: await thumbprint(publicJwk), privateKey, publicJwk }
}

/** Makes a new private key in a file only its owner may read. Throws EEXIST rather than replace one. */
export const makeKeyFile = async (path: string): Promise<ReceiptKey> => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const text = `${JSON.stringify(privateKey.export({ format: 'jwk' }))}\n`
  await writeFile(path, text, { mode: 0o600, flag: 'wx', flush: true })
  return await readKeyFile(path)
}
