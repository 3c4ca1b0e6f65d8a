import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** Which job a purge and a simulation wait for, so that it can be told when that gave up; such a purge ends as failed. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`alter table purges add column job uuid references jobs`.execute(db)
  await sql`alter table simulations add column job uuid references jobs`.execute(db)
  await sql`
    update purges set job = owed.id from (
      select distinct on (payload ->> 'purgeId') payload ->> 'purgeId' as purge, id
      from jobs where name = 'purge' order by payload ->> 'purgeId', id desc) owed
    where owed.purge = purges.id::text`.execute(db)
  await sql`
    update simulations set job = owed.id from (
      select distinct on (payload ->> 'simulationId') payload ->> 'simulationId' as simulation, id
      from jobs where name = 'simulate-policy' order by payload ->> 'simulationId', id desc) owed
    where owed.simulation = simulations.id::text`.execute(db)
  await sql`alter table purges drop constraint purges_state_check`.execute(db)
  await sql`
    alter table purges add constraint purges_state_check check (state in ('running', 'braked', 'done', 'failed'))`.execute(
    db,
  )
  await sql`drop index purge_under_way`.execute(db)
  await sql`create unique index purge_under_way on purges ((true)) where state in ('running', 'braked')`.execute(db)
  await sql`grant update (job) on purges to exhibit_app`.execute(db)
}
