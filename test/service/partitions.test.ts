import { Writable } from 'node:stream'
import { sql } from 'kysely'
import { Client } from 'pg'
import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { firstIdAt } from '../../src/base/ids.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { lookAtMonths, makeMonths, partitionsOf } from '../../src/ledger/entries/partitions.ts'
import { sweeps } from '../../workers/sweeps.ts'
import { type TestEngines, testEngines } from '../engines.ts'

const logged: string[] = []
const log = pino(
  { level: 'warn' },
  new Writable({
    write: (line, _encoding, done) => {
      logged.push(String(line))
      done()
    },
  }),
)

let engines: TestEngines
let owner: Client
beforeAll(async () => {
  engines = { ...(await testEngines()), log }
  owner = new Client({ connectionString: engines.ownerUrl })
  await owner.connect()
  await makeMonths(engines)
})
afterAll(async () => {
  await owner.end()
  await engines[Symbol.asyncDispose]()
})
afterEach(() => {
  logged.length = 0
})

const present = Temporal.Now.zonedDateTimeISO('UTC').toPlainDate().toPlainYearMonth()
const monthAfter = (months: number): string => present.add({ months }).toString()
const nameOf = (months: number): string => `entries_${monthAfter(months).replace('-', '_')}`
const drop = async (...months: number[]): Promise<void> => {
  for (const month of months) await owner.query(`drop table ${nameOf(month)}`)
}
const from = (first: number): number[] => Array.from({ length: 121 - first }, (_, n) => first + n)

/** An id that is born in the middle of that month. */
const idIn = (months: number): string => {
  const ms = present.add({ months }).toPlainDate({ day: 15 }).toZonedDateTime('UTC').epochMilliseconds
  return firstIdAt(ms).replace(/0000-0000-000000000000$/, '7000-8000-000000000001')
}
const insert = (months: number) => sql`insert into entries (id, leaf) values (${idIn(months)}, ${Buffer.alloc(32)})`

test('there is a place for ten years of entries, and what is there is not made again', async () => {
  expect(await makeMonths(engines)).toBe(0)
  expect(await lookAtMonths(engines)).toEqual({ ahead: 120, missing: undefined })
  expect(logged).toEqual([])
})

test('missing months are made again, at the end and in between, and the metric says how many are ahead', async () => {
  const ahead = async () => (await engines.metrics.entryMonths.get()).values
  await drop(...from(9))
  expect(await lookAtMonths(engines)).toEqual({ ahead: 8, missing: undefined })
  expect(await ahead()).toMatchObject([{ labels: { table: 'entries' }, value: 8 }])
  expect(await makeMonths(engines)).toBe(112)
  await drop(40, 41, 77)
  expect(await lookAtMonths(engines)).toEqual({ ahead: 39, missing: monthAfter(40) })
  expect(await makeMonths(engines)).toBe(3)
  expect(await ahead()).toMatchObject([{ labels: { table: 'entries' }, value: 120 }])
  expect(logged).toEqual([])
})

test('this very month is made too, so that entries can be written again', async () => {
  await drop(0)
  expect(await lookAtMonths(engines)).toEqual({ ahead: 0, missing: monthAfter(0) })
  await expect(insert(0).execute(engines.db)).rejects.toThrow('no partition')
  expect(await makeMonths(engines)).toBe(1)
  await insert(0).execute(engines.db)
})

test('two workers at once make each month once', async () => {
  await drop(...from(100))
  const made = await Promise.all([makeMonths(engines), makeMonths(engines), makeMonths(engines)])
  expect(made.toSorted((a, b) => a - b)).toEqual([0, 0, 21])
})

test('what is made later is guarded as what was there: it only grows, and each entry owes a leaf', async () => {
  await drop(50)
  await makeMonths(engines)
  await insert(50).execute(engines.db)
  const owed = await engines.db.selectFrom('unsequenced').select('entry').execute()
  expect(owed.map(({ entry }) => entry)).toContain(idIn(50))
  const name = nameOf(50)
  for (const statement of [`truncate ${name}`, `delete from ${name}`, `update ${name} set leaf = sha256('other')`])
    await expect(owner.query(statement), statement).rejects.toThrow(/refused/)
  await expect(owner.query(`insert into ${name} values (uuidv7(), sha256('x'))`)).rejects.toThrow(
    /partition constraint/,
  )
  await expect(insert(50).execute(engines.db)).rejects.toThrow(/duplicate key/)
  const short = sql`insert into entries (id, leaf) values (${idIn(50).replace(/1$/, '2')}, '\\x00')`
  await expect(short.execute(engines.db)).rejects.toThrow(/check constraint/)
  const rights = await sql`insert into ${sql.table(name)} values (${idIn(50)}, ${Buffer.alloc(32)})`
    .execute(engines.db)
    .catch((error: unknown) => error)
  expect(String(rights)).toContain('permission denied')
  const shape = async (table: string) =>
    (
      await owner.query(
        `select (select count(*) from pg_trigger where tgrelid = $1::regclass) as triggers,
          (select count(*) from pg_index where indrelid = $1::regclass and indisprimary) as keys,
          (select array_agg(conname order by conname) from pg_constraint where conrelid = $1::regclass and contype = 'c') as checks`,
        [table],
      )
    ).rows
  expect(await shape(name)).toEqual(await shape(nameOf(60)))
})

test('nobody waits: months are made while entries are being written, and entries are written while months are made', async () => {
  await drop(70, 71)
  await inTransaction(engines.db, async (writing) => {
    await insert(3).execute(writing)
    await inTransaction(engines.db, async (making) => {
      await sql`set local lock_timeout = '2s'`.execute(making)
      const { rows } = await sql<{ made: number }>`select make_entry_partitions() as made`.execute(making)
      expect(rows).toEqual([{ made: 2 }])
      await inTransaction(engines.db, async (other) => {
        await sql`set local lock_timeout = '2s'`.execute(other)
        await insert(4).execute(other)
      })
    })
  })
  expect(await lookAtMonths(engines)).toMatchObject({ ahead: 120 })
})

test('a table that stands in the way of one month hinders no other, and is an alarm in the log', async () => {
  await drop(20, 30, 31)
  await owner.query(`create table ${nameOf(30)} (id int)`)
  expect(await makeMonths(engines)).toBe(2)
  expect(logged.join('')).toContain(`alarm: there is no place for entries of ${monthAfter(30)}`)
  expect(await lookAtMonths(engines)).toEqual({ ahead: 29, missing: monthAfter(30) })
  await owner.query(`drop table ${nameOf(30)}`)
  expect(await makeMonths(engines)).toBe(1)
})

test('a range that lies across one month hinders no other', async () => {
  await drop(80, 81)
  const [first, next] = [idIn(80), idIn(81)]
  await owner.query(`create table across partition of entries for values from ('${first}') to ('${next}')`)
  expect(await makeMonths(engines)).toBe(0)
  expect(await lookAtMonths(engines)).toEqual({ ahead: 79, missing: monthAfter(80) })
  await owner.query('drop table across')
  expect(await makeMonths(engines)).toBe(2)
})

test('wider ranges that an operator made are left as they are', async () => {
  await drop(90, 91)
  const [first, next] = [nameOf(89), nameOf(92)]
  const bounds = await partitionsOf(engines.db)
  const { rows } = await owner.query(
    'select pg_get_expr(relpartbound, oid) as bound from pg_class where relname in ($1, $2) order by relname',
    [first, next],
  )
  const [end, start] = [/TO \('(.*?)'\)/.exec(rows[0].bound)?.[1], /FROM \('(.*?)'\)/.exec(rows[1].bound)?.[1]]
  await owner.query(`create table wide partition of entries for values from ('${end}') to ('${start}')`)
  expect(await makeMonths(engines)).toBe(0)
  expect(await lookAtMonths(engines)).toEqual({ ahead: 120, missing: undefined })
  expect(await partitionsOf(engines.db)).toHaveLength(bounds.length + 1)
  await owner.query('drop table wide')
  expect(await makeMonths(engines)).toBe(2)
})

test('it does the same whatever the session of its caller calls things', async () => {
  await drop(110)
  await owner.query('create schema evil')
  await owner.query('create table evil.entries (id uuid, leaf bytea) partition by range (id)')
  await owner.query(`create function evil.refuse_change() returns trigger language plpgsql as 'begin return null; end'`)
  await owner.query(`create function evil.lpad(text, int, text) returns text language sql as $$ select 'x' $$`)
  await owner.query('grant usage on schema evil to exhibit_app')
  await owner.query('create temp table pg_inherits (inhrelid oid, inhparent oid, inhdetachpending boolean)')
  try {
    await inTransaction(engines.db, async (tx) => {
      await sql`set local search_path = evil, pg_catalog`.execute(tx)
      await sql`set local timezone = 'Pacific/Kiritimati'`.execute(tx)
      await sql`set local datestyle = 'German'`.execute(tx)
      const { rows } = await sql<{ made: number }>`select public.make_entry_partitions() as made`.execute(tx)
      expect(rows).toEqual([{ made: 1 }])
    })
    await owner.query('set search_path = pg_temp, evil')
    expect((await owner.query('select public.make_entry_partitions() as made')).rows).toEqual([{ made: 0 }])
  } finally {
    await owner.query('reset search_path')
    await owner.query('drop table pg_temp.pg_inherits')
    await owner.query('drop schema evil cascade')
  }
  expect(await lookAtMonths(engines)).toEqual({ ahead: 120, missing: undefined })
  await expect(owner.query(`truncate ${nameOf(110)}`)).rejects.toThrow(/refused/)
})

test('nobody but the application and the owner may call it', async () => {
  const { rows } = await owner.query(
    `select coalesce(rolname, 'public') as who from pg_proc, lateral aclexplode(proacl) as acl
      left join pg_roles on pg_roles.oid = acl.grantee where proname = 'make_entry_partitions' order by 1`,
  )
  expect(rows.map(({ who }) => who)).toEqual(['exhibit_app', 'exhibit_owner'])
})

test('a worker does it once a day', async () => {
  const sweep = sweeps.find(({ name }) => name === 'make-partitions')
  expect(sweep?.everySeconds).toBe(86_400)
  await drop(120)
  expect(await sweep?.run(engines, new AbortController().signal)).toBe(1)
})
