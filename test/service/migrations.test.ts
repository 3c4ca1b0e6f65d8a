import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { codeVersion, migrate, refuseWrongSchema } from '../../src/engines/migrate.ts'
import { connect } from '../../src/engines/postgres.ts'

const name = `m_${randomBytes(6).toString('hex')}`
const { ownerUrl: base, appUrl } = inject('prepared')
const inDatabase = (url: string) => Object.assign(new URL(url), { pathname: `/${name}` }).toString()
const ownerUrl = inDatabase(base)
const db = connect(inDatabase(appUrl), 2, pino({ level: 'silent' }))
const cluster = new Client({ connectionString: base })

const asOwner = async (statement: string): Promise<unknown[]> => {
  const client = new Client({ connectionString: ownerUrl })
  await client.connect()
  try {
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}

beforeAll(async () => {
  await cluster.connect()
  await cluster.query(`create database ${name}`)
})
afterAll(async () => {
  await db.destroy()
  await cluster.query(`drop database if exists ${name}`)
  await cluster.end()
})

test('two operators who migrate at the same moment bring the database up once', async () => {
  const ran = await Promise.all([migrate(ownerUrl), migrate(ownerUrl)])
  expect(ran.filter((names) => names.length > 0)).toHaveLength(1)
  expect(await migrate(ownerUrl)).toEqual([])
  await expect(refuseWrongSchema(db)).resolves.toBeUndefined()
})

test('code that is older than a migration allows refuses to start, and says what to do', async () => {
  await asOwner(`insert into schema_needs (migration, oldest_code) values ('9999-from-the-future', ${codeVersion + 1})`)
  await expect(refuseWrongSchema(db)).rejects.toThrow(
    /migrated by newer code \(9999-from-the-future\).*Start the newer release/,
  )
  await asOwner("delete from schema_needs where migration = '9999-from-the-future'")
})

test('code that is newer than the database refuses to start, and says what to do', async () => {
  await asOwner("update schema_needs set migration = 'x' where migration = '0009-downloads-end'")
  await expect(refuseWrongSchema(db)).rejects.toThrow(/lacks 0009-downloads-end.*exhibit -- migrate/)
  await asOwner("update schema_needs set migration = '0009-downloads-end' where migration = 'x'")
})

test('the application has a role of its own that can neither make tables nor take rights', async () => {
  const statements = [
    'create table mine (id int)',
    'drop table recordings',
    'alter table entries disable trigger all',
    'grant exhibit_owner to exhibit_app',
    'create extension pg_trgm',
  ]
  for (const statement of statements) {
    const client = new Client({ connectionString: inDatabase(appUrl) })
    await client.connect()
    await expect(client.query(statement), statement).rejects.toThrow(/permission denied|must be owner/)
    await client.end()
  }
})
