import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { IdOf, type RecordingId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import { iso } from '../base/time.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import type { PurgeItemRow } from '../engines/retention-tables.ts'
import { record } from '../ledger/record.ts'
import { cutPage } from '../people/page.ts'
import { actor, type Person } from '../people/person.ts'
import { seesAll } from '../people/visibility.ts'
import { refuseUnseen } from '../recordings/actions.ts'
import { catalogueRow } from '../recordings/queries.ts'
import { dateOf, type Rule, type When } from './date.ts'
import { openItem } from './hold-queries.ts'
import { checkDay, dayOf } from './period.ts'
import { erasureOf } from './purge-queries.ts'
import { type Subject, subjectById } from './queries.ts'
import { type Candidate, candidates, isBy } from './sources.ts'

const dayIn = (when: When, zone: string): string | null => (when === 'keep' ? null : dayOf(when, zone))

const momentOf = (when: When): string | null => (when === 'keep' ? null : iso(new Date(when.epochMilliseconds)))

const ruleView = ({ rule, when, words }: Rule, zone: string) => ({ rule, date: dayIn(when, zone), words })

const inOneSentence = (
  { status }: Subject,
  { when, words }: Rule,
  item: PurgeItemRow | undefined,
  zone: string,
): string => {
  if (status === 'erased') return 'It was erased. What is left is the proof of it.'
  if (status === 'received' || status === 'quarantined')
    return `It is ${status}: retention takes only what is in custody.`
  if (item?.state === 'erasing') return 'Its erasure has begun: it is neither served nor restored.'
  if (item !== undefined) {
    const until = dayOf(Temporal.Instant.fromEpochMilliseconds(item.graceUntil.getTime()), zone)
    const kept = when === 'keep' ? ` It is not erased as long as this holds: ${words}` : ''
    return `It is hidden, and can be restored until it is erased, on ${until} at the earliest.${kept}`
  }
  return when === 'keep' ? `It is kept. ${words}` : `It may be destroyed from ${dayOf(when, zone)} on. ${words}`
}

/**
 * When a recording may be destroyed, in words, with every rule that was beaten; an officer is not told why it is held.
 * Asking is an entry. Throws `not-found`.
 */
export const explainDate = async (engines: Engines, person: Person, id: RecordingId) => {
  const { clock, config, db } = engines
  const zone = config.RETENTION_TIME_ZONE
  const answer = await inTransaction(db, async (tx) => {
    const subject = (await catalogueRow(tx, person, id)) === undefined ? undefined : await subjectById(tx, id)
    if (subject === undefined) return undefined
    await record(tx, clock, {
      operation: 'consultation',
      action: 'retention.read',
      subject: { type: 'recording', id },
      actor: actor(person, 'retention.read'),
    })
    const { facts } = subject
    const holds = facts.holds.map((hold) => (seesAll(person) ? hold : { ...hold, kind: null, reviewOn: null }))
    const { when, decided, beaten } = dateOf({ ...facts, holds }, zone)
    const item = await openItem(tx, id)
    return {
      recordingId: id,
      status: subject.status,
      date: dayIn(when, zone),
      at: momentOf(when),
      words: inOneSentence(subject, decided, item, zone),
      decidedBy: ruleView(decided, zone),
      beaten: beaten.map((rule) => ({ ...ruleView(rule, zone), beatenBy: rule.beatenBy })),
      grace:
        item === undefined
          ? null
          : {
              until: iso(item.graceUntil),
              restorable: item.state !== 'erasing',
              said: seesAll(person) ? item.said : null,
            },
    }
  })
  return answer ?? (await refuseUnseen(engines, person, id, 'retention.read'))
}

const Keys = Type.Tuple([
  Type.String(),
  Type.String({ pattern: '^[0-9-]{8,20} [0-9:.]{8,20}[+-][0-9:]{2,9}( BC)?$' }),
  IdOf.recording,
])

const placeOf = (cursor: string): { source: string; after: { place: string; id: RecordingId } } => {
  const keys: unknown = decodeCursor(cursor)
  if (!Value.Check(Keys, keys)) throw cursorProblem()
  const [source, place, id] = keys
  return { source, after: { place, id } }
}

/** Periods are taken off the day that is asked for, and what is left has to be one that the database can write. */
const askedYears = { first: 1900, last: 2399 }

/** The first moment after that day, or now when none is named. */
const endOf = (on: string | undefined, { clock, config }: Engines): Temporal.Instant => {
  if (on === undefined) return clock.instant()
  const asked = checkDay(on, '`on`')
  const { first, last } = askedYears
  if (asked.year < first || asked.year > last)
    throw new Problem('bad-request', `\`on\` lies outside the years ${first} to ${last}.`)
  const day = asked.add({ days: 1 })
  return day.toZonedDateTime(config.RETENTION_TIME_ZONE).toInstant().subtract({ milliseconds: 1 })
}

/** One page of what is due by the end of a day (or now): by category, what began to count first comes first. Asking is an entry. */
export const listDue = async (
  engines: Engines,
  person: Person,
  { on, limit, cursor }: { on: string | undefined; limit: number; cursor: string | undefined },
) => {
  const { clock, config, db } = engines
  const zone = config.RETENTION_TIME_ZONE
  const until = endOf(on, engines)
  const from = cursor === undefined ? undefined : placeOf(cursor)
  const found: Candidate[] = []
  for await (const page of candidates(db, until, zone, from)) {
    found.push(...page.filter(({ verdict }) => isBy(verdict.when, until)))
    if (found.length > limit) break
  }
  const page = cutPage(
    found,
    limit,
    ({ subject, verdict }) => {
      if (verdict.when === 'keep') throw new Error('what is kept is not due')
      const { id: recordingId, recordedAt, size, facts } = subject
      const { words } = verdict.decided
      const at = iso(new Date(verdict.when.epochMilliseconds))
      return {
        recordingId,
        category: facts.category,
        recordedAt: iso(recordedAt),
        size,
        date: dayOf(verdict.when, zone),
        at,
        words,
      }
    },
    ({ subject, source }) => [source, subject.place, subject.id],
  )
  await inTransaction(db, async (tx) => {
    await record(tx, clock, {
      operation: 'consultation',
      action: 'retention.due',
      subject: { type: 'recordings', id: 'catalogue' },
      actor: actor(person, 'retention.due'),
      detail: { ...(on === undefined ? {} : { on }), found: page.items.map(({ recordingId }) => recordingId) },
    })
  })
  return page
}

/** The signed proof of an erasure; reading it is an entry. Throws `not-found`, `conflict` for what was not erased. */
export const readErasure = async (engines: Engines, person: Person, id: RecordingId): Promise<string> => {
  const { clock, db } = engines
  const found = await inTransaction(db, async (tx) => {
    const recording = await catalogueRow(tx, person, id)
    if (recording === undefined) return undefined
    const erasure = await erasureOf(tx, id)
    if (erasure === undefined)
      return new Problem('conflict', `The recording is ${recording.status}: it was not erased.`)
    await record(tx, clock, {
      operation: 'consultation',
      action: 'erasure.read',
      subject: { type: 'recording', id },
      actor: actor(person, 'erasure.read'),
    })
    return erasure.jws
  })
  if (found === undefined) return await refuseUnseen(engines, person, id, 'erasure.read')
  if (found instanceof Problem) throw found
  return found
}
