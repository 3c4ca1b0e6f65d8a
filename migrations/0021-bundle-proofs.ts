import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** The signed heads of the log that a bundle's proofs stand on, and what a bundle waits for. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  // Chosen once, with the cosignatures of that moment: whoever makes the bundle anew makes the same bytes.
  await sql`
    create table bundle_checkpoints (
      bundle uuid not null references bundles,
      log int not null, size bigint not null,
      note text not null,
      primary key (bundle, log), foreign key (log, size) references checkpoints
    )`.execute(db)
  await sql`alter table bundles add column waits_for text`.execute(db)
  await sql`grant select, insert on bundle_checkpoints to exhibit_app`.execute(db)
  await sql`grant update (waits_for) on bundles to exhibit_app`.execute(db)
}
