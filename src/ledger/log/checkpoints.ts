import type { CheckpointRow } from '../../engines/ledger-tables.ts'
import type { Db } from '../../engines/postgres.ts'
import { newestCheckpointRow } from './queries.ts'

/** A published checkpoint; `note` has the log's signature and below it the cosignatures of witnesses. */
export type Checkpoint = Pick<CheckpointRow, 'log' | 'size' | 'root' | 'note'>

const cosignaturesOf = async (db: Db, log: number, size: number): Promise<string> => {
  const query = db.selectFrom('cosignatures').select('line').where('log', '=', log).where('size', '=', size)
  return (await query.orderBy('witness').execute()).map(({ line }) => line).join('')
}

const cosigned = async (db: Db, { log, size, root, note }: CheckpointRow): Promise<Checkpoint> => ({
  log,
  size,
  root,
  note: note + (await cosignaturesOf(db, log, size)),
})

export const newestCheckpoint = async (db: Db, log: number): Promise<Checkpoint | undefined> => {
  const row = await newestCheckpointRow(db, log)
  return row === undefined ? undefined : await cosigned(db, row)
}

/** The checkpoint of exactly this size, as it is signed by now. Throws when none was published. */
export const checkpointAt = async (db: Db, log: number, size: number): Promise<Checkpoint> => {
  const query = db.selectFrom('checkpoints').selectAll().where('log', '=', log).where('size', '=', size)
  return await cosigned(db, await query.executeTakeFirstOrThrow())
}

export const noteOf = async (db: Db, log: number, size: number): Promise<string> =>
  (await checkpointAt(db, log, size)).note
