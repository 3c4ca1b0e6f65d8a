import { join } from 'node:path'
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose'
import { type Static, Type } from 'typebox'
import { type DataFolder, keep, password, readKept } from './data-folder.ts'

const Kept = Type.Object({
  cookieKey: Type.String(),
  /** Private JWKs, the one that signs first. The later ones only keep older tokens verifiable. */
  keys: Type.Array(Type.Record(Type.String(), Type.String()), { minItems: 1 }),
})
export type IdentityKeys = Static<typeof Kept>

const newKey = async (): Promise<Record<string, string>> => {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const { crv = '', x = '', y = '', d = '' } = await exportJWK(privateKey)
  const key = { kty: 'EC', crv, x, y }
  return { ...key, d, use: 'sig', alg: 'ES256', kid: await calculateJwkThumbprint(key) }
}

const fileIn = (folder: Pick<DataFolder, 'keys'>) => join(folder.keys, 'identity-provider.json')

/** The provider's private keys, made at the first call. Tests sign with them what the provider itself would not. */
export const identityKeys = async (folder: Pick<DataFolder, 'keys'>): Promise<IdentityKeys> => {
  const kept = readKept(fileIn(folder), Kept)
  if (kept !== undefined) return kept
  const made = { cookieKey: password(), keys: [await newKey()] }
  keep(fileIn(folder), made)
  return made
}

/** Puts a new key first and gives its kid. Older ones go on being published, or are forgotten as after a compromise. */
export const addIdentityKey = async (folder: Pick<DataFolder, 'keys'>, forgetOlder: boolean): Promise<string> => {
  const { cookieKey, keys } = await identityKeys(folder)
  const key = await newKey()
  keep(fileIn(folder), { cookieKey, keys: forgetOlder ? [key] : [key, ...keys].slice(0, 4) })
  return key.kid ?? ''
}
