import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/base/digest.ts'
import type { EntryId } from '../../src/base/ids.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { rotateLogKey } from '../../src/ledger/keys/log-rotation.ts'
import { beginLog, logByNumber } from '../../src/ledger/log/log.ts'
import { sequence, startSequencer } from '../../src/ledger/log/sequencer.ts'
import { eraseFromEntry } from '../../src/ledger/record.ts'
import { asRecovering, auditOf, copyOf, foundIn, onDatabase } from '../audited.ts'
import { found, past } from '../audited-log.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { writeEntries } from '../logged.ts'
import { longTest } from '../long.ts'
import { manyEntries } from '../many-entries.ts'

describe('a log that has ended', () => {
  let engines: TestEngines
  beforeAll(async () => {
    engines = await testEngines()
    await beginLog(engines)
    await writeEntries(engines, 299)
    await sequence(engines)
    await using owner = asRecovering(engines, engines.ownerUrl)
    await rotateLogKey({ ...owner, log: engines.log })
    await writeEntries(engines, 40)
    await sequence(engines)
  }, 120_000)
  afterAll(async () => await engines[Symbol.asyncDispose]())

  test('is audited with the one that grows', async () => {
    const report = await auditOf(engines)
    expect(report.findings).toEqual([])
    expect(report.logs).toMatchObject([
      { log: 1, size: 300, leaves: 300, database: true, store: true },
      { log: 2, size: 41, leaves: 41, database: true, store: true },
    ])
  })

  test('is found out by its number when it was tampered with, in the database or in the store', async () => {
    const { store } = engines
    const tile = '1/tile/0/000'
    const before = (await store.readWhole('ledger', tile)) ?? Buffer.alloc(0)
    const changed = Buffer.from(before)
    changed.writeUInt8(changed.readUInt8(32 * 99) ^ 1, 32 * 99)
    await store.put('ledger', tile, changed, sha256(changed))
    await using copy = await copyOf(engines)
    const { rows } = await copy.owner.query<{ entry: EntryId }>('select entry from leaves where log = 1 and index = 5')
    const entry = rows[0]?.entry
    await past(copy, 'entry_bodies', [`delete from entry_bodies where id = '${entry}'`])
    expect(foundIn(await auditOf(onDatabase(engines, copy)))).toEqual([
      found('body-deleted', { index: 5, entry }),
      found('tile-differs', { index: 99, object: tile }),
    ])
    await store.put('ledger', tile, before, sha256(before))
    await copy.owner.query(
      'alter table leaves disable trigger user; insert into leaves values (1, 300, null); alter table leaves enable trigger user',
    )
    expect(foundIn(await auditOf(onDatabase(engines, copy)))).toContainEqual(
      found('leaves-unpublished', { index: 300 }),
    )
  })
})

test('a log that was taken out of the database, leaves, entries and all, is missed by the one that followed it', async () => {
  await using engines = await testEngines()
  await beginLog(engines)
  await sequence(engines)
  await using owner = asRecovering(engines, engines.ownerUrl)
  await rotateLogKey({ ...owner, log: engines.log })
  const { origin } = await logByNumber(engines.db, 1)
  await using copy = await copyOf(engines)
  await copy.owner.query('create table gone as select entry from leaves where log = 1')
  for (const table of ['entries', 'entry_bodies'])
    await past(copy, table, [`delete from ${table} where id in (select entry from gone)`])
  await past(copy, 'leaves', ['delete from leaves where log = 1'])
  await past(copy, 'checkpoints', ['delete from checkpoints where log = 1'])
  await copy.owner.query('delete from logs where number = 1')
  expect(foundIn(await auditOf(onDatabase(engines, copy)))).toEqual([
    { kind: 'log-missing', log: 2, count: 1, object: origin, says: 'it is named by the first leaf of this log' },
  ])
})

test('a log that has not begun, and one that has published nothing yet, have no finding', async () => {
  await using engines = await testEngines()
  expect(await auditOf(engines)).toMatchObject({ ok: true, logs: [], owed: 0 })
  await beginLog(engines)
  expect(await auditOf(engines)).toMatchObject({ ok: true, logs: [{ size: 0, root: null, leaves: 0 }], owed: 1 })
})

test('an audit beside everything that goes on finds nothing, however often it is run', async () => {
  await using engines = await testEngines()
  await beginLog(engines)
  const stop = new AbortController()
  const running = startSequencer({ ...engines, config: { ...engines.config, LEDGER_INTERVAL_SECONDS: 0 } }, stop.signal)
  const by = { action: 'entry.erased', actor: { kind: 'service', id: 'test' } } as const
  let written = 0
  const writing = (async () => {
    while (!stop.signal.aborted) {
      const [a, b] = await writeEntries(engines, 1 + (written % 90))
      written += 1 + (written % 90)
      await inTransaction(engines.db, async (tx) => {
        if (a !== undefined) await eraseFromEntry(tx, engines.clock, a, 'actor', by)
        if (b !== undefined) await eraseFromEntry(tx, engines.clock, b, 'body', by)
      })
    }
  })()
  const leaves: number[] = []
  for (let n = 0; n < 12; n++) {
    const report = await auditOf(engines)
    expect(report.findings).toEqual([])
    leaves.push(report.logs[0]?.leaves ?? 0)
  }
  stop.abort()
  await Promise.all([writing, running])
  await sequence(engines)
  expect(foundIn(await auditOf(engines))).toEqual([])
  expect(leaves.at(-1)).toBeGreaterThan(leaves[0] ?? 0)
}, 120_000)

longTest(
  'a tree of three levels of tiles is recomputed, and what is wrong with the upper ones is found',
  async () => {
    await using engines = await testEngines()
    const { store } = engines
    await beginLog(engines)
    await manyEntries(engines.db, 66_000)
    await sequence(engines)
    const report = await auditOf(engines)
    expect(report.findings).toEqual([])
    expect(report.logs[0]).toMatchObject({ size: 66_001, leaves: 66_001, database: true, store: true })
    const upper = '1/tile/1/000'
    const bytes = (await store.readWhole('ledger', upper)) ?? Buffer.alloc(0)
    expect(bytes).toHaveLength(8192)
    bytes.writeUInt8(bytes.readUInt8(32 * 200 + 7) ^ 1, 32 * 200 + 7)
    await store.put('ledger', upper, bytes, sha256(bytes))
    await store.delete('ledger', '1/tile/2/000.p/1')
    expect(foundIn(await auditOf(engines))).toEqual([
      found('tile-differs', { index: 200 * 256, object: upper }),
      found('tile-missing', { index: 0, object: '1/tile/2/000.p/1' }),
    ])
  },
  240_000,
)
