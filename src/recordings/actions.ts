import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor } from '../base/cursor.ts'
import { IdOf, type RecordingId } from '../base/ids.ts'
import { Problem } from '../base/problem.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction } from '../engines/postgres.ts'
import { record } from '../ledger/record.ts'
import { recordRefusal } from '../ledger/refusals.ts'
import { cutPage, defaultLimit } from '../people/page.ts'
import type { Permission } from '../people/permissions.ts'
import { actor, type Person } from '../people/person.ts'
import { cataloguePage, catalogueRow, type Place, recordingExists } from './queries.ts'
import { listedStatuses, viewOf } from './recording.ts'
import type { RecordingsQuery } from './schemas.ts'

const Keys = Type.Tuple([Type.String({ pattern: '^(\\d{1,18}|-\\d{1,17})$' }), IdOf.recording])

const placeOf = (cursor: string): Place => {
  const keys: unknown = decodeCursor(cursor)
  if (!Value.Check(Keys, keys)) throw cursorProblem()
  const [micros, id] = keys
  return { micros, id }
}

const timeOf = (text: string, name: string): Date => {
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) throw new Problem('bad-request', `${name} is not a time that exists.`)
  return at
}

/**
 * One page of the recordings that this person may know of, newest first. The search, and what it found, is an entry
 * before the page is given. Throws `bad-request` for a foreign cursor.
 */
export const listRecordings = async ({ db, clock }: Engines, person: Person, query: RecordingsQuery) => {
  const { limit = defaultLimit, cursor, status, from, to, ...plain } = query
  const after = cursor === undefined ? undefined : placeOf(cursor)
  const filters = {
    ...plain,
    ...(from === undefined ? {} : { from: timeOf(from, 'from') }),
    ...(to === undefined ? {} : { to: timeOf(to, 'to') }),
    statuses: status === undefined ? listedStatuses : [status],
  }
  // The cursor is the caller's text; what it stands for is kept in its place.
  const { cursor: _, ...asked } = { ...query, limit, ...(after === undefined ? {} : { after: after.id }) }
  return await inTransaction(db, async (tx) => {
    const rows = await cataloguePage(tx, person, filters, after, limit + 1)
    const page = cutPage(
      rows,
      limit,
      ({ micros, ...row }) => viewOf(row),
      ({ micros, id }) => [micros, id],
    )
    await record(tx, clock, {
      operation: 'consultation',
      action: 'recording.list',
      subject: { type: 'recordings', id: 'catalogue' },
      actor: actor(person, 'recording.list'),
      detail: { query: asked, found: page.items.map(({ id }) => id) },
    })
    return page
  })
}

/** A recording's catalogue facts; reading them is an entry. Throws `not-found`. */
export const readRecording = async (engines: Engines, person: Person, id: RecordingId) => {
  const { db, clock } = engines
  const row = await inTransaction(db, async (tx) => {
    const found = await catalogueRow(tx, person, id)
    if (found !== undefined) {
      await record(tx, clock, {
        operation: 'consultation',
        action: 'recording.read',
        subject: { type: 'recording', id },
        actor: actor(person, 'recording.read'),
      })
    }
    return found
  })
  return row === undefined ? await refuseUnseen(engines, person, id, 'recording.read') : viewOf(row)
}

/**
 * Answers `not-found` to someone who may not know of a recording. Where there is one, the refusal is recorded; never call
 * it inside a transaction, which would not keep that.
 */
export const refuseUnseen = async (
  engines: Engines,
  person: Person,
  id: RecordingId,
  action: Permission,
): Promise<never> => {
  if (await recordingExists(engines.db, id)) {
    await recordRefusal(engines, {
      operation: 'consultation',
      action,
      subject: { type: 'recording', id },
      actor: actor(person, action),
    })
  }
  throw new Problem('not-found')
}
