import { sql } from 'kysely'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sha256 } from '../../src/base/digest.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import type { Act } from '../../src/ledger/entry.ts'
import { eraseFromEntry, record } from '../../src/ledger/record.ts'
import { closeRefusals, recordRefusal } from '../../src/ledger/refusals.ts'
import { type TestEngines, testEngines } from '../engines.ts'

const clock = {
  at: new Date('2026-11-25T10:00:00Z'),
  now: () => clock.at,
  instant: () => Temporal.Instant.from(clock.at.toISOString()),
}
let engines: TestEngines
let owner: Client
beforeAll(async () => {
  engines = await testEngines({ clock })
  owner = new Client({ connectionString: engines.ownerUrl })
  await owner.connect()
})
afterAll(async () => {
  await owner.end()
  await engines[Symbol.asyncDispose]()
})

const act: Act = {
  operation: 'consultation',
  action: 'recording.read',
  subject: { type: 'recording', id: '01a2107f-f878-7b43-9c50-4fa401b6f2b1' },
  actor: { kind: 'person', id: 'somebody' },
  purpose: 'case: 12/3456',
}
const write = async () => await inTransaction(engines.db, async (tx) => await record(tx, engines.clock, act))

test('an entry is kept with its leaf, and the leaf can be computed again from the body', async () => {
  const id = await write()
  const body = await engines.db.selectFrom('entryBodies').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const { leaf } = await engines.db.selectFrom('entries').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  if (body.salt === null || body.entry === null) throw new Error('the body is empty')
  expect(sha256(body.salt, body.entry).equals(leaf)).toBe(true)
  expect(body.subjectId).toBe(act.subject.id)
})

test('an entry goes when the transaction that wrote it does not commit', async () => {
  const before = await engines.db
    .selectFrom('entries')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow()
  await expect(
    inTransaction(engines.db, async (tx) => {
      await record(tx, engines.clock, act)
      throw new Error('the act failed')
    }),
  ).rejects.toThrow('the act failed')
  const after = await engines.db
    .selectFrom('entries')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .executeTakeFirstOrThrow()
  expect(after.n).toBe(before.n)
})

const forbidden = [
  "update entries set leaf = sha256('other')",
  'delete from entries',
  'truncate entries',
  "update entry_bodies set entry = '{}'",
  'delete from entry_bodies',
  'truncate entry_bodies',
]

test.each(forbidden)('neither the application nor the owner of the database can: %s', async (statement) => {
  await write()
  await expect(sql.raw(statement).execute(engines.db)).rejects.toThrow(/permission denied|refused/)
  await expect(owner.query(statement)).rejects.toThrow(/refused/)
})

test('the owner cannot truncate one month of the ledger either', async () => {
  const { rows } = await owner.query(
    "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'entries'::regclass",
  )
  expect(rows.length).toBeGreaterThan(119)
  for (const { name } of rows.slice(0, 3)) await expect(owner.query(`truncate ${name}`)).rejects.toThrow(/refused/)
})

test('a sealed part is erased through its own function alone, with an entry, and the leaf still fits the entry', async () => {
  const id = await write()
  const erasure = await inTransaction(
    engines.db,
    async (tx) =>
      await eraseFromEntry(tx, engines.clock, id, 'purpose', {
        action: 'entry.part-erased',
        actor: { kind: 'service', id: 'test' },
        policy: 'P1',
      }),
  )
  const body = await engines.db.selectFrom('entryBodies').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  expect(Object.keys(body.parts)).toEqual(['actor'])
  expect(body.erased).toEqual({ purpose: erasure })
  const { leaf } = await engines.db.selectFrom('entries').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  if (body.salt === null || body.entry === null) throw new Error('the body is empty')
  expect(sha256(body.salt, body.entry).equals(leaf)).toBe(true)
})

test('a whole body is erased so that only the leaf and the name of the erasure are left', async () => {
  const id = await write()
  await inTransaction(
    engines.db,
    async (tx) =>
      await eraseFromEntry(tx, engines.clock, id, 'body', {
        action: 'entry.erased',
        actor: { kind: 'service', id: 'test' },
      }),
  )
  const body = await engines.db.selectFrom('entryBodies').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  expect([body.entry, body.salt, body.parts, body.subjectId]).toEqual([null, null, {}, null])
  expect(Object.keys(body.erased)).toEqual(['body'])
})

test('an erasure that names another entry, or that is no erasure, is refused by the database', async () => {
  const id = await write()
  const other = await write()
  const said = JSON.stringify({
    id: '01a2107f-f878-7b43-9c50-4fa401b6f2b9',
    operation: 'erasure',
    subject: { type: 'entry', id: other },
  })
  const call = sql`select erase_entry_body(${id}, 'body', '01a2107f-f878-7b43-9c50-4fa401b6f2b9', ${said}, ${Buffer.alloc(16)}, '{}')`
  await expect(call.execute(engines.db)).rejects.toThrow(/must name/)
})

test('of repeated refusals within a minute the first is an entry at once and the rest become one entry with a count', async () => {
  const refused = {
    operation: 'consultation',
    action: 'recording.read',
    subject: { type: 'recording', id: 'r1' },
    actor: { kind: 'person', id: 'nosy' },
  } as const
  const entries = async () =>
    (await engines.db.selectFrom('entryBodies').select('parts').where('subjectId', '=', 'r1').execute()).map(
      (row) => row.parts.detail?.value,
    )
  await recordRefusal(engines, refused)
  await Promise.all(Array.from({ length: 7 }, async () => await recordRefusal(engines, refused)))
  expect(await entries()).toHaveLength(1)
  clock.at = new Date(clock.at.getTime() + 61_000)
  expect(await closeRefusals(engines)).toBe(1)
  const all = await entries()
  expect(all).toHaveLength(2)
  expect(all[1]).toMatchObject({ repeats: 7 })
  expect(await closeRefusals(engines)).toBe(0)
})

test('first refusals that come at the same moment are one entry and a count', async () => {
  const refused = {
    operation: 'consultation',
    action: 'recording.read',
    subject: { type: 'recording', id: 'r2' },
    actor: { kind: 'person', id: 'nosy' },
  } as const
  await Promise.all(Array.from({ length: 6 }, async () => await recordRefusal(engines, refused)))
  clock.at = new Date(clock.at.getTime() + 61_000)
  await closeRefusals(engines)
  const rows = await engines.db
    .selectFrom('entryBodies')
    .select('parts')
    .where('subjectId', '=', 'r2')
    .orderBy('id')
    .execute()
  expect(rows.map((row) => row.parts.detail?.value)).toEqual([undefined, expect.objectContaining({ repeats: 5 })])
})

test('writing an entry is planned once on a connection, however many are written', async () => {
  await inTransaction(engines.db, async (tx) => {
    for (let n = 0; n < 3; n++) await record(tx, engines.clock, act)
    const { rows } = await sql`select name from pg_prepared_statements`.execute(tx)
    expect(rows).toEqual([{ name: 'append_entry' }])
  })
})
