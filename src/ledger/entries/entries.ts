import { type TSchema, Type } from 'typebox'
import { canonical } from '../../base/canonical.ts'
import { Digest, IdOf } from '../../base/ids.ts'
import { Problem } from '../../base/problem.ts'
import { Time } from '../../base/time.ts'
import type { SealedParts } from '../../engines/ledger-tables.ts'
import { type Operation, type Outcome, operations, outcomes } from '../entry.ts'
import type { EntryFilter, EntryRow } from './queries.ts'

const orNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const oneOf = <Word extends string>(words: readonly Word[]) =>
  Type.Optional(Type.Unsafe<Word>({ type: 'string', enum: [...words] }))
const Word = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\u0000-\\u001f\\u007f]*$', description }))

/** What an auditor asks by. */
export const filterMembers = {
  actor: Word('The id of whoever acted: a person, a dock, a service, an operator'),
  subject: Word('The id of what it was done to'),
  operation: oneOf<Operation>(operations),
  action: Word('The fine verb, such as recording.read'),
  outcome: oneOf<Outcome>(outcomes),
  from: Type.Optional({ ...Time, description: '`at` at or after this' }),
  to: Type.Optional({ ...Time, description: '`at` before this' }),
}
const Asked = Type.Object(filterMembers)
export type EntriesAsked = Type.Static<typeof Asked>

const microsOf = (text: string, name: string): string => {
  try {
    const at = Temporal.Instant.from(text).toString({ fractionalSecondDigits: 6, roundingMode: 'ceil' })
    if (/^\d{4}-/.test(at)) return at
  } catch {}
  throw new Problem('bad-request', `${name} is not a time that exists.`)
}

/** Throws `bad-request` for a time that does not exist. */
export const filterOf = ({ from, to, ...words }: EntriesAsked): EntryFilter => ({
  ...words,
  ...(from === undefined ? {} : { from: microsOf(from, 'from') }),
  ...(to === undefined ? {} : { to: microsOf(to, 'to') }),
})

const anyMembers = { type: 'object', additionalProperties: true } as const

export const EntryView = Type.Object(
  {
    id: IdOf.entry,
    at: orNull(Type.String({ format: 'date-time' })),
    operation: orNull(Type.String()),
    action: orNull(Type.String()),
    subject: orNull(Type.Object({ type: Type.String(), id: Type.String() })),
    outcome: orNull(Type.String()),
    entry: Type.Union([Type.Unsafe<object>(anyMembers), Type.Null()], {
      description: 'Its canonical JSON (RFC 8785) under `salt` is the leaf; null when its body was erased',
    }),
    salt: orNull(Type.String({ description: 'Hex' })),
    parts: Type.Unsafe<SealedParts>({
      ...anyMembers,
      description:
        '`{value, salt}` of actor, purpose, recipient, policy and detail, as far as they were given and kept',
    }),
    erased: Type.Optional(
      Type.Record(Type.String(), IdOf.entry, {
        description: 'Of each part that was erased, or of `body`, the entry of its erasure',
      }),
    ),
    leaf: Type.Unsafe<string>({ ...Digest, description: 'Leaf data, hex: SHA-256(salt ‖ canonical entry)' }),
    log: orNull(Type.String({ description: 'The origin of the log in which it is a leaf' })),
    index: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
      description: 'Which leaf of that log it is, from 0; null while it is not numbered yet',
    }),
    underCheckpoint: Type.Boolean({ description: 'Whether a published checkpoint covers it' }),
  },
  {
    description: 'An entry as it is kept, with what is needed to hold it against the log (docs/verify.md).',
    examples: [
      {
        id: '01a21080-1f40-7c11-8a2b-3d4e5f607182',
        at: '2026-11-25T22:15:10.000000Z',
        operation: 'consultation',
        action: 'recording.read',
        subject: { type: 'recording', id: '01a2107f-f878-7b43-9c50-4fa401b6f2b4' },
        outcome: 'allowed',
        entry: { v: 1, id: '01a21080-1f40-7c11-8a2b-3d4e5f607182' },
        salt: 'a1b2c3d4e5f60718293a4b5c6d7e8f90',
        parts: { actor: { value: { kind: 'person', id: 'P' }, salt: '00112233445566778899aabbccddeeff' } },
        leaf: '84e8005a4698742222c33953940c7c6013765732d2a996f81fb33e3ad54510ad',
        log: 'exhibit.example',
        index: 417,
        underCheckpoint: true,
      },
    ],
  },
)
export type EntryView = Type.Static<typeof EntryView>

export const viewOf = ({ place, ...row }: EntryRow): EntryView => {
  const { id, at, operation, action, subjectType: type, subjectId, outcome, entry, salt, parts, erased, leaf } = row
  return {
    id,
    at,
    operation,
    action,
    subject: type === null || subjectId === null ? null : { type, id: subjectId },
    outcome,
    entry: entry === null ? null : Object(JSON.parse(entry)),
    salt: salt?.toString('hex') ?? null,
    parts,
    ...(Object.keys(erased).length === 0 ? {} : { erased }),
    leaf: leaf.toString('hex'),
    log: place?.origin ?? null,
    index: place?.index ?? null,
    underCheckpoint: place?.published ?? false,
  }
}

/** One line a view: what a reader wants first, and last what a program needs to check it. */
export const columns = [
  ...['id', 'at', 'operation', 'action', 'subjectType', 'subjectId', 'outcome', 'actor'],
  ...['purpose', 'recipient', 'policy', 'detail', 'erased'],
  ...['log', 'index', 'underCheckpoint', 'leaf', 'salt', 'entry', 'parts'],
]

/** The values of `columns`. What is not there is an empty field. */
export const lineOf = (row: EntryRow): (string | number)[] => {
  const { id, at, operation, action, subject, outcome, parts, erased, log, index, underCheckpoint, leaf, salt } =
    viewOf(row)
  const said = (name: keyof SealedParts): string => {
    const value = parts[name]?.value
    return value === undefined ? '' : typeof value === 'string' ? value : canonical(value)
  }
  return [
    ...[id, at ?? '', operation ?? '', action ?? '', subject?.type ?? '', subject?.id ?? '', outcome ?? ''],
    ...[said('actor'), said('purpose'), said('recipient'), said('policy'), said('detail')],
    ...[erased === undefined ? '' : canonical(erased), log ?? '', index ?? '', String(underCheckpoint)],
    ...[leaf, salt ?? '', row.entry ?? '', canonical(parts)],
  ]
}
