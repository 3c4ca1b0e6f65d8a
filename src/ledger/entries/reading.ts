import { Value } from 'typebox/value'
import { cursorProblem, decodeCursor, encodeCursor } from '../../base/cursor.ts'
import { type EntryId, IdOf } from '../../base/ids.ts'
import { Problem } from '../../base/problem.ts'
import type { Engines } from '../../engines/engines.ts'
import { inTransaction } from '../../engines/postgres.ts'
import type { Actor } from '../entry.ts'
import { record } from '../record.ts'
import { type EntriesAsked, type EntryView, filterOf, viewOf } from './entries.ts'
import { entryRows, findEntries, leadBy, walkByIndex } from './queries.ts'

/** So often a list looks further on for one page. What is rarer takes several pages, some of which are short. */
const mostLooks = 8

const placeOf = (cursor: string): EntryId => {
  const [id] = decodeCursor(cursor)
  if (!Value.Check(IdOf.entry, id)) throw cursorProblem()
  return id
}

type ListAsked = EntriesAsked & { limit: number; cursor?: string }

/**
 * One page of the entries, newest first by their ids. That it was read is an entry before it is given. A page may be short,
 * or empty, and go on. Throws `bad-request` for a foreign cursor or a time that does not exist.
 */
export const listEntries = async (
  { db, clock }: Pick<Engines, 'db' | 'clock'>,
  by: Actor,
  { limit, cursor, ...asked }: ListAsked,
): Promise<{ items: EntryView[]; nextCursor: string | null }> => {
  const filter = filterOf(asked)
  const begin = cursor === undefined ? undefined : placeOf(cursor)
  return await inTransaction(db, async (tx) => {
    await walkByIndex(tx)
    let walk = await leadBy(tx, { order: 'newest first', filter, after: begin })
    const ids: EntryId[] = []
    for (let looks = 0; looks < mostLooks; looks++) {
      const found = await findEntries(tx, walk, limit + 1 - ids.length)
      ids.push(...found.ids)
      walk = { ...walk, after: found.after }
      if (found.after === undefined || ids.length > limit) break
    }
    const page = ids.slice(0, limit)
    const next = ids.length > limit ? page.at(-1) : walk.after
    const items = (await entryRows(tx, page)).map(viewOf)
    await record(tx, clock, {
      operation: 'consultation',
      action: 'entries.listed',
      subject: { type: 'entries', id: 'ledger' },
      actor: by,
      detail: {
        query: { ...filter, limit, after: begin },
        found: { count: items.length, newest: page.at(0), oldest: page.at(-1) },
      },
    })
    return { items, nextCursor: next === undefined ? null : encodeCursor([next]) }
  })
}

/** One entry; reading it is an entry too. Throws `not-found`. */
export const readEntry = async (
  { db, clock }: Pick<Engines, 'db' | 'clock'>,
  by: Actor,
  id: EntryId,
): Promise<EntryView> =>
  await inTransaction(db, async (tx) => {
    const [row] = await entryRows(tx, [id])
    if (row === undefined) throw new Problem('not-found')
    await record(tx, clock, {
      operation: 'consultation',
      action: 'entry.read',
      subject: { type: 'entry', id },
      actor: by,
    })
    return viewOf(row)
  })
