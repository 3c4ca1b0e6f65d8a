import { type NoteKey, parseVkey } from '../base/note.ts'

/** A witness that is asked to cosign our checkpoints. `url` is what C2SP tlog-witness calls both its prefixes. */
export type ConfiguredWitness = { key: NoteKey; vkey: string; url: string }

const parseUrl = (text: string): string | null => {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol)) return null
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return null
  return url.href.replace(/\/+$/, '')
}

const parseWitness = (text: string): ConfiguredWitness | null => {
  const [vkey = '', address = '', ...more] = text.trim().split(/\s+/)
  const key = parseVkey(vkey)
  const url = parseUrl(address)
  return key?.type === 4 && url !== null && more.length === 0 ? { key, vkey, url } : null
}

/** Reads `<vkey> <url>`, separated by commas. Null when one is malformed, no key of cosignatures, or there twice. */
export const parseWitnesses = (text: string): ConfiguredWitness[] | null => {
  const witnesses = text.split(',').flatMap((part) => (part.trim() === '' ? [] : [parseWitness(part)]))
  if (!witnesses.every((witness) => witness !== null)) return null
  return new Set(witnesses.map(({ vkey }) => vkey)).size === witnesses.length ? witnesses : null
}
