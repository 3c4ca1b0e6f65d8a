import { type RawBuilder, type SqlBool, sql } from 'kysely'
import { type EntryId, firstIdAt } from '../../base/ids.ts'
import type { SealedParts } from '../../engines/ledger-tables.ts'
import type { Db, Tx } from '../../engines/postgres.ts'
import type { Operation, Outcome } from '../entry.ts'
import { type Place, placesOf } from '../log/proofs.ts'

/** What an auditor asks by. The times are in the form of an entry's `at`: `from` belongs to the interval, `to` does not. */
export type EntryFilter = {
  actor?: string
  subject?: string
  operation?: Operation
  action?: string
  outcome?: Outcome
  from?: string
  to?: string
}

/** Each has an index that goes on by the id, in this order where nothing better is known of which of two is the rarer. */
const columns = {
  subject: 'subject_id',
  actor: 'actor_id',
  outcome: 'outcome',
  action: 'action',
  operation: 'operation',
} as const
type Word = keyof typeof columns
const words: readonly Word[] = ['subject', 'actor', 'outcome', 'action', 'operation']

/** A walk over the entries in the order of their ids. `after` was looked at already; `upTo` is the last to look at. */
export type Walk = {
  order: 'newest first' | 'oldest first'
  filter: EntryFilter
  /** The filter whose index is walked; the others are held against what it leads to. */
  lead: Word | undefined
  after?: EntryId | undefined
  upTo?: EntryId
}

/** So many rows one statement looks at, at most: however many there are, it takes a moment. */
export const reach = 20_000

/**
 * An entry's id is born just before its `at` is read, in a transaction that the database ends when it stands still for two
 * minutes: so far apart they can be, and a range of times is a range of ids.
 */
const apartMs = 120_000

const is = (filter: EntryFilter, word: Word): RawBuilder<SqlBool> => sql`${sql.ref(columns[word])} = ${filter[word]}`

const all = (conditions: RawBuilder<SqlBool>[]): RawBuilder<SqlBool> =>
  conditions.length === 0 ? sql`true` : sql`${sql.join(conditions, sql` and `)}`

const msOf = (at: string): number => Temporal.Instant.from(at).epochMilliseconds

/** Beyond every id. */
const [least, most] = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']

/** One bound at each end: of two, the database would begin at either, and go through all between them. */
const ends = ({
  order,
  filter,
  after,
  upTo,
}: Walk): { low: [way: '>=' | '>', id: string]; high: ['<=' | '<', string] } => {
  const from = filter.from === undefined ? least : firstIdAt(msOf(filter.from) - apartMs)
  const to = filter.to === undefined ? most : firstIdAt(msOf(filter.to) + apartMs)
  const last = upTo !== undefined && upTo < to ? upTo : to
  const newest = order === 'newest first'
  return {
    low: after !== undefined && !newest && after > from ? ['>', after] : ['>=', from],
    high: after !== undefined && newest && after < last ? ['<', after] : ['<=', last],
  }
}

/**
 * The stretch of the index that is walked. It is spelt as a stretch of pairs, not as `actor = … and id < …`: the latter the
 * database may also find by going through all ids, and would, for somebody who did much and stopped long ago.
 */
const stretch = (walk: Walk): RawBuilder<SqlBool> => {
  const { filter, lead } = walk
  const key = lead === undefined ? sql`id` : sql`(${sql.ref(columns[lead])}, id)`
  const at = (id: string) => (lead === undefined ? sql`${id}::uuid` : sql`(${filter[lead]}, ${id}::uuid)`)
  const { low, high } = ends(walk)
  return all([
    sql`${key} ${sql.raw(low[0])} ${at(low[1])}`,
    sql`${key} ${sql.raw(high[0])} ${at(high[1])}`,
    // In these words, which are those of its index.
    ...(lead === 'outcome' ? [sql<SqlBool>`outcome <> 'allowed'`] : []),
  ])
}

const inOrder = ({ order, lead }: Walk): RawBuilder<unknown> => {
  const way = sql.raw(order === 'newest first' ? 'desc' : 'asc')
  return lead === undefined ? sql`order by id ${way}` : sql`order by ${sql.ref(columns[lead])} ${way}, id ${way}`
}

/** Of what was erased only the birth of its id is known. */
const rest = (walk: Walk): RawBuilder<SqlBool>[] => {
  const { from, to } = walk.filter
  return [
    ...words
      .filter((word) => word !== walk.lead && walk.filter[word] !== undefined)
      .map((word) => is(walk.filter, word)),
    ...(from === undefined ? [] : [sql<SqlBool>`(at is null or at collate "C" >= ${from})`]),
    ...(to === undefined ? [] : [sql<SqlBool>`(at is null or at collate "C" < ${to})`]),
  ]
}

const along = (walk: Walk): RawBuilder<unknown> => sql`from entry_bodies where ${stretch(walk)} ${inOrder(walk)}`

/**
 * For the rest of the transaction the database walks along an index and does nothing else. Left to guess, it sorts all that
 * somebody ever did as soon as it takes that for little.
 */
export const walkByIndex = async (tx: Tx): Promise<void> => {
  await sql`select set_config(name, 'off', true) from unnest(${['enable_seqscan', 'enable_bitmapscan', 'enable_sort']}::text[]) as name`.execute(
    tx,
  )
}

/** The walk along the filter with the fewest entries, as far as they can be counted in a moment. */
export const leadBy = async (tx: Tx, walk: Omit<Walk, 'lead'>): Promise<Walk> => {
  const { filter } = walk
  const given = words.filter(
    (word) => filter[word] !== undefined && (word !== 'outcome' || filter.outcome !== 'allowed'),
  )
  let best: { lead: Word | undefined; rows: number } = { lead: given[0], rows: Number.POSITIVE_INFINITY }
  for (const lead of given.length > 1 ? given : []) {
    const counted = await sql<{ rows: number }>`
      select count(*) as rows from (select from entry_bodies where ${stretch({ ...walk, lead })} limit ${reach}) as them`.execute(
      tx,
    )
    const rows = counted.rows[0]?.rows ?? 0
    if (rows < best.rows) best = { lead, rows }
  }
  return { ...walk, lead: best.lead }
}

type Found = {
  ids: EntryId[]
  /** Up to where was looked: the walk goes on after it. Undefined at its end. */
  after: EntryId | undefined
}

/** Looks at the next entries of a walk, and finds `limit` at most. */
export const findEntries = async (tx: Tx, walk: Walk, limit: number): Promise<Found> => {
  const conditions = rest(walk)
  const looked = conditions.length === 0 ? limit : reach
  const { rows } = await sql<{ id: EntryId }>`
    select id from (select id, at, operation, action, outcome, subject_id, actor_id ${along(walk)} limit ${looked}) as looked
    where ${all(conditions)} ${inOrder(walk)} limit ${limit}`.execute(tx)
  const ids = rows.map(({ id }) => id)
  if (ids.length === limit) return { ids, after: ids.at(-1) }
  if (conditions.length === 0) return { ids, after: undefined }
  const edge = await sql<{ id: EntryId }>`select id ${along(walk)} offset ${looked - 1} limit 1`.execute(tx)
  return { ids, after: edge.rows[0]?.id }
}

export type EntryRow = {
  id: EntryId
  entry: string | null
  salt: Buffer | null
  parts: SealedParts
  erased: Record<string, EntryId>
  at: string | null
  operation: string | null
  action: string | null
  outcome: string | null
  subjectType: string | null
  subjectId: string | null
  leaf: Buffer
  /** Undefined while it is no leaf of a log. */
  place: Place | undefined
}

/** These entries, in this order; those that are not there are left out. */
export const entryRows = async (tx: Tx, ids: readonly EntryId[]): Promise<EntryRow[]> => {
  if (ids.length === 0) return []
  const bodies = await tx
    .selectFrom('entryBodies')
    .select(['id', 'entry', 'salt', 'parts', 'erased', 'at'])
    .select(['operation', 'action', 'outcome', 'subjectType', 'subjectId'])
    .where('id', 'in', ids)
    .execute()
  const leaves = await tx.selectFrom('entries').select(['id', 'leaf']).where('id', 'in', ids).execute()
  const places = await placesOf(tx, ids)
  const bodyOf = new Map(bodies.map((body) => [body.id, body]))
  const leafOf = new Map(leaves.map(({ id, leaf }) => [id, leaf]))
  return ids.flatMap((id) => {
    const [body, leaf] = [bodyOf.get(id), leafOf.get(id)]
    return body === undefined || leaf === undefined ? [] : [{ ...body, leaf, place: places.get(id) }]
  })
}

/** The greatest id there is now. */
export const newestEntry = async (db: Db): Promise<EntryId | undefined> =>
  (await db.selectFrom('entryBodies').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst())?.id
