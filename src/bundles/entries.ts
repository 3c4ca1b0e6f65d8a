import type { Json } from '../base/canonical.ts'
import type { EntryId } from '../base/ids.ts'
import type { SealedParts } from '../engines/ledger-tables.ts'
import type { Db } from '../engines/postgres.ts'
import type { Contents } from './contents.ts'
import type { DisclosedEntry } from './story.ts'

type Part = keyof SealedParts
type Told = (member: string) => string | undefined

/**
 * What a reader outside is told, and no more: that the footage came whole into custody, that it was set aside, hidden or
 * restored, how a clip was cut, when an exhibit was made, and that this bundle was asked for. Never disclosed are reasons
 * (the purposes of others), other cases, who looked at the footage, holds and their kinds, and changes of an exhibit, since
 * those may tell of what was sensitive before. People stand in it as ids with their role, never by name. A part that is not
 * disclosed stays sealed: its digest is in the entry, and its salt is not.
 */
const rules: Record<string, { parts: readonly Part[]; words: (told: Told) => string }> = {
  'recording.verified': {
    parts: ['actor', 'detail'],
    words: () =>
      'After it had been stored, every byte of the recording was read back and had the SHA-256 that is given here; the receipt was signed on it.',
  },
  'recording.quarantined': {
    parts: ['actor', 'detail'],
    words: () => 'What was read back was not what the dock had declared: the recording was set aside.',
  },
  'recording.accepted': {
    parts: ['detail'],
    words: () => 'A supervisor accepted the recording under the digest that was read back.',
  },
  'recording.examined': { parts: ['actor', 'detail'], words: () => 'The file was examined.' },
  'recording.hidden': { parts: [], words: () => 'The retention schedule hid the recording, to be erased later.' },
  'recording.restored': { parts: [], words: () => 'The recording was restored before anything of it was erased.' },
  'clip.cut': {
    parts: ['actor', 'detail'],
    words: () => 'The clip was cut from the recording, checked frame by frame, and published.',
  },
  'exhibit.added': {
    parts: ['actor', 'detail'],
    words: (told) => `It was put into the case as ${told('reference') ?? 'an exhibit'}.`,
  },
  'exhibit.moved-here': {
    parts: ['actor'],
    words: () => 'It got the reference that it has here, under which it was an exhibit from then on.',
  },
  'bundle.asked': {
    parts: ['actor', 'purpose', 'recipient', 'detail'],
    words: () => 'This bundle was asked for.',
  },
}

export type ToldEntry = DisclosedEntry & {
  id: EntryId
  at: string
  action: string
  subject: string
  words: string
  /** Of a clip's cutting: which clip. */
  clip: string | undefined
}

const readRows = async (db: Db, subjects: readonly string[]) =>
  await db
    .selectFrom('entryBodies')
    .select(['id', 'entry', 'salt', 'parts', 'action', 'subjectId'])
    .where('subjectId', 'in', subjects)
    .where('action', 'in', Object.keys(rules))
    .orderBy('id')
    .execute()

const memberOf = (value: Json | undefined, name: string): Json | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value[name] : undefined

const textOf = (value: Json | undefined, name: string): string | undefined => {
  const found = memberOf(value, name)
  return typeof found === 'string' ? found : undefined
}

type Exhibit = Contents['exhibits'][number]['exhibit']

/** What was said when the exhibit was made may be said to the reader where it is what is said now. */
const stillSaid = (detail: Json | undefined, exhibit: Exhibit | undefined): boolean =>
  textOf(detail, 'sensitivity') === 'none' && textOf(detail, 'description') === exhibit?.description

const partsFor = (action: string, parts: SealedParts, exhibit: Exhibit | undefined): SealedParts => {
  const meant = rules[action]?.parts ?? []
  const told: SealedParts = {}
  for (const name of meant) {
    const part = parts[name]
    if (part === undefined || (action === 'exhibit.added' && name === 'detail' && !stillSaid(part.value, exhibit)))
      continue
    told[name] = part
  }
  return told
}

const isEntry = (value: unknown): value is DisclosedEntry['entry'] =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The entries that go with a bundle, oldest first. One whose body was erased can no longer be shown, and is not. */
export const disclosedEntries = async (db: Db, { bundle, exhibits: contents }: Contents): Promise<ToldEntry[]> => {
  const exhibits = contents.map(({ exhibit }) => exhibit)
  const subjects = [bundle.id, ...exhibits.flatMap(({ exhibit, recording }) => [exhibit, recording])]
  const clips = new Set<string>(exhibits.flatMap(({ clip }) => (clip === null ? [] : [clip])))
  const byId = new Map<string, Exhibit>(exhibits.map((exhibit) => [exhibit.exhibit, exhibit]))
  const rows = await readRows(db, [...new Set<string>(subjects)])
  return rows.flatMap(({ id, entry, salt, parts, action, subjectId }): ToldEntry[] => {
    if (entry === null || salt === null || action === null || subjectId === null) return []
    const clip = action === 'clip.cut' ? textOf(parts.detail?.value, 'clip') : undefined
    // Other clips of the same recording are not this reader's.
    if (action === 'clip.cut' && (clip === undefined || !clips.has(clip))) return []
    const parsed: unknown = JSON.parse(entry)
    if (!isEntry(parsed)) throw new Error('an entry that is no object')
    const disclosed = partsFor(action, parts, byId.get(subjectId))
    const detail = disclosed.detail?.value
    const words = rules[action]?.words((member) => textOf(detail, member)) ?? action
    const at = typeof parsed.at === 'string' ? parsed.at : ''
    return [
      { id, at, action, subject: subjectId, words, clip, entry: parsed, salt: salt.toString('hex'), parts: disclosed },
    ]
  })
}
