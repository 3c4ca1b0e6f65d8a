import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EntryId } from '../../src/base/ids.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { sealEntry } from '../../src/ledger/entry.ts'
import { eraseFromEntry, record } from '../../src/ledger/record.ts'
import { copyOf, type Database, foundIn } from '../audited.ts'
import { type AuditedLog, found, foundOfAll, makeAuditedLog, past } from '../audited-log.ts'
import { someAct, writeEntries } from '../logged.ts'

let log: AuditedLog
let shared: Database
/** The entries of the two lawful erasures. */
let erasureOf: { part: EntryId; body: EntryId }
beforeAll(async () => {
  log = await makeAuditedLog()
  shared = await copyOf(log.engines)
  const named = async (entry: EntryId) => {
    const { rows } = await shared.owner.query(`select erased from entry_bodies where id = '${entry}'`)
    return rows[0].erased
  }
  erasureOf = { part: (await named(log.erasedPart)).purpose, body: (await named(log.erasedBody)).body }
  for (const table of ['entry_bodies', 'entry_erasures'])
    await shared.owner.query(`create table ${table}_before as select * from ${table}`)
}, 120_000)
afterAll(async () => {
  await shared[Symbol.asyncDispose]()
  await log[Symbol.asyncDispose]()
})

/** What is found while bodies and what is listed of erasures are others. */
const foundWith = async (tampered: { bodies?: string[]; erasures?: string[] }) => {
  await past(shared, 'entry_bodies', tampered.bodies ?? [])
  await past(shared, 'entry_erasures', tampered.erasures ?? [])
  const findings = foundIn(await log.audit(shared))
  await past(shared, 'entry_bodies', [
    'delete from entry_bodies',
    'insert into entry_bodies (id, entry, salt, parts, erased) select id, entry, salt, parts, erased from entry_bodies_before',
  ])
  await past(shared, 'entry_erasures', [
    'delete from entry_erasures',
    'insert into entry_erasures select * from entry_erasures_before',
  ])
  return findings
}

const body = (entry: EntryId | undefined, change: string) => `update entry_bodies set ${change} where id = '${entry}'`
const leafOf = (entry: EntryId) => log.leaf(log.ids.indexOf(entry))

describe('the entry of an erasure proves that part of that entry, once', () => {
  test.each([
    ['all of it', `entry = null, salt = null, parts = '{}', erased = erased || '{"body": "E"}'`, 'body'],
    ['another part', `parts = parts - 'actor', erased = erased || '{"actor": "E"}'`, 'actor'],
  ])('and not %s', async (_what, change, part) => {
    const by = erasureOf.part
    expect(await foundWith({ bodies: [body(log.erasedPart, change.replace('E', by))] })).toEqual([
      found('erasure-unproven', { ...leafOf(log.erasedPart), part, says: `it names ${by}` }),
    ])
  })

  test('and not another part in place of its own, whatever is listed of it', async () => {
    const by = erasureOf.part
    const moved = `parts = parts - 'detail', erased = '{"detail": "${by}"}'`
    const findings = await foundWith({
      bodies: [body(log.erasedPart, moved)],
      erasures: [`update entry_erasures set part = 'detail' where erasure = '${by}'`],
    })
    expect(findings).toEqual([
      found('part-deleted', { ...leafOf(log.erasedPart), part: 'purpose' }),
      found('erasure-unproven', { ...leafOf(log.erasedPart), part: 'detail', says: `it names ${by}` }),
    ])
  })

  test('and none, where it does not say which', async () => {
    await using copy = await copyOf(log.engines)
    const { db } = copy
    const [target] = await writeEntries({ db, clock: log.engines.clock }, 1)
    const act = { ...someAct, operation: 'erasure', subject: { type: 'entry', id: target ?? '' } } as const
    const { id, entry, salt, parts } = sealEntry(act, log.engines.clock)
    await sql`select erase_entry_body(${target}, 'actor', ${id}, ${entry}, ${salt}, ${JSON.stringify(parts)})`.execute(
      db,
    )
    expect(foundIn(await log.audit(copy))).toEqual([
      foundOfAll('erasure-unproven', { entry: target, part: 'actor', says: `it names ${id}` }),
    ])
  })
})

test('what was put back after an erasure is found by the entry of the erasure, where nothing else says so any more', async () => {
  const put = `{"purpose": {"value": "x", "salt": "00112233445566778899aabbccddeeff"}}`
  const findings = await foundWith({
    bodies: [body(log.erasedPart, `parts = parts || '${put}', erased = '{}'`)],
    erasures: [`delete from entry_erasures where erasure = '${erasureOf.part}'`],
  })
  expect(findings).toEqual([
    found('part-changed', { ...leafOf(log.erasedPart), part: 'purpose' }),
    found('erasure-not-done', { ...leafOf(log.erasedPart), part: 'purpose', says: `${erasureOf.part} took it` }),
  ])
})

describe('what the stories tell of erasures', () => {
  const of = (kind: 'part' | 'body') => `where erasure = '${erasureOf[kind]}'`
  test.each([
    ['a part that was erased, deleted', 'part', (at: string) => `delete from entry_erasures ${at}`],
    ['a body that was erased, deleted', 'body', (at: string) => `delete from entry_erasures ${at}`],
    ['other footage', 'part', (at: string) => `update entry_erasures set subject_id = gen_random_uuid()::text ${at}`],
    ['other footage of a body', 'body', (at: string) => `update entry_erasures set subject_type = 'clip' ${at}`],
  ] as const)('is found when it is another: %s', async (_what, kind, tamper) => {
    const entry = kind === 'part' ? log.erasedPart : log.erasedBody
    const part = kind === 'part' ? 'purpose' : 'body'
    expect(await foundWith({ erasures: [tamper(of(kind))] })).toEqual([
      found('erasures-differ', { ...leafOf(entry), part, says: `of the erasure ${erasureOf[kind]}` }),
    ])
  })

  test('is found when it tells of an erasure that never was', async () => {
    const [entry, erasure] = [log.ids[30], log.ids[31]]
    const row = `'${erasure}', '${entry}', 'body', 'recording', 'r'`
    expect(await foundWith({ erasures: [`insert into entry_erasures values (${row})`] })).toEqual([
      foundOfAll('erasures-differ', { entry, part: 'body', says: `the entry names no erasure ${erasure}` }),
    ])
  })

  test('is nothing where the entry was about no footage, and is found where it was added', async () => {
    await using copy = await copyOf(log.engines)
    const { db, owner } = copy
    const { clock } = log.engines
    const by = { action: 'entry.part-erased', actor: { kind: 'service', id: 'test' } } as const
    const erasedOf = async (...parts: ('actor' | 'body')[]) =>
      await inTransaction(db, async (tx) => {
        const target = await record(tx, clock, { ...someAct, subject: { type: 'person', id: 'p' } })
        const erasures: EntryId[] = []
        for (const part of parts) erasures.push(await eraseFromEntry(tx, clock, target, part, by))
        return { target, erasure: erasures[0] }
      })
    await erasedOf('actor', 'body')
    expect(foundIn(await log.audit(copy))).toEqual([])
    const { target, erasure } = await erasedOf('actor')
    await owner.query(`insert into entry_erasures values ('${erasure}', '${target}', 'actor', 'recording', 'r')`)
    expect(foundIn(await log.audit(copy))).toEqual([
      foundOfAll('erasures-differ', { entry: target, part: 'actor', says: `of the erasure ${erasure}` }),
    ])
  })

  test('stays known of a part whose whole entry was erased later', async () => {
    await using copy = await copyOf(log.engines)
    const { db } = copy
    const { clock } = log.engines
    const by = { action: 'entry.part-erased', actor: { kind: 'service', id: 'test' } } as const
    const [target] = await writeEntries({ db, clock }, 1)
    if (target === undefined) throw new Error('nothing was written')
    const part = await inTransaction(db, async (tx) => {
      const first = await eraseFromEntry(tx, clock, target, 'actor', by)
      await eraseFromEntry(tx, clock, target, 'body', by)
      return first
    })
    expect(foundIn(await log.audit(copy))).toEqual([])
    await past(copy, 'entry_erasures', [`delete from entry_erasures where erasure = '${part}'`])
    expect(foundIn(await log.audit(copy))).toEqual([
      foundOfAll('erasures-differ', { entry: target, part: 'actor', says: `of the erasure ${part}` }),
    ])
  })
})
