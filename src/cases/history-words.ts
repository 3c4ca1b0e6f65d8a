import { Value } from 'typebox/value'
import type { Json } from '../base/canonical.ts'
import { IdOf, type PersonId } from '../base/ids.ts'
import type { EntryRow } from './history-queries.ts'

type Names = ReadonlyMap<string, string>
/** What the entry's sealed detail says under a path, as text. A part that was erased says nothing. */
type Told = (...path: string[]) => string | undefined

const gone = '(no longer known)'

const toldBy =
  (detail: Json | undefined): Told =>
  (...path) => {
    let at: Json | undefined = detail
    for (const member of path) at = typeof at === 'object' && at !== null && !Array.isArray(at) ? at[member] : undefined
    return typeof at === 'string' ? at : undefined
  }

const quoted = (text: string | undefined): string => (text === undefined ? gone : `“${text}”`)

/** Each member of `before` that is another in `after`. */
const changes = (told: Told, ...members: string[]): string =>
  members
    .filter((member) => told('before', member) !== told('after', member))
    .map((member) => `${member} from ${quoted(told('before', member))} to ${quoted(told('after', member))}`)
    .join(', ')

const kindInWords = (kind: string | undefined): string => kind?.replaceAll('_', ' ') ?? gone

const eventInWords = (told: Told): string => `${kindInWords(told('kind'))}, on ${told('on') ?? gone}`

const inWords: Record<string, (told: Told, nameOf: (id: string | undefined) => string) => string> = {
  'case.opened': (told) => `The case was opened as ${told('reference') ?? gone}, ${quoted(told('title'))}.`,
  'case.renamed': (told) => `The case was renamed: ${changes(told, 'reference', 'title')}.`,
  'case.closed': (told) => `The case was closed, on ${told('on') ?? gone}.`,
  'case.reopened': () => 'The case was reopened.',
  'case.member-set': (told, nameOf) => {
    const as = told('before') === undefined ? 'became a member as' : `is no longer ${told('before')} but`
    return `${nameOf(told('person'))} ${as} ${told('role') ?? gone}.`
  },
  'case.member-removed': (told, nameOf) => `${nameOf(told('person'))} is no longer a member.`,
  'case.event-noted': (told) => `Noted: ${eventInWords(told)}.`,
  'case.event-withdrawn': (told) => `Withdrawn as wrong: ${eventInWords(told)}.`,
  'exhibit.added': (told) => {
    const what = told('clip') !== undefined ? ', a clip,' : told('recording') !== undefined ? ', a recording,' : ''
    return `${told('reference') ?? gone}${what} was put into the case.`
  },
  'exhibit.changed': (told) =>
    `${told('reference') ?? gone} was changed: ${changes(told, 'sensitivity', 'description')}.`,
  'exhibit.withdrawn': (told) => `${told('reference') ?? gone} was withdrawn.`,
  // Another case may be one that the reader must not learn of: it is never named here.
  'exhibit.moved-away': (told) => {
    const within = told('from', 'case') === told('to', 'case')
    return `${told('from', 'reference') ?? gone} became ${within ? (told('to', 'reference') ?? gone) : 'an exhibit of another case'}.`
  },
  'exhibit.moved-here': (told) => {
    const within = told('from', 'case') === told('to', 'case')
    return `${told('to', 'reference') ?? gone} came from ${within ? (told('from', 'reference') ?? gone) : 'another case'}.`
  },
}

/** One act in words, by what its detail says. People are not named, nor any other case. */
export const inHistory = (action: string, detail: Json): string =>
  inWords[action]?.(toldBy(detail), () => gone) ?? action

/** The acts that a history tells of. */
export const actions: readonly string[] = Object.keys(inWords)

const isPersonId = (value: unknown): value is PersonId => Value.Check(IdOf.person, value)

const doer = ({ parts }: EntryRow): string | undefined => toldBy(parts.actor?.value)('id')

/** The people whose names a line needs. */
export const peopleIn = (row: EntryRow): PersonId[] =>
  [doer(row), toldBy(row.parts.detail?.value)('person')].filter(isPersonId)

/** One line of the history. */
export const lineOf = (row: EntryRow, names: Names) => {
  const { id, at, action, type, subject, parts } = row
  const by = doer(row)
  const nameOf = (who: string | undefined): string => (who === undefined ? gone : (names.get(who) ?? gone))
  const reason = parts.purpose?.value
  return {
    id,
    at,
    action,
    subject: { type: type === 'case' ? ('case' as const) : ('exhibit' as const), id: subject },
    by: isPersonId(by) ? { id: by, name: nameOf(by) } : null,
    words: inWords[action]?.(toldBy(parts.detail?.value), nameOf) ?? action,
    reason: typeof reason === 'string' ? reason : null,
  }
}
