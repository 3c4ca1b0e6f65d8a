import { afterAll, beforeAll, expect, test } from 'vitest'
import { copyOf, type Database, foundIn } from '../audited.ts'
import { type AuditedLog, found, foundOfAll, fullSize, makeAuditedLog } from '../audited-log.ts'

let log: AuditedLog
/** For what can be undone. */
let shared: Database
beforeAll(async () => {
  log = await makeAuditedLog()
  shared = await copyOf(log.engines)
}, 120_000)
afterAll(async () => {
  await shared[Symbol.asyncDispose]()
  await log[Symbol.asyncDispose]()
})

/** The partition of a month from now on. */
const month = async ({ owner }: Database, ahead: number): Promise<string> => {
  const { rows } = await owner.query<{ name: string }>(
    `select 'entries_' || to_char(now() at time zone 'UTC' + make_interval(months => ${ahead}), 'YYYY_MM') as name`,
  )
  return rows[0]?.name ?? ''
}

const refuseChange =
  'create or replace function refuse_change() returns trigger language plpgsql as $$ begin return coalesce(new, old); end $$'

test.each([
  [
    'a trigger that is switched off',
    ['alter table leaves disable trigger append_only'],
    ['alter table leaves enable trigger append_only'],
    [foundOfAll('trigger-disabled', { object: 'append_only on leaves' })],
  ],
  [
    'a trigger that fires on copies of the database alone',
    ['alter table checkpoints enable replica trigger only_larger'],
    ['alter table checkpoints enable trigger only_larger'],
    [foundOfAll('trigger-disabled', { object: 'only_larger on checkpoints' })],
  ],
  [
    'a trigger that was dropped',
    ['drop trigger guarded on entry_bodies'],
    ['create trigger guarded before update or delete on entry_bodies for each row execute function guard_entry_body()'],
    [foundOfAll('trigger-missing', { object: 'guarded on entry_bodies' })],
  ],
  [
    'a trigger that was narrowed until it lets through what was wanted',
    [
      'drop trigger append_only on cosignatures',
      'create trigger append_only before update or delete on cosignatures for each row when (old.size < 0) execute function refuse_change()',
    ],
    [
      'drop trigger append_only on cosignatures',
      'create trigger append_only before update or delete on cosignatures for each row execute function refuse_change()',
    ],
    [foundOfAll('trigger-missing', { object: 'append_only on cosignatures', says: 'it was replaced' })],
  ],
  [
    'a trigger that somebody added',
    [
      'create function forge() returns trigger language plpgsql as $$ begin return null; end $$',
      'create trigger forged before insert on entry_bodies for each row execute function forge()',
    ],
    ['drop function forge cascade'],
    [foundOfAll('trigger-unknown', { object: 'forged on entry_bodies' })],
  ],
  [
    'rights of the application that have grown, in all columns or in one',
    ['grant update, delete on entries to exhibit_app', 'grant update (parts) on entry_bodies to exhibit_app'],
    ['revoke update, delete on entries from exhibit_app', 'revoke update (parts) on entry_bodies from exhibit_app'],
    [foundOfAll('grant-grown', { object: 'entries', says: 'exhibit_app may DELETE' }, 3)],
  ],
  [
    'rights that everybody has',
    ['grant insert on leaves to public'],
    ['revoke insert on leaves from public'],
    [foundOfAll('grant-grown', { object: 'leaves', says: 'exhibit_app may INSERT' }, 2)],
  ],
  [
    'a right to one month that goes around the table of them all',
    ['grant delete on entries_before to exhibit_app'],
    ['revoke delete on entries_before from exhibit_app'],
    [foundOfAll('grant-grown', { object: 'entries_before', says: 'exhibit_app may DELETE' })],
  ],
  [
    'a function that everybody may call with the rights of the owner',
    ['grant execute on function erase_entry_body to public'],
    ['revoke execute on function erase_entry_body from public'],
    [foundOfAll('grant-grown', { object: 'erase_entry_body', says: 'everybody may call it' })],
  ],
  [
    'a column by which entries are found that no longer says what the entry says',
    [
      "alter table entry_bodies alter column subject_id set expression as (nullif(entry::jsonb #>> '{subject,id}', 'x'))",
    ],
    ["alter table entry_bodies alter column subject_id set expression as (entry::json #>> '{subject,id}')"],
    [foundOfAll('table-changed', { object: 'entry_bodies.subject_id', says: 'it is not derived from the entry' })],
  ],
  [
    'a table that stands before the true one, for the application alone',
    [
      'create schema exhibit_app',
      'create view exhibit_app.cosignatures as select * from public.cosignatures',
      'grant usage on schema exhibit_app to exhibit_app',
      'grant select on exhibit_app.cosignatures to exhibit_app',
    ],
    ['drop schema exhibit_app cascade'],
    [foundOfAll('table-changed', { object: 'cosignatures', says: 'another of that name stands before it' })],
  ],
  [
    'a rule by which the database does something else than it is told',
    ['create rule quiet as on delete to unsequenced do instead nothing'],
    ['drop rule quiet on unsequenced'],
    [foundOfAll('table-changed', { object: 'unsequenced', says: 'rules rewrite what is done to it' })],
  ],
])('%s: found', async (_what, statements, undo, expected) => {
  for (const statement of statements) await shared.owner.query(statement)
  const findings = foundIn(await log.audit(shared))
  for (const statement of undo) await shared.owner.query(statement)
  expect(findings).toEqual(expected)
})

test('when all of that was undone, nothing is found', async () => {
  expect(foundIn(await log.audit(shared))).toEqual([])
})

test('the triggers of the entries, switched off in all months at once, are found in each', async () => {
  await shared.owner.query('alter table entries disable trigger user')
  const [finding, ...others] = foundIn(await log.audit(shared))
  await shared.owner.query('alter table entries enable trigger user')
  expect(others).toEqual([])
  expect(finding).toMatchObject({ kind: 'trigger-disabled', object: 'append_only on entries' })
  expect(finding?.count).toBeGreaterThan(2 * 120)
})

test('a guard that was rewritten to let everything through is found', async () => {
  expect(await log.foundAfter(async ({ owner }) => await owner.query(refuseChange))).toEqual([
    foundOfAll('function-changed', { object: 'refuse_change' }),
  ])
})

test('rows that are hidden from the application are found as gone, and the hiding too', async () => {
  const findings = await log.foundAfter(async ({ owner }) => {
    await owner.query('alter table entry_bodies enable row level security')
    await owner.query(`create policy not_all on entry_bodies for select to exhibit_app using (id <> '${log.ids[77]}')`)
  })
  expect(findings).toEqual([
    foundOfAll('table-changed', { object: 'entry_bodies', says: 'it hides rows' }),
    found('body-deleted', log.leaf(77)),
  ])
})

test('a month that was dropped or detached is found before the first entry falls into it', async () => {
  await using database = await copyOf(log.engines)
  const [dropped, detached] = [await month(database, 3), await month(database, 5)]
  await database.owner.query(`drop table ${dropped}`)
  await database.owner.query(`alter table entries detach partition ${detached}`)
  const findings = foundIn(await log.audit(database))
  expect(findings).toEqual([
    foundOfAll(
      'partition-gap',
      { object: `after ${await month(database, 2)}`, says: expect.stringMatching(/^nothing takes the ids/) },
      2,
    ),
  ])
})

test('the month of now, dropped with its entries: each leaf is missed, and the store still has the leaf data', async () => {
  await using database = await copyOf(log.engines)
  await database.owner.query(`drop table ${await month(database, 0)}`)
  const report = await log.audit(database)
  expect(foundIn(report)).toMatchObject([
    foundOfAll('partition-gap', { object: 'after entries_before' }),
    found('entry-missing', log.leaf(0), fullSize),
    foundOfAll('body-without-entry', { entry: log.ids[0] }, fullSize),
  ])
  expect(report.logs[0]).toMatchObject({ database: false, store: true })
})

test('months that run out within a month are found', async () => {
  const findings = await log.foundAfter(async (database) => {
    for (let ahead = 1; ahead <= 120; ahead++)
      await database.owner.query(`drop table if exists ${await month(database, ahead)}`)
  })
  expect(findings).toMatchObject([foundOfAll('partition-gap', {})])
})
