import { Type } from 'typebox'
import { IdOf } from '../base/ids.ts'
import { Cursor, Limit, pageOf } from '../people/page.ts'
import { Reason } from '../people/reasons.ts'
import { caseStatuses, eventKinds, memberRoles } from './case.ts'
import { sensitivities } from './exhibit.ts'

const oneOf = <Word extends string>(words: readonly Word[], description?: string) =>
  Type.Unsafe<Word>({ type: 'string', enum: [...words], ...(description === undefined ? {} : { description }) })
const orNull = (schema: { type: 'string'; format?: string; description?: string }) =>
  Type.Unsafe<string | null>({ anyOf: [schema, { type: 'null' }] })
const At = Type.String({ format: 'date-time' })
const MaybeAt = orNull({ type: 'string', format: 'date-time' })
const Somebody = Type.Object({ id: IdOf.person, name: Type.String() })

const lineControls = '\\u0000-\\u001f\\u007f-\\u009f'
const controls = '\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f'
// Blanks, then something that is none, then anything: told apart in one pass, however long the text.
/** One line that says something. */
const Title = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: `^[^\\S${lineControls}]*[^\\s${lineControls}][^${lineControls}]*$`,
  examples: ['Robbery at Station Road'],
})
/** Text of several lines that says something; it is kept as text, whatever it looks like. */
const Description = Type.String({
  minLength: 1,
  maxLength: 2000,
  pattern: `^[^\\S${controls}]*[^\\s${controls}][^${controls}]*$`,
  examples: ['The stop outside 14 Station Road, from the left: 22:14 to 22:19'],
})
const Note = Type.String({ maxLength: 500, pattern: `^[^${controls}]*$`, examples: ['Crown Court, three charges'] })

const CaseReference = Type.String({
  minLength: 1,
  maxLength: 100,
  description: "The force's own reference; unique among all cases",
  examples: ['26/CR/01934'],
})
const ExhibitReference = Type.String({
  minLength: 1,
  maxLength: 100,
  description: 'Initials and number: 1 to 5 capital letters, a slash, 1 to 999999. Never given twice in a case',
  examples: ['AB/1'],
})
const day = (description: string) =>
  Type.String({ format: 'date', pattern: '^[1-9]\\d{3}-', examples: ['2026-11-25'], description })
const MemberRole = oneOf(memberRoles, 'An investigator changes the case; disclosure reads it and exports bundles')
const Status = oneOf(caseStatuses)
const Sensitivity = oneOf(sensitivities)
export const NewCase = Type.Object({ reference: CaseReference, title: Title })
export const CaseId = Type.Object({ id: IdOf.case })
export const CaseChange = Type.Object({
  reference: Type.Optional(CaseReference),
  title: Type.Optional(Title),
  status: Type.Optional(oneOf(caseStatuses, 'A change of it needs a reason')),
  reason: Type.Optional(Reason),
  on: Type.Optional(
    day('With the status closed: when it was closed. Today if left out; closed already, it is that day or a conflict'),
  ),
})
export type CaseChange = Type.Static<typeof CaseChange>

const caseFacts = {
  id: IdOf.case,
  reference: Type.String(),
  title: Type.String(),
  status: Status,
  openedAt: At,
  closedAt: MaybeAt,
}
export const CaseView = Type.Object({
  ...caseFacts,
  members: Type.Array(Type.Object({ id: IdOf.person, name: Type.String(), role: MemberRole, since: At })),
})
export const CasesQuery = Type.Object({ status: Type.Optional(Status), limit: Limit, cursor: Cursor })
export type CasesQuery = Type.Static<typeof CasesQuery>
export const CasesPage = pageOf(Type.Object({ ...caseFacts, role: oneOf(memberRoles, 'Yours') }))

export const Membership = Type.Object({ role: MemberRole })
export const MemberView = Type.Object({ id: IdOf.person, name: Type.String(), role: MemberRole })

export const NewExhibit = Type.Object(
  {
    recordingId: Type.Optional(IdOf.recording),
    clipId: Type.Optional(IdOf.clip),
    reference: ExhibitReference,
    sensitivity: Sensitivity,
    description: Description,
  },
  { description: 'Exactly one of recordingId and clipId' },
)
export const ExhibitId = Type.Object({ id: IdOf.exhibit })
export const ExhibitChange = Type.Object({
  sensitivity: Type.Optional(Sensitivity),
  description: Type.Optional(Description),
  reason: Type.Optional(Reason),
})
const Elsewhere = Type.Union(
  [Type.Object({ id: IdOf.exhibit, caseId: IdOf.case, reference: Type.String() }), Type.Null()],
  { description: 'Null too where the other case is not yours to know of' },
)
export const ExhibitView = Type.Object({
  id: IdOf.exhibit,
  caseId: IdOf.case,
  recordingId: IdOf.recording,
  clipId: Type.Union([IdOf.clip, Type.Null()], { description: 'Null where the whole recording is the exhibit' }),
  reference: Type.String(),
  sensitivity: Sensitivity,
  description: Type.String(),
  addedAt: At,
  addedBy: Somebody,
  withdrawnAt: MaybeAt,
  withdrawnBecause: orNull({ type: 'string' }),
  movedFrom: Elsewhere,
  movedTo: Elsewhere,
})
export const ExhibitsQuery = Type.Object({
  withdrawn: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'Those that were withdrawn or moved away, in place of those in the case',
    }),
  ),
  limit: Limit,
  cursor: Cursor,
})
export type ExhibitsQuery = Type.Static<typeof ExhibitsQuery>
export const ExhibitsPage = pageOf(ExhibitView)
export const Withdrawal = Type.Object({ reason: Reason })
export const Move = Type.Object({ caseId: IdOf.case, reference: ExhibitReference, reason: Reason })

export const NewEvent = Type.Object({
  kind: oneOf(eventKinds, '`closed` closes the case'),
  on: day('The day it happened; only `released` may lie ahead'),
  note: Type.Optional(Note),
})
export const EventId = Type.Object({ id: IdOf.caseEvent })
const EventView = Type.Object({
  id: IdOf.caseEvent,
  kind: oneOf(eventKinds),
  on: Type.String({ format: 'date' }),
  note: orNull({ type: 'string' }),
  notedAt: At,
  by: Somebody,
  withdrawnAt: MaybeAt,
  withdrawnBecause: orNull({ type: 'string' }),
})
export const EventsPage = pageOf(EventView)
export const EventKeys = Type.Tuple([day('on'), IdOf.caseEvent])

export const PageQuery = Type.Object({ limit: Limit, cursor: Cursor })
export type PageQuery = Type.Static<typeof PageQuery>

export const HistoryPage = pageOf(
  Type.Object({
    id: Type.Unsafe<string>({ ...IdOf.entry, description: 'Of the entry in the ledger' }),
    at: At,
    action: Type.String(),
    subject: Type.Object({ type: oneOf(['case', 'exhibit']), id: Type.String() }),
    by: Type.Union([Somebody, Type.Null()], { description: 'Null where the ledger no longer says who' }),
    words: Type.String({ examples: ['AB/1 was put into the case.'] }),
    reason: orNull({ type: 'string' }),
  }),
)
