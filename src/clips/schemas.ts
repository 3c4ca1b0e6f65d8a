import { type TSchema, Type } from 'typebox'
import { Digest, IdOf } from '../base/ids.ts'
import type { ClipProvenance } from '../engines/tables.ts'
import { Cursor, Limit, pageOf } from '../people/page.ts'
import { Reason } from '../people/reasons.ts'

const orNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const Instant = Type.String({ format: 'date-time' })
const oneOf = <Word extends string>(words: readonly Word[], description?: string) =>
  Type.Unsafe<Word>({ type: 'string', enum: [...words], ...(description === undefined ? {} : { description }) })

const Seconds = (description: string) => Type.Number({ minimum: 0, maximum: 1e9, description })

const Title = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern:
    '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$',
  description: 'What is to be seen; without control characters',
})

export const ClipRequest = Type.Object(
  {
    start: Seconds("Seconds from the recording's first frame: the first frame that begins at or after it"),
    end: Seconds('The last frame is the one that begins before it'),
    title: Title,
    reason: Reason,
  },
  { examples: [{ start: 61.2, end: 91.2, title: 'The arrest at the bridge', reason: 'Complaint 26/0193' }] },
)
export type ClipRequest = Type.Static<typeof ClipRequest>

export const ClipAccepted = Type.Object({ id: IdOf.clip })

const provenance = (description: string) =>
  Type.Unsafe<ClipProvenance>({ type: 'object', additionalProperties: true, description })

export const ClipView = Type.Object(
  {
    id: IdOf.clip,
    recording: IdOf.recording,
    person: Type.Object({ id: IdOf.person, name: Type.String() }, { description: 'Who asked for it' }),
    title: Type.Union([Type.String(), Type.Null()], { description: 'Null: it was erased with the recording' }),
    reason: orNull(Type.String()),
    start: Type.Number({ description: "Seconds from the recording's first frame, as asked" }),
    end: Type.Number(),
    state: oneOf(['owed', 'working', 'ready', 'failed']),
    progress: Type.Number({ minimum: 0, maximum: 1 }),
    failure: Type.Union([Type.String(), Type.Null()], { description: 'Why it failed' }),
    sha256: orNull(Digest),
    size: Type.Union([Type.Integer(), Type.Null()], { description: 'Bytes' }),
    duration: Type.Union([Type.Number(), Type.Null()], {
      description: 'Seconds from its first frame to the end of its last',
    }),
    frames: orNull(Type.Integer()),
    method: Type.Union([oneOf(['copied-middle', 'encoded']), Type.Null()], {
      description: "Whether the frames between the edges are the original's own, bit for bit, or all were encoded anew",
    }),
    provenance: orNull(
      provenance(
        'From what it was cut, by which tool and words, and what was checked. Once the recording was erased: from what, and which range',
      ),
    ),
    askedAt: Instant,
    endedAt: orNull(Instant),
  },
  {
    description: 'An exact range cut from a recording: a file of its own.',
    examples: [
      {
        id: '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8091',
        recording: '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8092',
        person: { id: '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8093', name: 'Asha Rao' },
        title: 'The arrest at the bridge',
        reason: 'Complaint 26/0193',
        start: 61.2,
        end: 91.2,
        state: 'working',
        progress: 0.4,
        failure: null,
        sha256: null,
        size: null,
        duration: null,
        frames: null,
        method: null,
        provenance: null,
        askedAt: '2026-11-25T22:15:00.000Z',
        endedAt: null,
      },
    ],
  },
)

export const ClipsQuery = Type.Object({ limit: Limit, cursor: Cursor }, { additionalProperties: false })
export type ClipsQuery = Type.Static<typeof ClipsQuery>
export const ClipsPage = pageOf(ClipView)
