import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Reason } from '../people/reasons.ts'
import { holdKinds, holdReasons, sealedParts, triggers } from './words.ts'

const closed = { additionalProperties: false } as const
const oneOf = <Word extends string>(words: readonly Word[], description?: string) =>
  Type.Unsafe<Word>({ type: 'string', enum: [...words], ...(description === undefined ? {} : { description }) })
const orNull = <Schema extends Parameters<typeof Type.Array>[0]>(schema: Schema) => Type.Union([schema, Type.Null()])
const instant = (description?: string) =>
  Type.String({ format: 'date-time', ...(description === undefined ? {} : { description }) })
const Day = Type.String({ format: 'date', maxLength: 10, examples: ['2026-12-26'] })
/** A day that is asked for: every period can be taken off it. */
export const AskedDay = Type.String({
  format: 'date',
  pattern: '^(19|2[0-3])\\d\\d-',
  examples: ['2026-12-26'],
  description: 'In the years 1900 to 2399',
})
const Period = (description: string) => Type.String({ maxLength: 64, description, examples: ['P31D', 'P6M'] })

const Category = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^[^\\u0000-\\u001f\\u007f]*$',
  examples: ['stop-search'],
})

export const PolicyDraft = Type.Object(
  {
    category: Type.Union([Category, Type.Null()], { description: 'null: recordings that have no category' }),
    trigger: oneOf(triggers, 'What the period counts from: the recording, or the day of an event of its cases'),
    period: Period('ISO 8601 duration, above zero, 200 years at most'),
    grace: Type.Optional(Period('How long it is hidden, and can be restored, before it is erased; P30D when left out')),
    sealed: Type.Optional(
      Type.Array(oneOf(sealedParts), {
        maxItems: 5,
        description:
          'Sealed parts of the entries about a recording whose values and salts its erasure destroys; ["detail"] when left out',
      }),
    ),
  },
  closed,
)

export const PolicyView = Type.Object({
  id: IdOf.policy,
  category: orNull(Type.String()),
  version: Type.Integer({ minimum: 1, description: 'Counts per category' }),
  trigger: oneOf(triggers),
  period: Type.String(),
  grace: Type.String(),
  sealed: Type.Array(oneOf(sealedParts)),
  state: oneOf(['draft', 'approved', 'superseded']),
  draftedBy: IdOf.person,
  draftedAt: instant(),
  approvedBy: orNull(IdOf.person),
  approvedAt: orNull(instant()),
  supersededAt: orNull(instant()),
})

const Count = (description: string) =>
  Type.Object({ count: Type.Integer({ minimum: 0 }), bytes: Type.Integer({ minimum: 0 }) }, { description })

export const SimulationView = Type.Object({
  id: IdOf.simulation,
  state: oneOf(['owed', 'working', 'ready', 'failed']),
  failure: Type.Union([Type.String(), Type.Null()], { description: 'Why it failed, and what to do' }),
  due: Count('Would have a date, be it old or new'),
  sooner: Count('Would be due sooner than now; what is kept now would be due later than any date'),
  later: Count('Would be due later than now, or be kept'),
  atOnce: Count('Would be due the moment the policy takes effect, and is not now'),
  held: Count('Would have a date, were it not for a hold or an open case'),
  askedAt: instant(),
  endedAt: orNull(instant()),
})

export const Affected = Type.Object({
  recordingId: IdOf.recording,
  size: Type.Integer({ minimum: 0, description: 'Bytes' }),
  oldDate: Type.Union([Day, Type.Null()], { description: 'null: kept' }),
  newDate: Type.Union([Day, Type.Null()], { description: 'null: kept' }),
})

export const HoldOrder = Type.Object({ kind: oneOf(holdReasons), reason: Reason, reviewOn: Type.Optional(Day) }, closed)

export const HoldPlaced = Type.Object({
  id: IdOf.hold,
  recordingId: IdOf.recording,
  kind: oneOf(holdKinds),
  reviewOn: orNull(Day),
  placedAt: instant(),
  said: Type.String({ description: 'What the hold does, in words' }),
})

export const HoldView = Type.Object({
  id: IdOf.hold,
  kind: Type.Union([oneOf(holdKinds), Type.Null()], {
    description: 'Like who, why and the review, null for an officer, who learns only that there is a hold',
  }),
  reason: orNull(Type.String()),
  reviewOn: orNull(Day),
  placedBy: orNull(IdOf.person),
  placedAt: instant(),
  releasedBy: orNull(IdOf.person),
  releasedAt: orNull(instant()),
})

const Rule = Type.Object({
  rule: oneOf(['hold', 'open-case', 'deletion-request', 'category', 'case-event']),
  date: Type.Union([Day, Type.Null()], { description: 'What the rule says by itself; null: keep' }),
  words: Type.String(),
})

export const RetentionView = Type.Object({
  recordingId: IdOf.recording,
  status: Type.String(),
  date: Type.Union([Day, Type.Null()], { description: 'From when on it may be destroyed; null: it is kept' }),
  at: Type.Union([instant(), Type.Null()], { description: 'The same to the moment' }),
  words: Type.String({ description: 'The answer in a sentence' }),
  decidedBy: Rule,
  beaten: Type.Array(Type.Intersect([Rule, Type.Object({ beatenBy: Type.String() })])),
  grace: Type.Union(
    [
      Type.Object({
        until: instant(),
        restorable: Type.Boolean(),
        said: Type.Union([Type.String(), Type.Null()], {
          description: 'Why it was not erased when its grace was over',
        }),
      }),
      Type.Null(),
    ],
    {
      description: 'Once it is hidden: when it is erased, and whether it can still be restored',
    },
  ),
})

export const DueItem = Type.Object({
  recordingId: IdOf.recording,
  category: orNull(Type.String()),
  recordedAt: instant(),
  size: Type.Integer({ minimum: 0 }),
  date: Day,
  at: instant(),
  words: Type.String(),
})

export const PurgeView = Type.Object({
  id: IdOf.purge,
  state: oneOf(
    ['running', 'braked', 'done', 'failed', 'abandoned'],
    'failed: it gave up, and the next purge that is started takes its place; abandoned: a person gave it up',
  ),
  hidden: Type.Integer({ minimum: 0 }),
  erased: Type.Integer({ minimum: 0 }),
  held: Type.Integer({
    minimum: 0,
    description: 'Whose time has come, but for a hold, an open case or a rule that changed',
  }),
  failed: Type.Integer({ minimum: 0, description: 'Tried again by the next purge' }),
  batch: orNull(Type.Integer({ minimum: 0, description: 'How many more it found due when it braked' })),
  said: Type.Union([Type.String(), Type.Null()], { description: 'Why it stopped, in words' }),
  startedBy: Type.Union([IdOf.person, Type.Null()], { description: 'null: the daily purge' }),
  startedAt: instant(),
  endedAt: orNull(instant()),
})

/** The body of an act that has to be explained. */
export const Explained = Type.Object({ reason: Reason }, closed)

export const Restored = Type.Object({
  id: IdOf.recording,
  status: oneOf(['verified', 'active']),
  holdId: IdOf.hold,
  reviewOn: Day,
  said: Type.String({ description: 'What keeps it from being due again, in words' }),
})
