import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor, encodeCursor } from '../base/cursor.ts'
import { type EntryId, IdOf } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { recordingOfClip } from '../clips/queries.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { defaultLimit } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { refuseUnseen } from '../recordings/actions.ts'
import type { Act } from './act.ts'
import { checkOnline } from './checking.ts'
import { type Facts, factsAbout, type Subject } from './facts.ts'
import { logViews } from './log-view.ts'
import { memberships } from './queries.ts'
import type { StoryQuery } from './schemas.ts'
import { sightOf } from './sight.ts'
import type { Statement } from './statement.ts'
import { actsAfter, allActs, endOfMoment, scopeOf, type Telling } from './story.ts'

const refuse = async (engines: Engines, person: Person, subject: Subject): Promise<never> => {
  const recording = subject.type === 'recording' ? subject.id : await recordingOfClip(engines.db, subject.id)
  if (recording === undefined) throw new Problem('not-found')
  return await refuseUnseen(engines, person, recording, 'custody.read')
}

type Opened = { facts: Facts; entry: EntryId; at: Date }

/** That a story is read is an entry before any of it is given. Throws `not-found`. */
const open = async (
  engines: Engines,
  person: Person,
  subject: Subject,
  how: { format: 'json' | 'pdf'; after?: EntryId | undefined },
): Promise<Opened> => {
  const { clock, db } = engines
  const { format, after } = how
  const at = clock.now()
  const opened = await inTransaction(db, async (tx) => {
    const facts = await factsAbout(tx, subject, person)
    if (facts === undefined) return undefined
    const entry = await record(tx, clock, {
      operation: 'consultation',
      action: 'custody.read',
      subject: { type: 'recording', id: facts.recording },
      actor: actor(person, 'custody.read'),
      detail: {
        format,
        ...(subject.type === 'clip' ? { clip: subject.id } : {}),
        ...(after === undefined ? {} : { after }),
      },
    })
    return { facts, entry, at }
  })
  return opened ?? (await refuse(engines, person, subject))
}

const tellingTo = async ({ db }: Engines, person: Person, facts: Facts, until: EntryId): Promise<Telling> => {
  const scope = await scopeOf(db, facts.recording, facts.clip?.id ?? null)
  const memberOf = await memberships(db, person.id)
  const see = sightOf({ id: person.id, roles: person.roles, memberOf })
  return { scope, facts, logs: await logViews(db), see, until, named: true }
}

/** Where the next page begins, and where all of them end: each page that is read is an act more. */
const placeOf = (cursor: string): { after: EntryId; until: EntryId } => {
  const [after, until] = decodeCursor(cursor)
  if (!Value.Check(IdOf.entry, after) || !Value.Check(IdOf.entry, until)) throw cursorProblem()
  return { after, until }
}

export type Story = {
  subject: Subject
  facts: Facts
  logs: Telling['logs']
  acts: Act[]
  nextCursor: string | null
}

/**
 * One page of the story of a recording or a clip: every act that this person may be told of, and the places of the others,
 * oldest first. Reading it is an entry, up to which it is told. Throws `not-found`, `bad-request`.
 */
export const readStory = async (
  engines: Engines,
  person: Person,
  subject: Subject,
  query: StoryQuery,
): Promise<Story> => {
  const { limit = defaultLimit, cursor } = query
  const place = cursor === undefined ? undefined : placeOf(cursor)
  const { facts, entry } = await open(engines, person, subject, { format: 'json', after: place?.after })
  const until = place?.until ?? endOfMoment(entry)
  const telling = await tellingTo(engines, person, facts, until)
  const { acts, next } = await actsAfter(engines.db, telling, place?.after, limit)
  return {
    subject,
    facts,
    logs: telling.logs,
    acts,
    nextCursor: next === null ? null : encodeCursor([next, until]),
  }
}

const addressOf = ({ config }: Engines, { type, id }: Subject): string =>
  `${config.PUBLIC_URL}/api/v1/${type === 'recording' ? 'recordings' : 'clips'}/${id}/custody`

/**
 * The whole story as a continuity statement: all of it but the acts, and the acts as they are read. The reading is an entry
 * before. Throws `not-found`.
 */
export const makeStatement = async (
  engines: Engines,
  person: Person,
  subject: Subject,
): Promise<{ statement: Statement; acts: AsyncGenerator<Act[]> }> => {
  const { facts, entry, at } = await open(engines, person, subject, { format: 'pdf' })
  const telling = await tellingTo(engines, person, facts, endOfMoment(entry))
  const { config, db } = engines
  const statement = {
    ...{ subject, facts, entry },
    logs: telling.logs,
    madeAt: at.toISOString(),
    madeFor: `${person.name} (${person.id})`,
    holder: config.RECEIPT_ISSUER,
    checking: checkOnline(config.PUBLIC_URL, addressOf(engines, subject)),
  }
  return { statement, acts: allActs(db, telling) }
}
