import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inTransaction } from '../../src/engines/postgres.ts'
import { record } from '../../src/ledger/record.ts'
import { copyOf, type Database, foundIn } from '../audited.ts'
import { type AuditedLog, found, foundOfAll, fullSize, makeAuditedLog, past, publishedSizes } from '../audited-log.ts'
import { someAct, writeEntries } from '../logged.ts'

let log: AuditedLog
/** For what can be undone. */
let shared: Database
beforeAll(async () => {
  log = await makeAuditedLog()
  shared = await copyOf(log.engines)
  await shared.owner.query('create table bodies_before as select id, entry, salt, parts, erased from entry_bodies')
}, 120_000)
afterAll(async () => {
  await shared[Symbol.asyncDispose]()
  await log[Symbol.asyncDispose]()
})

/** What is found while the bodies of entries are others. */
const foundWithBodies = async (tamper: (database: Database) => Promise<void>) => {
  await tamper(shared)
  const findings = foundIn(await log.audit(shared))
  await past(shared, 'entry_bodies', [
    'delete from entry_bodies',
    'insert into entry_bodies (id, entry, salt, parts, erased) select * from bodies_before',
  ])
  return findings
}

test('a log that nobody touched has no finding, lawful erasures and a witness included', async () => {
  await using database = await copyOf(log.engines)
  const report = await log.audit(database)
  expect(report.findings).toEqual([])
  expect(report).toMatchObject({ ok: true, owed: 0 })
  expect(report.logs).toEqual([
    {
      ...{ log: 1, origin: log.log.origin, size: fullSize, root: expect.stringMatching(/^[0-9a-f]{64}$/) },
      // The rows, three of which lie in the store too, and one of which was witnessed.
      ...{ checkpoints: publishedSizes.length + 3 + 1, cosignatures: 1, database: true, store: true },
      ...{ leaves: fullSize, lost: 0, erasedBodies: 1, erasedParts: 1 },
    },
  ])
})

describe('in the database, as its owner', () => {
  const body = (index: number, change: string) => async (database: Database) =>
    await past(database, 'entry_bodies', [`update entry_bodies set ${change} where id = '${log.ids[index]}'`])

  test.each([
    ['one byte of an entry', `entry = replace(entry, 'recording.read', 'recording.reaD')`, 'body-changed', {}],
    ['one bit of its salt', 'salt = set_byte(salt, 3, get_byte(salt, 3) # 1)', 'body-changed', {}],
    [
      'one byte of a sealed part',
      `parts = jsonb_set(parts, '{purpose,value}', '"case: 12/3457"')`,
      'part-changed',
      { part: 'purpose' },
    ],
    [
      'the salt of a sealed part',
      `parts = jsonb_set(parts, '{detail,salt}', '"00112233445566778899aabbccddeeff"')`,
      'part-changed',
      { part: 'detail' },
    ],
    ['a sealed part, deleted', `parts = parts - 'actor'`, 'part-deleted', { part: 'actor' }],
    [
      'a part that was never there',
      `parts = parts || '{"policy": {"value": "P", "salt": "00112233445566778899aabbccddeeff"}}'`,
      'part-added',
      { part: 'policy' },
    ],
    ['the text of an entry, deleted', 'entry = null, salt = null', 'body-deleted', {}],
    [
      'a whole body, emptied as an erasure would',
      `entry = null, salt = null, parts = '{}', erased = '{"body": "01a2107f-f878-7b43-9c50-4fa401b6f2b1"}'`,
      'erasure-unproven',
      { part: 'body', says: 'it names 01a2107f-f878-7b43-9c50-4fa401b6f2b1' },
    ],
    ['a whole body, emptied with no word of it', `entry = null, salt = null, parts = '{}'`, 'body-deleted', {}],
  ])('%s is found, with its leaf', async (_what, change, kind, more) => {
    expect(await foundWithBodies(body(417, change))).toEqual([found(kind, { ...log.leaf(417), ...more })])
  })

  test('an erasure that names an entry which is none, or one of another entry, is no erasure', async () => {
    const erasures = await foundWithBodies(async (database) => {
      const { rows } = await database.owner.query(
        `select erased ->> 'body' as id from entry_bodies where id = '${log.erasedBody}'`,
      )
      const emptied = `entry = null, salt = null, parts = '{}'`
      await body(10, `${emptied}, erased = '{"body": "${log.ids[11]}"}'`)(database)
      await body(12, `${emptied}, erased = '{"body": "${rows[0].id}"}'`)(database)
      await body(13, `parts = parts - 'purpose', erased = '{"purpose": "not an id"}'`)(database)
    })
    expect(erasures).toEqual([
      found('erasure-unproven', { ...log.leaf(10), part: 'body', says: `it names ${log.ids[11]}` }, 3),
    ])
  })

  test('what was erased and put back is found', async () => {
    const of = log.ids.indexOf(log.erasedPart)
    const part = '{"purpose": {"value": "x", "salt": "00112233445566778899aabbccddeeff"}}'
    expect(await foundWithBodies(body(of, `parts = parts || '${part}'`))).toEqual([
      found('erasure-not-done', { ...log.leaf(of), part: 'purpose' }),
    ])
  })

  test('a deleted body is told from an erased one', async () => {
    const all = await foundWithBodies(
      async (database) =>
        await past(database, 'entry_bodies', [`delete from entry_bodies where id = '${log.ids[200]}'`]),
    )
    expect(all).toEqual([found('body-deleted', log.leaf(200))])
  })

  test('two entries whose bodies were swapped are found, both', async () => {
    const [a, b] = [log.ids[40], log.ids[50]]
    const nobody = '00000000-0000-7000-8000-000000000000'
    const all = await foundWithBodies(
      async (database) =>
        await past(database, 'entry_bodies', [
          `update entry_bodies set id = '${nobody}' where id = '${a}'`,
          `update entry_bodies set id = '${a}' where id = '${b}'`,
          `update entry_bodies set id = '${b}' where id = '${nobody}'`,
        ]),
    )
    expect(all).toEqual([found('body-changed', log.leaf(40), 2)])
  })

  test('a body that is right and stands under another id is found', async () => {
    const all = await log.foundAfter(async (database) => {
      await past(database, 'entry_bodies', [
        `update entry_bodies to_ set entry = from_.entry, salt = from_.salt, parts = from_.parts from entry_bodies from_ where to_.id = '${log.ids[60]}' and from_.id = '${log.ids[61]}'`,
      ])
      await past(database, 'entries', [
        `update entries set leaf = (select leaf from entries where id = '${log.ids[61]}') where id = '${log.ids[60]}'`,
      ])
    })
    expect(all).toContainEqual(found('body-misplaced', log.leaf(60)))
    expect(all).toContainEqual(found('leaves-differ', { index: 60 }))
  })

  test('one bit of leaf data is found: body, store, checkpoints and witness all contradict it', async () => {
    const all = await log.foundAfter(
      async (database) =>
        await past(database, 'entries', [
          `update entries set leaf = set_byte(leaf, 0, get_byte(leaf, 0) # 1) where id = '${log.ids[100]}'`,
        ]),
    )
    expect(all).toContainEqual(found('body-changed', log.leaf(100)))
    expect(all).toContainEqual(found('leaves-differ', { index: 100 }))
    // Those of 1 and of 90 leaves are right.
    expect(all).toContainEqual(found('checkpoint-root', { size: 300, object: 'checkpoints' }, 3))
    expect(all).toContainEqual(
      found('stored-checkpoint-root', { size: 300, object: '1/checkpoint/0000000000000300' }, 3),
    )
    expect(all).toContainEqual(found('witnessed-root', { size: fullSize, object: '1/witnessed/0000000000000600' }))
    expect(all).toHaveLength(5)
  })

  test('a deleted entry is found by its leaf, and its body by its id', async () => {
    const all = await log.foundAfter(
      async (database) => await past(database, 'entries', [`delete from entries where id = '${log.ids[599]}'`]),
    )
    expect(all).toEqual([
      found('entry-missing', log.leaf(599)),
      foundOfAll('body-without-entry', { entry: log.ids[599] }),
    ])
  })

  test('deleted leaves are found, in the middle as a gap and at the end as an older log', async () => {
    const all = await log.foundAfter(
      async (database) => await past(database, 'leaves', ['delete from leaves where index in (255, 256, 257, 400)']),
    )
    expect(all).toEqual([
      found('leaf-missing', { index: 255 }, 4),
      foundOfAll('entry-forgotten', { entry: log.ids[255] }, 4),
    ])
    const cut = await log.foundAfter(
      async (database) => await past(database, 'leaves', ['delete from leaves where index > 588']),
    )
    expect(cut).toContainEqual(
      found('database-behind', { index: 589, size: fullSize, says: 'the database has 589' }, 11),
    )
    expect(cut).toContainEqual(foundOfAll('entry-forgotten', { entry: log.ids[589] }, 11))
    expect(cut).toHaveLength(2)
  })

  test('of leaves that a recovery gave up as lost no more stand without an entry than it said', async () => {
    const all = await log.foundAfter(async (database) => {
      const { db, owner } = database
      await inTransaction(db, async (tx) => {
        const detail = { log: log.log.origin, withoutEntry: { leaves: 1, first: 10, last: 20 } }
        await record(tx, log.engines.clock, { ...someAct, action: 'ledger.recovered', detail })
      })
      for (const index of [12, 15]) {
        await past(database, 'leaves', [`update leaves set entry = null where index = ${index}`])
        await owner.query(
          `insert into lost_leaves select 1, ${index}, leaf from entries where id = '${log.ids[index]}'`,
        )
        for (const table of ['entries', 'entry_bodies'])
          await past(database, table, [`delete from ${table} where id = '${log.ids[index]}'`])
      }
    })
    const says = 'of the leaves up to 20, 1 were lost, and 2 stand as lost'
    expect(all).toEqual([found('lost-unproven', { index: 10, says })])
  })

  test('two leaves that were swapped are found', async () => {
    const all = await log.foundAfter(
      async (database) =>
        await past(database, 'leaves', [
          'update leaves set entry = null where index in (303, 309)',
          `update leaves set entry = '${log.ids[309]}' where index = 303`,
          `update leaves set entry = '${log.ids[303]}' where index = 309`,
        ]),
    )
    expect(all).toContainEqual(found('leaves-differ', { index: 303 }))
    expect(all).toContainEqual(found('checkpoint-root', { size: 590, object: 'checkpoints' }, 2))
  })

  test('an entry that neither is a leaf nor waits, one that waits though it is a leaf, and one that waits and was changed', async () => {
    const all = await log.foundAfter(async (database) => {
      const [forgotten, changed, gone] = await writeEntries({ db: database.db, clock: log.engines.clock }, 4)
      await database.owner.query(`delete from unsequenced where entry = '${forgotten}'`)
      await database.owner.query(`insert into unsequenced values ('${log.ids[7]}')`)
      await past(database, 'entry_bodies', [
        `update entry_bodies set entry = replace(entry, 'allowed', 'denied') where id = '${changed}'`,
      ])
      await past(database, 'entries', [`delete from entries where id = '${gone}'`])
    })
    expect(all.map(({ kind, log: of, count }) => [kind, of, count])).toEqual([
      ['entry-forgotten', null, 1],
      ['body-without-entry', null, 1],
      ['entry-owed-again', null, 1],
      ['body-changed', null, 1],
      ['owed-entry-missing', null, 1],
    ])
  })
})
