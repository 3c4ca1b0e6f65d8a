/** What is wrong with a bundle, or with one file of it. Stable: programs decide by it. */
type FindingKind =
  | 'missing'
  | 'extra'
  | 'altered'
  | 'cut'
  | 'unreadable'
  | 'unsafe-name'
  | 'same-name'
  | 'link'
  | 'special'
  | 'compressed'
  | 'encrypted'
  | 'zip'
  | 'padded'
  | 'too-many'
  | 'bag'
  | 'manifest'
  | 'keys'
  | 'receipt'
  | 'entry'
  | 'checkpoint'
  | 'proof'
  | 'exhibit'

/** `path` is as the bundle spells it, so never show it without making it printable; null when it is about the whole. */
export type Finding = { kind: FindingKind; path: string | null; says: string }

export type Find = (kind: FindingKind, path: string | null, says: string) => void

/** `1 byte`, `12 bytes`. */
export const bytesOf = (count: number): string => `${count} byte${count === 1 ? '' : 's'}`
