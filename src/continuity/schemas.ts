import { type TSchema, Type } from 'typebox'
import type { Json } from '../base/canonical.ts'
import { CollarNumber, Digest, IdOf, Serial } from '../base/ids.ts'
import { Cursor, Limit } from '../people/page.ts'
import { statuses } from '../recordings/recording.ts'
import type { Disclosed, ShownAct } from './act.ts'

const orNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const oneOf = <Word extends string>(words: readonly Word[], description?: string) =>
  Type.Unsafe<Word>({ type: 'string', enum: [...words], ...(description === undefined ? {} : { description }) })
const At = Type.String({ format: 'date-time' })
const Day = Type.String({ format: 'date' })
const Anything = (description: string) => Type.Unsafe<Json>({ description })
const orNothing = <Value>(description: string) =>
  Type.Unsafe<Value>({ type: 'object', additionalProperties: { type: 'string' }, description })

export const StoryQuery = Type.Object(
  {
    format: Type.Optional(
      oneOf(['json', 'pdf'], 'Without it the header Accept says which: application/pdf, or JSON. A PDF is whole'),
    ),
    limit: Limit,
    cursor: Cursor,
  },
  { additionalProperties: false },
)
export type StoryQuery = Type.Static<typeof StoryQuery>

const ClipFacts = Type.Object({
  id: IdOf.clip,
  title: Type.Union([Type.String(), Type.Null()], { description: 'Null: it was erased with the recording' }),
  start: Type.Number({ description: "Seconds from the recording's first frame, as asked" }),
  end: Type.Number(),
  state: oneOf(['owed', 'working', 'ready', 'failed']),
  method: orNull(oneOf(['copied-middle', 'encoded'])),
  size: orNull(Type.Integer()),
  sha256: orNull(Digest),
})

const FactsView = Type.Object({
  recording: IdOf.recording,
  camera: Serial,
  officer: orNull(CollarNumber),
  filename: Type.String({ description: 'As the dock gave it: data, never a path' }),
  size: Type.Integer({ description: 'Bytes' }),
  sha256: orNull(Digest),
  recordedAt: Type.String({ format: 'date-time', description: "By the camera's clock" }),
  clockOffset: Type.Union([Type.Number(), Type.Null()], { description: "Seconds the camera's clock was ahead" }),
  receivedAt: At,
  duration: Type.Union([Type.Number(), Type.Null()], { description: 'Seconds' }),
  status: oneOf(statuses),
  flags: Type.Array(Type.String()),
  clip: orNull(ClipFacts),
})

const LogView = Type.Object({
  origin: Type.String(),
  vkey: Type.String({ description: 'C2SP signed-note: what verifies the head' }),
  checkpoint: orNull(
    Type.Object({
      size: Type.Integer(),
      note: Type.String({ description: 'The newest signed head, C2SP tlog-checkpoint' }),
    }),
  ),
})

const standing = {
  leaf: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Leaf data' }),
  origin: Type.Union([Type.String(), Type.Null()], { description: 'In which log it stands' }),
  index: Type.Union([Type.Integer(), Type.Null()], { description: 'Null until it is numbered' }),
  underCheckpoint: Type.Boolean({ description: 'Whether the head given here covers it' }),
}

const Who = Type.Object({
  kind: Type.String(),
  id: Type.String(),
  name: Type.Union([Type.String(), Type.Null()]),
  role: Type.Optional(Type.String()),
  job: Type.Optional(Type.String()),
  cause: Type.Optional(Type.String({ description: 'The entry that made the job' })),
})

const Change = Type.Object(
  {
    what: oneOf(['recording', 'clip', 'viewing-copy', 'bundle']),
    before: orNull(Type.String()),
    after: orNull(Type.String()),
  },
  { description: 'SHA-256; null where there was nothing. Of what is made out of a recording, before is the recording' },
)

const DisclosedView = Type.Object(
  {
    entry: Type.Unsafe<Disclosed['entry']>({ type: 'object', additionalProperties: true }),
    salt: Type.String(),
    parts: Type.Unsafe<Disclosed['parts']>({ type: 'object', additionalProperties: true }),
  },
  { description: 'What the leaf, and the seals of the parts that you may see, are computed from (docs/verify.md)' },
)

const ShownView = Type.Object({
  shown: oneOf(['whole', 'in-part']),
  entry: IdOf.entry,
  at: At,
  operation: Type.String(),
  action: Type.String(),
  outcome: Type.String(),
  subject: Type.Object({ type: Type.String(), id: Type.String() }),
  words: Type.String(),
  who: Type.Union([Who, Type.Null()], { description: 'Null where it is sealed' }),
  why: Type.Optional(Anything('The reason')),
  recipient: Type.Optional(Anything('To whom')),
  changed: Type.Optional(Change),
  sealed: orNothing<ShownAct['sealed']>('Of each part that is not shown, its digest'),
  erased: orNothing<ShownAct['erased']>('Of each part that was erased, the entry of its erasure'),
  disclosed: DisclosedView,
  ...standing,
})
const WithheldView = Type.Object(
  { shown: oneOf(['withheld']), day: Day, ...standing },
  { description: 'Something was done that you may not be told of' },
)
const ErasedView = Type.Object(
  { shown: oneOf(['erased']), entry: IdOf.entry, at: At, erasedBy: IdOf.entry, words: Type.String(), ...standing },
  { description: 'All that the entry said was erased, by another' },
)

const example = {
  shown: 'in-part',
  entry: '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8091',
  at: '2026-11-26T08:02:11.480000Z',
  operation: 'consultation',
  action: 'recording.viewing',
  outcome: 'allowed',
  subject: { type: 'recording', id: '019ab0c4-0000-7b1a-8f0e-3c5d6e7f8091' },
  words: 'The recording was opened to be watched.',
  who: null,
  sealed: { actor: '472b95128fcb55c2ebd9afaef3b4ab7865e3b09054d2d0e1c4b1b0f2412f550e' },
  erased: {},
  leaf: '84e8005a4698742222c33953940c7c6013765732d2a996f81fb33e3ad54510ad',
  origin: 'exhibit.local/0b1c2d3e4f5a6b7c',
  index: 4711,
  underCheckpoint: true,
}

export const StoryView = Type.Object(
  {
    subject: Type.Object({ type: oneOf(['recording', 'clip']), id: Type.String() }),
    facts: FactsView,
    logs: Type.Array(LogView, { description: 'The one that grows first' }),
    acts: Type.Array(Type.Union([ShownView, WithheldView, ErasedView]), {
      description: 'Oldest first. All that was done, be it told to you or not',
      examples: [[example]],
    }),
    nextCursor: orNull(Type.String()),
  },
  { description: 'The chain of custody, as far as it is yours to know' },
)

export const Pdf = Type.Unsafe<never>({ type: 'string', format: 'binary', description: 'A continuity statement' })
