// @ts-check
import { utf8 } from './canonical.js'

/** @typedef {{ kty: string; crv: string; x: string; kid?: string; to?: string }} Key */

/** @param {string} text */
export const unbase64url = (text) =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0))

/** @param {string} text */
const read = (text) => JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(unbase64url(text)))

/** @param {Key} key */
const importKey = async ({ kty, crv, x }) =>
  await crypto.subtle.importKey('jwk', { kty, crv, x }, { name: 'Ed25519' }, false, ['verify'])

/** RFC 7638: what names a key is computed from it, and not believed. @param {Key} key */
export const kidOf = async ({ kty, crv, x }) => {
  const digest = await crypto.subtle.digest('SHA-256', utf8(JSON.stringify({ crv, kty, x })))
  const text = btoa(String.fromCharCode(...new Uint8Array(digest)))
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/**
 * Verifies a receipt. `because` is why it is not verified; `unable` that this browser cannot tell.
 * @param {string} jws
 * @param {Key[]} keys
 * @returns {Promise<{ claims: any } | { because: string } | { unable: true }>}
 */
export const verifyReceipt = async (jws, keys) => {
  const parts = jws.trim().split('.')
  try {
    const [header, payload, signature] = parts
    const { alg, typ, kid } = read(header)
    if (parts.length !== 3 || alg !== 'EdDSA' || typ !== 'exhibit-receipt+jwt') return { because: 'It is no receipt.' }
    if (globalThis.crypto?.subtle === undefined) return { unable: true }
    /** @type {Key | undefined} */
    let key
    for (const each of keys) if ((await kidOf(each)) === kid) key = each
    if (key === undefined) return { because: 'It is signed with a key that is not in this bundle.' }
    const imported = await importKey(key).catch(() => undefined)
    if (imported === undefined) return { unable: true }
    const signed = utf8(`${header}.${payload}`)
    if (!(await crypto.subtle.verify('Ed25519', imported, unbase64url(signature), signed))) {
      return { because: 'Its signature is wrong: it was altered, or never signed with this key.' }
    }
    const claims = read(payload)
    if (key.to !== undefined && claims.iat * 1000 > Date.parse(key.to)) {
      return { because: 'Its key was retired before it says it was signed.' }
    }
    return { claims }
  } catch {
    return { because: 'It is no receipt.' }
  }
}
