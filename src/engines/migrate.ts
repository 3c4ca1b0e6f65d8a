import { readdir } from 'node:fs/promises'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import pg from 'pg'
import type { Db } from './postgres.ts'

const folder = new URL('../../migrations/', import.meta.url)

/** Counts up whenever a migration is written that older code must not run on. */
export const codeVersion = 1

type Numbered = Migration & { oldestCode: number }
const isNumbered = (module: unknown): module is Numbered =>
  typeof module === 'object' &&
  module !== null &&
  'up' in module &&
  'oldestCode' in module &&
  typeof module.oldestCode === 'number'

const readMigrations = async (): Promise<Record<string, Numbered>> => {
  const found: Record<string, Numbered> = {}
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.ts')).sort()) {
    const module: unknown = await import(new URL(file, folder).href)
    if (!isNumbered(module)) throw new Error(`migrations/${file} does not name the oldest code that may run on it`)
    found[file.slice(0, -3)] = module
  }
  return found
}

/** Brings the database up to this code under an advisory lock. Answers the names of the migrations that ran. */
export const migrate = async (ownerUrl: string): Promise<string[]> => {
  const pool = new pg.Pool({ connectionString: ownerUrl, max: 2 })
  pool.on('error', () => undefined)
  const db = new Kysely<{ schemaNeeds: { migration: string; oldestCode: number } }>({
    dialect: new PostgresDialect({ pool }),
  })
  try {
    const migrations = await readMigrations()
    const migrator = new Migrator({
      db,
      provider: {
        getMigrations: async () =>
          Object.fromEntries(
            Object.entries(migrations).map(([name, migration]) => [
              name,
              {
                up: async (tx: Kysely<unknown>) => {
                  await migration.up(tx)
                  await sql`insert into schema_needs (migration, oldest_code) values (${name}, ${migration.oldestCode})`.execute(
                    tx,
                  )
                },
              },
            ]),
          ),
      },
    })
    await db.transaction().execute(async (tx) => {
      await sql`select pg_advisory_xact_lock(hashtext('exhibit-schema-needs'))`.execute(tx)
      await sql`create table if not exists schema_needs (migration text primary key, oldest_code int not null)`.execute(
        tx,
      )
      await sql`grant select on schema_needs to exhibit_app`.execute(tx)
    })
    const { error, results } = await migrator.migrateToLatest()
    if (error !== undefined) throw error
    return (results ?? []).filter((result) => result.status === 'Success').map((result) => result.migrationName)
  } finally {
    await db.destroy()
  }
}

/** Throws, in words for an operator, unless the database and this code fit each other. */
export const refuseWrongSchema = async (db: Db): Promise<void> => {
  const names = Object.keys(await readMigrations())
  const rows = await sql<{ migration: string; oldestCode: number }>`select migration, oldest_code from schema_needs`
    .execute(db)
    .then((result) => result.rows)
    .catch((error: unknown) => {
      if (error instanceof pg.DatabaseError && error.code === '42P01') return []
      throw error
    })
  const tooNew = rows.find((row) => row.oldestCode > codeVersion)
  if (tooNew !== undefined) {
    throw new Error(
      `The database was migrated by newer code (${tooNew.migration}); this code is too old to run on it. Start the newer release.`,
    )
  }
  const missing = names.filter((name) => !rows.some((row) => row.migration === name))
  if (missing.length > 0) {
    throw new Error(`The database lacks ${missing.join(', ')}. Run \`npm run exhibit -- migrate\` first.`)
  }
}
