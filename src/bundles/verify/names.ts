import type { Find } from './finding.ts'

/** Why a name could make a program write or read outside of the bundle's folder, or not be read at all; else undefined. */
export const unsafeBecause = (path: string): string | undefined => {
  if (path === '') return 'it is empty'
  if (path.startsWith('/')) return 'it is absolute: it starts at the root of the disk'
  if (path.includes('\\')) return 'it holds a backslash, which some systems take for a folder'
  if (path.includes(':')) return 'it holds a colon, which some systems take for a disk'
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(path))
    return 'it holds control or direction characters, which show it as another'
  if (!path.isWellFormed() || path.includes('\ufffd')) return 'it is not UTF-8'
  const parts = path.split('/')
  if (parts.includes('..')) return 'it climbs out of the folder with ..'
  if (parts.includes('') || parts.includes('.')) return 'it has an empty part'
  return path.length > 1024 ? 'it is longer than 1,024 characters' : undefined
}

/** Names that are one name on a disk that tells neither case nor the form of accents apart. */
const folded = (path: string): string => path.normalize('NFC').toLowerCase()

/** Finds names that some disks cannot hold side by side. */
export const findSameNames = (paths: Iterable<string>, find: Find): void => {
  const seen = new Map<string, string>()
  for (const path of paths) {
    const key = folded(path)
    const other = seen.get(key)
    if (other === undefined) seen.set(key, path)
    else find('same-name', path, `It differs from ${other} only in case or accents: many disks keep only one of them.`)
  }
}
