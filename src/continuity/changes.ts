import type { Json } from '../base/canonical.ts'
import { textAt } from './telling.ts'

/** SHA-256 of what there was before and after, hex; null where there was nothing, or nobody knows what. */
export type Change = {
  what: 'recording' | 'clip' | 'viewing-copy' | 'bundle'
  before: string | null
  after: string | null
}

const orNull = (digest: string | undefined): string | null => digest ?? null

/**
 * What an act changed, by its detail: undefined where it changed no bytes, or its detail is not told. `source` is the digest
 * of the recording, out of which clips and copies to look at are made.
 */
export const changeOf = (action: string, detail: Json | undefined, source: string | null): Change | undefined => {
  if (detail === undefined) return undefined
  const told = (name: string) => orNull(textAt(detail, name))
  switch (action) {
    case 'recording.verified':
      return { what: 'recording', before: null, after: told('sha256') }
    case 'recording.quarantined':
      return { what: 'recording', before: told('declared'), after: told('read') }
    case 'recording.accepted':
      return { what: 'recording', before: told('read'), after: told('read') }
    case 'recording.duplicate':
      return { what: 'recording', before: told('sha256'), after: told('sha256') }
    case 'recording.erased':
      return { what: 'recording', before: told('sha256'), after: null }
    case 'clip.cut':
      return { what: 'clip', before: source, after: told('sha256') }
    case 'rendition.made':
      return { what: 'viewing-copy', before: source, after: told('sha256') }
    case 'recording.mismatch-found': {
      const file = textAt(detail, 'file')
      const what = file === 'clip' || file === 'viewing-copy' ? file : 'recording'
      return { what, before: told('sha256'), after: told('found') }
    }
    case 'bundle.made':
      return { what: 'bundle', before: null, after: told('sha256') }
    default:
      return undefined
  }
}
