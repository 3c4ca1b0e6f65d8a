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
import { actsAfter, allActs, scopeOf, type Telling, type Told, untilNow } from './story.ts'

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
  { format, continued = false }: { format: 'json' | 'pdf'; continued?: boolean },
): Promise<Opened> => {
  const { clock, db } = engines
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
        ...(continued ? { continued } : {}),
      },
    })
    return { facts, entry, at }
  })
  return opened ?? (await refuse(engines, person, subject))
}

/** `until` is where it ends, undefined for a story that is begun with this reading. */
const tellingTo = async (
  { db }: Engines,
  person: Person,
  { facts, entry }: Opened,
  begunUntil?: EntryId,
): Promise<Telling> => {
  const scope = await scopeOf(db, facts.recording, facts.clip?.id ?? null)
  const until = begunUntil ?? (await untilNow(db, scope, entry))
  const memberOf = await memberships(db, person.id)
  const see = sightOf({ id: person.id, roles: person.roles, memberOf })
  return { scope, facts, logs: await logViews(db), see, until, named: true }
}

/** How far the pages before told it, and where all of them end: each page that is read is an act more. */
const placeOf = (cursor: string): { told: Told; until: EntryId } => {
  const [known, on = '', until] = decodeCursor(cursor)
  if (known !== '' && !Value.Check(IdOf.entry, known)) throw cursorProblem()
  if (!/^\d{1,7}$/.test(on) || !Value.Check(IdOf.entry, until)) throw cursorProblem()
  return { told: { known: known === '' ? undefined : known, on: Number(on) }, until }
}

const cursorAt = ({ known, on }: Told, until: EntryId): string => encodeCursor([known ?? '', String(on), until])

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
  const opened = await open(engines, person, subject, { format: 'json', continued: place !== undefined })
  const telling = await tellingTo(engines, person, opened, place?.until)
  const { acts, next } = await actsAfter(engines.db, telling, place?.told, limit)
  return {
    subject,
    facts: opened.facts,
    logs: telling.logs,
    acts,
    nextCursor: next === null ? null : cursorAt(next, telling.until),
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
  const opened = await open(engines, person, subject, { format: 'pdf' })
  const { facts, entry, at } = opened
  const telling = await tellingTo(engines, person, opened)
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
