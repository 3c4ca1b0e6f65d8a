import { sql } from 'kysely'
import type { EntryId } from '../../base/ids.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Tx } from '../../engines/postgres.ts'

/** Nobody numbers and nobody publishes until the transaction ends. Whoever holds them up longer than this is told. */
export const lockOut = async (tx: Tx, number: number): Promise<LogRow | undefined> => {
  await sql`set local lock_timeout = '30s'`.execute(tx)
  await sql`select pg_advisory_xact_lock(hashtextextended('exhibit sequencer', 0))`.execute(tx)
  const query = tx.selectFrom('logs').selectAll().where('number', '=', number).where('toAt', 'is', null)
  return await query.forUpdate().executeTakeFirst()
}

/** Whether a worker publishes at this moment. */
export const isLeased = async (tx: Tx, number: number): Promise<boolean> => {
  const { rows } = await sql<{ leased: boolean }>`
    select publisher is not null and leased_until > clock_timestamp() as leased from logs where number = ${number}`.execute(
    tx,
  )
  return rows[0]?.leased ?? false
}

/** Makes the leaf data of the entries that wait searchable, for this transaction. */
export const indexOwed = async (tx: Tx): Promise<void> => {
  await sql`
    create temporary table owed_leaf_data on commit drop as
    select entries.leaf, entries.id as entry from unsequenced join entries on entries.id = unsequenced.entry`.execute(
    tx,
  )
  await sql`create index on owed_leaf_data (leaf)`.execute(tx)
  await sql`analyze owed_leaf_data`.execute(tx)
}

export type Found = { index: number; leaf: Buffer; entry: EntryId | null }

/** Of leaves from `first` on, the waiting entry that has the very leaf data, if there is one. */
export const findOwed = async (tx: Tx, first: number, leaves: readonly Buffer[]): Promise<Found[]> => {
  const { rows } = await sql<{ leaf: Buffer; entry: EntryId }>`
    select distinct on (leaf) leaf, entry from owed_leaf_data where leaf = any(${leaves}::bytea[]) order by leaf, entry`.execute(
    tx,
  )
  const entries = new Map(rows.map(({ leaf, entry }) => [leaf.toString('hex'), entry]))
  return leaves.map((leaf, n) => ({ index: first + n, leaf, entry: entries.get(leaf.toString('hex')) ?? null }))
}

/** Makes leaves of them. Those with an entry no longer wait. */
export const insertLeaves = async (tx: Tx, log: number, found: readonly Found[]): Promise<void> => {
  await sql`
    insert into leaves (log, index, entry)
    select ${log}, index, entry from unnest(${found.map(({ index }) => index)}::bigint[], ${found.map(({ entry }) => entry)}::uuid[]) as found (index, entry)`.execute(
    tx,
  )
  const lost = found.filter(({ entry }) => entry === null)
  await sql`
    insert into lost_leaves (log, index, leaf)
    select ${log}, index, leaf from unnest(${lost.map(({ index }) => index)}::bigint[], ${lost.map(({ leaf }) => leaf)}::bytea[]) as lost (index, leaf)`.execute(
    tx,
  )
  const entries = found.flatMap(({ entry }) => (entry === null ? [] : [entry]))
  await sql`delete from unsequenced where entry = any(${entries}::uuid[])`.execute(tx)
}

/** Whether the error is that a lock was waited for in vain. */
export const isWaitOver = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === '55P03'
