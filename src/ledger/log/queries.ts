import { sql } from 'kysely'
import type { EntryId } from '../../base/ids.ts'
import type { CheckpointRow, LogRow } from '../../engines/ledger-tables.ts'
import type { Db } from '../../engines/postgres.ts'

/** So long at most a publisher that was killed keeps the others from publishing. */
const leaseSeconds = 5

/**
 * Takes or keeps the lease of publishing. Undefined when another holds it, or nothing may be published. A lease further
 * ahead than any can be was written before the clock jumped back: it holds nobody up.
 */
export const takeLease = async (db: Db, publisher: string): Promise<LogRow | undefined> => {
  const { rows } = await sql<LogRow>`
    update logs set publisher = ${publisher}, leased_until = clock_timestamp() + make_interval(secs => ${leaseSeconds})
    where to_at is null and halted is null
      and (publisher is null or publisher = ${publisher} or leased_until < clock_timestamp()
        or leased_until > clock_timestamp() + make_interval(secs => ${leaseSeconds}))
    returning *`.execute(db)
  return rows[0]
}

export const endLease = async (db: Db, publisher: string): Promise<void> => {
  await db.updateTable('logs').set({ publisher: null, leasedUntil: null }).where('publisher', '=', publisher).execute()
}

/** Whether nobody took over from this publisher. */
export const holdsLease = async (db: Db, log: number, publisher: string): Promise<boolean> => {
  const query = db.selectFrom('logs').select('number').where('number', '=', log).where('publisher', '=', publisher)
  return (await query.executeTakeFirst()) !== undefined
}

/** Stops everything that sequences, in words, until `exhibit ledger recover`. The first reason stays. */
export const halt = async (db: Db, log: number, why: string): Promise<void> => {
  await db.updateTable('logs').set({ halted: why }).where('number', '=', log).where('halted', 'is', null).execute()
}

/** Makes leaves of what is owed, `most` at once, in a transaction of its own; answers how many. */
export const numberEntries = async (db: Db, most: number): Promise<number> =>
  await db.transaction().execute(async (tx) => {
    // Whoever is frozen in here holds the lock: not for long.
    await sql`set local idle_in_transaction_session_timeout = '5s'`.execute(tx)
    const { rows } = await sql<{ numbered: number }>`select number_entries(${most}) as numbered`.execute(tx)
    return rows[0]?.numbered ?? 0
  })

/** How many leaves the log has, published or not. */
export const numberedSize = async (db: Db, log: number): Promise<number> => {
  const row = await db
    .selectFrom('leaves')
    .select('index')
    .where('log', '=', log)
    .orderBy('index', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row === undefined ? 0 : row.index + 1
}

/** Null where the leaf is one of a lost entry; undefined where there is no such leaf. */
export const entryOfLeaf = async (db: Db, log: number, index: number): Promise<EntryId | null | undefined> =>
  (await db.selectFrom('leaves').select('entry').where('log', '=', log).where('index', '=', index).executeTakeFirst())
    ?.entry

/** Entries that are no leaves yet. */
export const owedLeaves = async (db: Db): Promise<number> => {
  const { count } = await db
    .selectFrom('unsequenced')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return count
}

export const oldestOwed = async (db: Db): Promise<EntryId | undefined> =>
  (await db.selectFrom('unsequenced').select('entry').orderBy('entry').limit(1).executeTakeFirst())?.entry

export const isAnythingOwed = async (db: Db): Promise<boolean> => (await oldestOwed(db)) !== undefined

/** Leaf data by its index, from `from` up to but without `to`; null where an entry is no longer there. */
export const leafData = async (db: Db, log: number, from: number, to: number): Promise<(Buffer | null)[]> => {
  const rows = await db
    .selectFrom('leaves')
    .leftJoin('entries', 'entries.id', 'leaves.entry')
    .leftJoin('lostLeaves', (join) =>
      join.onRef('lostLeaves.log', '=', 'leaves.log').onRef('lostLeaves.index', '=', 'leaves.index'),
    )
    .select(['leaves.index', 'entries.leaf', 'lostLeaves.leaf as lost'])
    .where('leaves.log', '=', log)
    .where('leaves.index', '>=', from)
    .where('leaves.index', '<', to)
    .orderBy('leaves.index')
    .execute()
  return rows.map(({ leaf, lost }) => leaf ?? lost)
}

export const newestCheckpointRow = async (db: Db, log: number): Promise<CheckpointRow | undefined> =>
  await db
    .selectFrom('checkpoints')
    .selectAll()
    .where('log', '=', log)
    .orderBy('size', 'desc')
    .limit(1)
    .executeTakeFirst()

/** The first leaf of each log, with the body of its entry. */
export const firstEntries = async (db: Db) =>
  await db
    .selectFrom('leaves')
    .innerJoin('entryBodies', 'entryBodies.id', 'leaves.entry')
    .select(['leaves.log', 'entryBodies.action', 'entryBodies.entry', 'entryBodies.salt', 'entryBodies.parts'])
    .where('leaves.index', '=', 0)
    .where('leaves.log', 'in', db.selectFrom('logs').select('number'))
    .execute()

export const placesOfEntries = async (db: Db, entries: readonly EntryId[]) =>
  entries.length === 0
    ? []
    : await db
        .selectFrom('leaves')
        .innerJoin('logs', 'logs.number', 'leaves.log')
        .select(['leaves.entry', 'leaves.log', 'leaves.index', 'logs.origin'])
        .select((eb) =>
          eb
            .selectFrom('checkpoints')
            .select((of) => of.fn.max('checkpoints.size').as('size'))
            .whereRef('checkpoints.log', '=', 'leaves.log')
            .as('published'),
        )
        .where('leaves.entry', 'in', entries)
        .execute()
