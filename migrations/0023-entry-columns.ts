import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

/**
 * What auditors ask by is read out of an entry's text as `json`, which is searched, and no longer as `jsonb`, which is built
 * anew for each of six columns. The table is written anew once: minutes for ten million entries.
 */
export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    alter table entry_bodies
      alter column action set expression as (entry::json ->> 'action'),
      alter column subject_type set expression as (entry::json #>> '{subject,type}'),
      alter column subject_id set expression as (entry::json #>> '{subject,id}'),
      alter column at set expression as (entry::json ->> 'at'),
      alter column operation set expression as (entry::json ->> 'operation'),
      alter column outcome set expression as (entry::json ->> 'outcome')`.execute(db)
}
