import { type EntryId, type JobId, newId } from '../base/ids.ts'
import type { Clock } from '../engines/clock.ts'
import type { Tx } from '../engines/postgres.ts'
import type { Catalogue, JobName } from './catalogue.ts'
import { hasten, insertJob } from './queries.ts'

/**
 * Owes work, in the transaction that causes it: both commit or neither does. `cause` is the entry it follows from.
 * It is done as soon as a worker is free, or from `dueAt` on. A relay hears of it when the transaction commits.
 */
export const owe = async <Name extends JobName>(
  tx: Tx,
  clock: Clock,
  name: Name,
  payload: Catalogue[Name],
  { cause, dueAt }: { cause: EntryId | null; dueAt?: Date },
): Promise<JobId> => {
  const id = newId<JobId>()
  await insertJob(tx, { id, name, payload: JSON.stringify(payload), cause, createdAt: clock.now() }, dueAt)
  return id
}

/** Owes work unless the same is owed and not begun: until the transaction ends nobody begins that, and then it is due. */
export const oweOnce = async <Name extends JobName>(
  tx: Tx,
  clock: Clock,
  name: Name,
  payload: Catalogue[Name],
  { cause }: { cause: EntryId | null },
): Promise<void> => {
  if (!(await hasten(tx, name, JSON.stringify(payload)))) await owe(tx, clock, name, payload, { cause })
}
