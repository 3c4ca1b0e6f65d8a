import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/** Clips and bundles are downloaded as recordings are. An address leads to one of them; a clip's names its recording too. */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table downloads
      alter recording drop not null,
      add clip uuid references clips,
      add bundle uuid references bundles,
      add constraint leads_to_one_thing check ((recording is null) = (bundle is not null) and (clip is null or bundle is null))
  `.execute(db)
}
