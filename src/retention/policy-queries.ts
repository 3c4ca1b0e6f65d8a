import { type Insertable, sql } from 'kysely'
import type { PersonId, PolicyId, RecordingId, SimulationId } from '../base/ids.ts'
import type { Db, Tx } from '../engines/postgres.ts'
import type { PolicyRow, SimulationCounts, SimulationRow, SimulationState } from '../engines/retention-tables.ts'
import type { Tables } from '../engines/tables.ts'

/** Drafts and approvals of one category's policies happen one after the other. Held until the transaction ends. */
export const lockCategory = async (tx: Tx, category: string | null): Promise<void> => {
  const name = category === null ? 'policies of none' : `policies of ${category}`
  await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(tx)
}

export const newestVersion = async (tx: Tx, category: string | null): Promise<number> => {
  const { version } = await tx
    .selectFrom('policies')
    .select((eb) => eb.fn.max<number | null>('version').as('version'))
    .where('category', 'is not distinct from', category)
    .executeTakeFirstOrThrow()
  return version ?? 0
}

export const insertPolicy = async (tx: Tx, policy: Insertable<Tables['policies']>): Promise<void> => {
  await tx.insertInto('policies').values(policy).execute()
}

export const policyById = async (db: Db | Tx, id: PolicyId): Promise<PolicyRow | undefined> =>
  await db.selectFrom('policies').selectAll().where('id', '=', id).executeTakeFirst()

export const policyForUpdate = async (tx: Tx, id: PolicyId): Promise<PolicyRow | undefined> =>
  await tx.selectFrom('policies').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()

/** Newest first, from the one after `before` on. */
export const policiesPage = async (db: Db | Tx, before: PolicyId | undefined, limit: number): Promise<PolicyRow[]> => {
  const query = db.selectFrom('policies').selectAll().orderBy('id', 'desc').limit(limit)
  return await (before === undefined ? query : query.where('id', '<', before)).execute()
}

/** Every policy in force. */
export const approvedPolicies = async (db: Db | Tx): Promise<PolicyRow[]> =>
  await db.selectFrom('policies').selectAll().where('state', '=', 'approved').execute()

export const supersede = async (tx: Tx, category: string | null, at: Date): Promise<PolicyId | undefined> => {
  const row = await tx
    .updateTable('policies')
    .set({ state: 'superseded', supersededAt: at })
    .where('category', 'is not distinct from', category)
    .where('state', '=', 'approved')
    .returning('id')
    .executeTakeFirst()
  return row?.id
}

export const approve = async (tx: Tx, id: PolicyId, approvedBy: PersonId, approvedAt: Date): Promise<void> => {
  await tx.updateTable('policies').set({ state: 'approved', approvedBy, approvedAt }).where('id', '=', id).execute()
}

/** Whether a policy of the category was approved after that time. */
export const approvedSince = async (tx: Tx, category: string | null, at: Date): Promise<boolean> => {
  const row = await tx
    .selectFrom('policies')
    .select('id')
    .where('category', 'is not distinct from', category)
    .where('approvedAt', '>', at)
    .executeTakeFirst()
  return row !== undefined
}

export const insertSimulation = async (tx: Tx, simulation: Insertable<Tables['simulations']>): Promise<void> => {
  await tx.insertInto('simulations').values(simulation).execute()
}

export const simulationById = async (db: Db | Tx, id: SimulationId): Promise<SimulationRow | undefined> =>
  await db.selectFrom('simulations').selectAll().where('id', '=', id).executeTakeFirst()

/** The one that counts, and how its job stands: an earlier one is history. */
export const newestSimulation = async (db: Db | Tx, policy: PolicyId) =>
  await db
    .selectFrom('simulations')
    .leftJoin('jobs', 'jobs.id', 'simulations.job')
    .selectAll('simulations')
    .select(['jobs.state as jobState', 'jobs.said as jobSaid'])
    .where('policy', '=', policy)
    .orderBy('simulations.id', 'desc')
    .limit(1)
    .executeTakeFirst()

export type ShownSimulation = NonNullable<Awaited<ReturnType<typeof newestSimulation>>>

export const setSimulation = async (
  tx: Tx,
  id: SimulationId,
  state: SimulationState,
  counts: SimulationCounts,
  endedAt: Date | null = null,
): Promise<void> => {
  await tx
    .updateTable('simulations')
    .set({ state, counts: JSON.stringify(counts), endedAt })
    .where('id', '=', id)
    .execute()
}

/** Forgets what this simulation and those of the policy before it found. */
export const clearItems = async (tx: Tx, policy: PolicyId, simulation: SimulationId): Promise<void> => {
  await tx
    .deleteFrom('simulationItems')
    .where('simulation', '<=', simulation)
    .where('simulation', 'in', (eb) => eb.selectFrom('simulations').select('id').where('policy', '=', policy))
    .execute()
}

export const insertItems = async (tx: Tx, items: Insertable<Tables['simulationItems']>[]): Promise<void> => {
  if (items.length > 0) await tx.insertInto('simulationItems').values(items).execute()
}

export const itemsPage = async (
  db: Db | Tx,
  simulation: SimulationId,
  after: RecordingId | undefined,
  limit: number,
) => {
  const query = db
    .selectFrom('simulationItems')
    .select(['recording', 'size', 'oldAt', 'newAt'])
    .where('simulation', '=', simulation)
    .orderBy('recording')
    .limit(limit)
  return await (after === undefined ? query : query.where('recording', '>', after)).execute()
}

/** Notes that the person has seen what the simulation found. */
export const noteSight = async (tx: Tx, simulation: SimulationId, person: PersonId, seenAt: Date): Promise<void> => {
  await tx
    .insertInto('simulationSights')
    .values({ simulation, person, seenAt })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

export const hasSeen = async (tx: Tx, simulation: SimulationId, person: PersonId): Promise<boolean> => {
  const query = tx.selectFrom('simulationSights').select('seenAt').where('simulation', '=', simulation)
  return (await query.where('person', '=', person).executeTakeFirst()) !== undefined
}
