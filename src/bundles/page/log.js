// @ts-check
// The log's side of the checks: signed notes, proofs and the tree (C2SP signed-note, tlog-proof; RFC 9162, 2.1.3.2).
import { unhex, utf8 } from './canonical.js'
import { sha256 } from './sha256.js'

/** @typedef {{ name: string; id: string; publicKey: Uint8Array }} LogKey */
/** @typedef {{ origin: string; size: number; root: string }} TreeHead */
/** @typedef {{ leaf: string | null; index: number; path: string[]; checkpoint: string }} LogProof */

/** Standard base64 in its one form; null for anything else. @param {string} text */
const unbase64 = (text) => {
  try {
    const bytes = atob(text)
    return btoa(bytes) === text ? Uint8Array.from(bytes, (letter) => letter.charCodeAt(0)) : null
  } catch {
    return null
  }
}

const asHex = (/** @type {Uint8Array} */ bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')

/** A hash of 32 bytes in base64, as hex; null for anything else. @param {string} text */
const readHash = (text) => {
  const bytes = unbase64(text)
  return bytes?.length === 32 ? asHex(bytes) : null
}

/** A whole number without leading zeros; null for anything else. @param {string} text */
const readWhole = (text) => {
  const number = /^(?:0|[1-9]\d{0,15})$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(number) ? number : null
}

/** The key of a log in a vkey. Null where the id in it is not that of the key. @param {string} vkey @returns {LogKey | null} */
export const readVkey = (vkey) => {
  const [name = '', id = '', ...rest] = vkey.split('+')
  const key = unbase64(rest.join('+'))
  if (key?.length !== 33 || key[0] !== 1) return null
  if (sha256(utf8(`${name}\n`), key).slice(0, 8) !== id) return null
  return { name, id, publicKey: key.slice(1) }
}

/** @param {string} note @returns {{ text: string; head: TreeHead; signatures: { name: string; blob: Uint8Array }[] } | null} */
const readCheckpoint = (note) => {
  const end = note.lastIndexOf('\n\n')
  if (end === -1 || !note.endsWith('\n')) return null
  const text = note.slice(0, end + 1)
  const [origin = '', sizeLine = '', rootLine = '', ...more] = text.slice(0, -1).split('\n')
  const [size, root] = [readWhole(sizeLine), readHash(rootLine)]
  if (origin === '' || size === null || root === null || more.includes('')) return null
  const signatures = []
  for (const line of note.slice(end + 2, -1).split('\n')) {
    const [, name = '', blob = ''] = /^— ([^ +]+) ([^ ]+)$/.exec(line) ?? []
    const bytes = unbase64(blob)
    if (name === '' || bytes === null || bytes.length < 5) return null
    signatures.push({ name, blob: bytes })
  }
  return { text, head: { origin, size, root }, signatures }
}

/**
 * Verifies a signed head of a log. `because` is why it is not to be believed; `unable` that this browser cannot check the
 * signature, and then the head is what it says.
 * @param {string} note @param {LogKey[]} keys
 * @returns {Promise<{ head: TreeHead; unable: boolean } | { because: string }>}
 */
export const verifyCheckpoint = async (note, keys) => {
  const read = readCheckpoint(note)
  if (read === null) return { because: 'It is no signed head of a log.' }
  const { head, text, signatures } = read
  const key = keys.find(({ name }) => name === head.origin)
  if (key === undefined) return { because: 'It is of a log whose key is not in this bundle.' }
  const own = signatures.filter(({ name, blob }) => name === key.name && asHex(blob.slice(0, 4)) === key.id)
  if (own.length === 0) return { because: 'It is not signed with the key of the log.' }
  if (globalThis.crypto?.subtle === undefined) return { head, unable: true }
  const imported = await crypto.subtle
    .importKey('raw', new Uint8Array(key.publicKey), { name: 'Ed25519' }, false, ['verify'])
    .catch(() => undefined)
  if (imported === undefined) return { head, unable: true }
  for (const { blob } of own) {
    if (!(await crypto.subtle.verify('Ed25519', imported, new Uint8Array(blob.slice(4)), utf8(text)))) {
      return { because: 'Its signature is wrong: it was altered, or never signed with this key.' }
    }
  }
  return { head, unable: false }
}

/** @param {string} text @returns {LogProof | null} */
export const readProof = (text) => {
  const end = text.indexOf('\n\n')
  const [first, ...lines] = text.slice(0, Math.max(0, end)).split('\n')
  if (end === -1 || first !== 'c2sp.org/tlog-proof@v1') return null
  const extra = lines[0]?.startsWith('extra ') ? unbase64(lines.shift()?.slice(6) ?? '') : undefined
  const index = lines[0]?.startsWith('index ') ? readWhole(lines[0].slice(6)) : null
  const path = lines.slice(1).map(readHash)
  if (extra === null || index === null || path.length > 63 || path.includes(null)) return null
  const leaf = extra === undefined ? null : asHex(extra)
  return { leaf, index, path: path.filter((hash) => hash !== null), checkpoint: text.slice(end + 2) }
}

const node = (/** @type {string} */ left, /** @type {string} */ right) =>
  sha256(Uint8Array.of(1), unhex(left), unhex(right))

/**
 * The root that a path leads to from leaf data, in hex; null where it is too long or too short. Sizes go beyond 32 bits.
 * @param {{ leaf: string; index: number; size: number; path: string[] }} from
 */
export const rootFrom = ({ leaf, index, size, path }) => {
  if (index >= size) return null
  let hash = sha256(Uint8Array.of(0), unhex(leaf))
  let [at, last] = [index, size - 1]
  for (const sibling of path) {
    if (last === 0) return null
    if (at % 2 === 1 || at === last) {
      hash = node(sibling, hash)
      while (at % 2 === 0 && at > 0) [at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
    } else hash = node(hash, sibling)
    ;[at, last] = [Math.floor(at / 2), Math.floor(last / 2)]
  }
  return last === 0 ? hash : null
}
