import { sql } from 'kysely'
import type { EntryId } from '../../base/ids.ts'
import type { CheckpointRow, SealedParts } from '../../engines/ledger-tables.ts'
import type { Db } from '../../engines/postgres.ts'
import type { Body } from './body.ts'

export type LeafRow = { index: number; entry: EntryId | null; lost: Buffer | null }

/** The next leaves of a log from `from` on, before `to`. */
export const leafRows = async (db: Db, log: number, from: number, to: number, most: number): Promise<LeafRow[]> =>
  await db
    .selectFrom('leaves')
    .leftJoin('lostLeaves', (join) =>
      join.onRef('lostLeaves.log', '=', 'leaves.log').onRef('lostLeaves.index', '=', 'leaves.index'),
    )
    .select(['leaves.index', 'leaves.entry', 'lostLeaves.leaf as lost'])
    .where('leaves.log', '=', log)
    .where('leaves.index', '>=', from)
    .where('leaves.index', '<', to)
    .orderBy('leaves.index')
    .limit(most)
    .execute()

type LeafData = { id: EntryId; leaf: Buffer }

const fewIds = 64

/** Leaf data by the id of its entry; of others too where they lie between. */
export const leafDataOf = async (db: Db, ids: readonly EntryId[]): Promise<Map<EntryId, Buffer>> => {
  const raw = db.withoutPlugins()
  const mapped = (rows: readonly LeafData[]) => new Map(rows.map(({ id, leaf }) => [id, leaf]))
  // Leaves that follow each other are of entries that do, nearly always. For an array the database looks through all months
  // once for each id while it plans.
  if (ids.length > fewIds) {
    const sorted = ids.toSorted()
    const most = 2 * ids.length
    const { rows } = await sql<LeafData>`
      select id, leaf from entries where id >= ${sorted[0]}::uuid and id <= ${sorted.at(-1)}::uuid limit ${most}`.execute(
      raw,
    )
    if (rows.length < most) return mapped(rows)
  }
  // One by one: joined as the database pleases, it reads all months.
  const { rows } = await sql<LeafData>`
    select id, leaf from unnest(${ids}::uuid[]) as wanted (id), lateral (select leaf from entries where entries.id = wanted.id offset 0) as one`.execute(
    raw,
  )
  return mapped(rows)
}

export const bodiesOf = async (db: Db, ids: readonly EntryId[]): Promise<Map<EntryId, Body>> => {
  const { rows } = await sql<Body>`
    select id, entry, salt, parts, nullif(erased, '{}') as erased from entry_bodies where id = any(${ids}::uuid[])`.execute(
    db.withoutPlugins(),
  )
  return new Map(rows.map((body) => [body.id, body]))
}

/** Entries that are leaves of a log, or wait to be. */
export const sequencedOf = async (db: Db, ids: readonly EntryId[]): Promise<Set<EntryId>> => {
  const { rows } = await sql<{ entry: EntryId }>`
    select entry from leaves where entry = any(${ids}::uuid[])
    union all select entry from unsequenced where entry = any(${ids}::uuid[])`.execute(db)
  return new Set(rows.map(({ entry }) => entry))
}

export type ErasureRow = { erasure: EntryId; entry: EntryId; part: string; type: string; id: string }

/** What stories are told by of these erasures. */
export const erasureRowsOf = async (db: Db, ids: readonly EntryId[]): Promise<Map<EntryId, ErasureRow>> => {
  const { rows } = await sql<ErasureRow>`
    select erasure, entry, part, subject_type as type, subject_id as id from entry_erasures
    where erasure = any(${ids}::uuid[])`.execute(db)
  return new Map(rows.map((row) => [row.erasure, row]))
}

/** The next of them after one, each with the erasure that the body of its entry names for the part. */
export const erasureRows = async (db: Db, after: string, most: number) => {
  const { rows } = await sql<Pick<ErasureRow, 'erasure' | 'entry' | 'part'> & { named: string | null }>`
    with step as materialized (
      select erasure, entry, part from entry_erasures where erasure > ${after}::uuid order by erasure limit ${most}
    )
    select *, (select erased ->> step.part from entry_bodies where id = step.entry) as named from step
    order by erasure`.execute(db)
  return rows
}

/** Checkpoints of more than `after` leaves, the smallest first. */
export const checkpointRows = async (db: Db, log: number, after: number, most: number): Promise<CheckpointRow[]> =>
  await db
    .selectFrom('checkpoints')
    .selectAll()
    .where('log', '=', log)
    .where('size', '>', after)
    .orderBy('size')
    .limit(most)
    .execute()

/** The largest checkpoint of fewer than `below` leaves, or of all. */
export const newestCheckpointBefore = async (
  db: Db,
  log: number,
  below?: number,
): Promise<CheckpointRow | undefined> => {
  const query = db.selectFrom('checkpoints').selectAll().where('log', '=', log)
  const asked = below === undefined ? query : query.where('size', '<', below)
  return await asked.orderBy('size', 'desc').limit(1).executeTakeFirst()
}

/** Of each witness the largest size that it is known to have seen, and the line of its newest cosignature. */
export const witnessedSizes = async (db: Db, log: number): Promise<{ witness: string; size: number }[]> => {
  const { rows } = await sql<{ witness: string; size: number }>`
    select witness, max(size) as size from (
      select witness, size from witness_sizes where log = ${log}
      union all select witness, size from cosignatures where log = ${log}
    ) as seen group by witness order by witness`.execute(db)
  return rows
}

export type CosignatureRow = { size: number; witness: string; line: string; note: string }

/** Cosignatures after one of them, each with the checkpoint's note without any. */
export const cosignatureRows = async (
  db: Db,
  log: number,
  after: { size: number; witness: string },
  most: number,
): Promise<CosignatureRow[]> => {
  const { rows } = await sql<CosignatureRow>`
    select size, witness, line, note from cosignatures join checkpoints using (log, size)
    where log = ${log} and (size, witness) > (${after.size}::bigint, ${after.witness}) order by size, witness limit ${most}`.execute(
    db,
  )
  return rows
}

/** What the entries of recoveries say, as far as it was not erased. */
export const recoveries = async (db: Db): Promise<SealedParts[]> => {
  const query = db.selectFrom('entryBodies').select('parts').where('action', '=', 'ledger.recovered').orderBy('id')
  return (await query.execute()).map(({ parts }) => parts)
}
