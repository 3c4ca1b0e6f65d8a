import { type TSchema, Type } from 'typebox'
import { Digest, IdOf } from '../base/ids.ts'
import { Cursor, Limit, pageOf } from '../people/page.ts'

const orNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
const Instant = Type.String({ format: 'date-time' })
const State = Type.Unsafe<'owed' | 'working' | 'ready' | 'failed'>({
  type: 'string',
  enum: ['owed', 'working', 'ready', 'failed'],
})

/** One line, not blank, without control characters: it is printed on papers. */
const Line = (description: string, examples: string[]) =>
  Type.String({
    minLength: 1,
    maxLength: 500,
    pattern:
      '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*[^\\s\\u0000-\\u001f\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$',
    description,
    examples,
  })

const mostExhibits = 500

export const BundleRequest = Type.Object(
  {
    exhibitIds: Type.Array(IdOf.exhibit, { minItems: 1, maxItems: mostExhibits, uniqueItems: true }),
    recipient: Line('Who gets it: it stands in the bundle and in the ledger', ['CPS London North']),
    purpose: Line('What for', ['Initial details of the prosecution case']),
    includeOriginals: Type.Boolean({
      description: 'Whether the whole recording goes with each clip: everything in it is disclosed then',
    }),
  },
  {
    examples: [
      {
        exhibitIds: ['019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8091'],
        recipient: 'CPS London North',
        purpose: 'Initial details of the prosecution case',
        includeOriginals: false,
      },
    ],
  },
)
export type BundleRequest = Type.Static<typeof BundleRequest>

export const BundleAccepted = Type.Object({ id: IdOf.bundle })

export const BundleView = Type.Object(
  {
    id: IdOf.bundle,
    caseId: IdOf.case,
    schedule: Type.Integer({ minimum: 1, description: 'Which schedule of its case it holds' }),
    askedBy: Type.Object({ id: IdOf.person, name: Type.String() }),
    recipient: Type.String(),
    purpose: Type.String(),
    includeOriginals: Type.Boolean(),
    exhibits: Type.Array(
      Type.Object({
        id: IdOf.exhibit,
        reference: Type.String(),
        item: Type.Integer({ description: 'Its number on the schedules of the case' }),
      }),
    ),
    state: State,
    progress: Type.Number({ minimum: 0, maximum: 1 }),
    waitsFor: Type.Union([Type.String(), Type.Null()], {
      description: 'Of one that is owed: what it waits for, where it is not its turn alone. It is made by itself then',
    }),
    failure: Type.Union([Type.String(), Type.Null()], { description: 'Why it failed, what is kept and what to do' }),
    size: Type.Union([Type.Integer(), Type.Null()], { description: 'Bytes of the ZIP' }),
    sha256: orNull(Digest),
    gone: Type.Union([Type.String(), Type.Null()], {
      description: 'Of one that was made: why its ZIP is no longer kept here, where it is not',
    }),
    withheld: Type.Union([Type.String(), Type.Null()], {
      description: 'Of one that was made and is kept here: why it is given out no more, where it is not',
    }),
    askedAt: Instant,
    endedAt: orNull(Instant),
  },
  {
    description: 'A package of exhibits that can be checked without us: one ZIP holding one BagIt bag.',
    examples: [
      {
        id: '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8091',
        caseId: '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8092',
        schedule: 1,
        askedBy: { id: '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8093', name: 'Dora Quist' },
        recipient: 'CPS London North',
        purpose: 'Initial details of the prosecution case',
        includeOriginals: false,
        exhibits: [{ id: '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8094', reference: 'AB/1', item: 1 }],
        state: 'working',
        progress: 0.4,
        waitsFor: null,
        failure: null,
        size: null,
        sha256: null,
        gone: null,
        withheld: null,
        askedAt: '2026-11-25T22:15:00.000Z',
        endedAt: null,
      },
    ],
  },
)

export const BundlesQuery = Type.Object({ limit: Limit, cursor: Cursor }, { additionalProperties: false })
export type BundlesQuery = Type.Static<typeof BundlesQuery>
export const BundlesPage = pageOf(BundleView)
