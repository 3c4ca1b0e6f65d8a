import type { Json } from '../base/canonical.ts'
import type { CaseId, EntryId, Sha256 } from '../base/ids.ts'
import type { SealedParts } from '../engines/ledger-tables.ts'
import { type Change, changeOf } from './changes.ts'
import { type ActFacts, everyPart, type Part, type Seen, type Sight } from './sight.ts'
import { memberAt, textAt } from './telling.ts'
import { wordsOf } from './words.ts'

/** Where an entry stands in the log: null until it is numbered. `underCheckpoint`: the log's signed head covers it. */
export type Standing = {
  /** Leaf data (docs/verify.md), hex. */
  leaf: string
  origin: string | null
  index: number | null
  underCheckpoint: boolean
}

/** `name` is null where nobody of this id is known, or names are not told. */
export type Who = { kind: string; id: string; name: string | null; role?: string; job?: string; cause?: string }

/** As it can be verified: the canonical JSON of `entry` is under `salt` the leaf, and each part under its own the seal. */
export type Disclosed = { entry: { [member: string]: Json | undefined }; salt: string; parts: SealedParts }

export type ShownAct = Standing & {
  shown: 'whole' | 'in-part'
  entry: EntryId
  at: string
  operation: string
  action: string
  outcome: string
  subject: { type: string; id: string }
  words: string
  /** Null where it is sealed or erased. */
  who: Who | null
  why?: Json
  recipient?: Json
  /** Of acts that make or destroy bytes. */
  changed?: Change
  /** Digests of the parts that are not shown. */
  sealed: Partial<Record<Part, string>>
  /** Of these, the ones that nobody can show any more, each with the entry of its erasure. */
  erased: Partial<Record<Part, EntryId>>
  disclosed: Disclosed
}
/** Something was done that this reader is not told of. */
export type WithheldAct = Standing & { shown: 'withheld'; day: string }
/** What the entry said was erased; that it was there, and when, stays. */
export type ErasedAct = Standing & { shown: 'erased'; entry: EntryId; at: string; erasedBy: EntryId; words: string }
export type Act = ShownAct | WithheldAct | ErasedAct

export type EntryRow = {
  id: EntryId
  leaf: Buffer
  entry: string | null
  salt: Buffer | null
  parts: SealedParts
  erased: Record<string, EntryId>
}

/** What is known around an entry. `about`: to which of the story's subjects it belongs. */
export type Around = {
  about: string
  /** The cases of the exhibits and bundles that the story has. */
  caseOf: ReadonlyMap<string, CaseId>
  nameOf(kind: string, id: string): string | null
  standing: Omit<Standing, 'leaf'>
  /** Of the recording, in custody. */
  source: Sha256 | null
}

const isObject = (value: unknown): value is Disclosed['entry'] =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

type Parsed = { entry: Disclosed['entry']; text(...path: string[]): string }

const parsedEntry = (row: EntryRow): Parsed | undefined => {
  if (row.entry === null) return undefined
  const entry: unknown = JSON.parse(row.entry)
  if (!isObject(entry)) throw new Error('an entry that is no object')
  return { entry, text: (...path) => textAt(entry, ...path) ?? '' }
}

const casesIn = (detail: Json | undefined): string[] =>
  [textAt(detail, 'case'), textAt(detail, 'from', 'case'), textAt(detail, 'to', 'case')].filter(
    (id) => id !== undefined,
  )

const inCaseOf = (action: string, detail: Json | undefined, { about, caseOf }: Around): ActFacts['inCase'] => {
  const bundle = textAt(detail, 'bundle')
  const of = caseOf.get(about) ?? (bundle === undefined ? undefined : caseOf.get(bundle)) ?? textAt(detail, 'case')
  const named = casesIn(detail)
  const ofSome = of !== undefined || bundle !== undefined || named.length > 0
  return ofSome || /^(case|exhibit|bundle)\./.test(action) || action === 'recording.disclosed' ? { of, named } : null
}

/** All that decides who sees how much of it, by the whole of the entry. */
const factsOf = (parsed: Parsed, parts: SealedParts, around: Around): ActFacts => {
  const [detail, actor] = [parts.detail?.value, parts.actor?.value]
  const [kind, id] = [textAt(actor, 'kind'), textAt(actor, 'id')]
  const action = parsed.text('action')
  return {
    operation: parsed.text('operation'),
    action,
    outcome: parsed.text('outcome'),
    actor: kind === undefined || id === undefined ? undefined : { kind, id },
    aboutClip: action.startsWith('clip.') || memberAt(detail, 'clip') !== undefined,
    inCase: inCaseOf(action, detail, around),
  }
}

const whoOf = (actor: Json | undefined, { nameOf }: Around): Who | null => {
  const [kind, id] = [textAt(actor, 'kind'), textAt(actor, 'id')]
  if (kind === undefined || id === undefined) return null
  const [role, job, cause] = [textAt(actor, 'role'), textAt(actor, 'job'), textAt(actor, 'cause')]
  return {
    kind,
    id,
    name: nameOf(kind, id),
    ...(role === undefined ? {} : { role }),
    ...(job === undefined ? {} : { job }),
    ...(cause === undefined ? {} : { cause }),
  }
}

const shownAct = (
  row: EntryRow,
  parsed: Parsed,
  { action, operation, outcome }: ActFacts,
  seen: Exclude<Seen, 'withheld'>,
  around: Around,
): Omit<ShownAct, keyof Standing> => {
  const parts: SealedParts = {}
  const sealed: ShownAct['sealed'] = {}
  const erased: ShownAct['erased'] = {}
  for (const name of everyPart) {
    const digest = textAt(parsed.entry, 'sealed', name)
    if (digest === undefined) continue
    const part = row.parts[name]
    if (part !== undefined && seen.parts.includes(name)) parts[name] = part
    else sealed[name] = digest
    const erasure = row.erased[name]
    if (erasure !== undefined) erased[name] = erasure
  }
  const subject = { type: parsed.text('subject', 'type'), id: parsed.text('subject', 'id') }
  const detail = parts.detail?.value
  const told = seen.summed === true ? row.parts.detail?.value : detail
  const changed = changeOf(action, detail, around.source)
  if (row.salt === null) throw new Error('an entry without its salt')
  return {
    shown: Object.keys(sealed).length === 0 ? 'whole' : 'in-part',
    entry: row.id,
    at: parsed.text('at'),
    ...{ operation, action, outcome, subject },
    words: seen.words ?? wordsOf({ action, outcome, subject: subject.id }, told),
    who: whoOf(parts.actor?.value, around),
    ...(parts.purpose === undefined ? {} : { why: parts.purpose.value }),
    ...(parts.recipient === undefined ? {} : { recipient: parts.recipient.value }),
    ...(changed === undefined ? {} : { changed }),
    ...{ sealed, erased },
    disclosed: { entry: parsed.entry, salt: row.salt.toString('hex'), parts },
  }
}

/** When an entry was born, by its id (RFC 9562, section 5.7): all that is known of one whose body is gone. */
const bornAt = (id: EntryId): string => new Date(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toISOString()

const erasedFacts: ActFacts = {
  ...{ operation: '', action: '', outcome: '', actor: undefined, aboutClip: false, inCase: null },
}

/** An entry as this reader is told of it. */
export const actOf = (row: EntryRow, see: Sight, around: Around): Act => {
  const standing = { leaf: row.leaf.toString('hex'), ...around.standing }
  const parsed = parsedEntry(row)
  const of = around.caseOf.get(around.about)
  const facts =
    parsed === undefined
      ? { ...erasedFacts, inCase: of === undefined ? null : { of, named: [] } }
      : factsOf(parsed, row.parts, around)
  const seen = see(facts, row.id)
  if (seen === 'withheld') return { shown: 'withheld', day: bornAt(row.id).slice(0, 10), ...standing }
  if (parsed !== undefined) return { ...shownAct(row, parsed, facts, seen, around), ...standing }
  const erasedBy = row.erased.body
  if (erasedBy === undefined) throw new Error('an entry without its body, which nobody erased')
  const words = `All that this entry said was erased, by entry ${erasedBy}. Its place in the log stays.`
  return { shown: 'erased', entry: row.id, at: bornAt(row.id), erasedBy, words, ...standing }
}
