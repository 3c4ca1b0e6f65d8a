import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inTransaction } from '../../src/engines/postgres.ts'
import { rotateLogKey } from '../../src/ledger/keys/log-rotation.ts'
import { newestCheckpoint } from '../../src/ledger/log/checkpoints.ts'
import { beginLog } from '../../src/ledger/log/log.ts'
import { entryOfLeaf } from '../../src/ledger/log/queries.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { eraseFromEntry } from '../../src/ledger/record.ts'
import { asRecovering, auditOf, copyOf, type Database, foundIn, onDatabase } from '../audited.ts'
import { found, past } from '../audited-log.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { writeEntries } from '../logged.ts'
import { bucketOf, putBack } from '../restored.ts'
import { makeNoteKey } from '../small-log.ts'

/** A checkpoint, and so many leaves after it. */
const [early, late] = [256, 44]
const full = early + late

/** Everything after the early checkpoint goes: from the database as its owner, and from the bucket. */
const cutTail = async (database: Database, { store }: TestEngines) => {
  await database.owner.query(`create table gone as select entry from leaves where log = 1 and index >= ${early}`)
  for (const table of ['entries', 'entry_bodies'])
    await past(database, table, [`delete from ${table} where id in (select entry from gone)`])
  await past(database, 'leaves', [`delete from leaves where log = 1 and index >= ${early}`])
  await past(database, 'checkpoints', [`delete from checkpoints where log = 1 and size > ${early}`])
  for (const key of ['checkpoint/0000000000000300', `tile/0/001.p/${late}`, `tile/entries/001.p/${late}`])
    await store.delete('ledger', `1/${key}`)
}

describe.each([
  ['that has ended', {}],
  ['that was left as it stood', { abandon: 'the bucket was lost' }],
])('a log %s', (_how, wish) => {
  let engines: TestEngines
  let copy: Database
  let given: { object: string; note: string }[]
  beforeAll(async () => {
    engines = await testEngines()
    await beginLog(engines)
    for (const count of [early - 1, late]) {
      await writeEntries(engines, count)
      await sequence(engines)
    }
    given = [{ object: 'kept', note: (await newestCheckpoint(engines.db, 1))?.note ?? '' }]
    await using owner = asRecovering(engines, engines.ownerUrl)
    await rotateLogKey({ ...owner, log: engines.log }, wish)
    await sequence(engines)
    copy = await copyOf(engines)
  }, 120_000)
  afterAll(async () => {
    await copy[Symbol.asyncDispose]()
    await engines[Symbol.asyncDispose]()
  })

  test('has all the leaves of the last checkpoint, which the next log carries', async () => {
    const report = await auditOf(onDatabase(engines, copy), given)
    expect(report.findings).toEqual([])
    expect(report.logs[0]).toMatchObject({ size: full, leaves: full, database: true, store: true })
  })

  test('and is missed where its end was cut off, in the database and in the bucket alike', async () => {
    const bucket = await bucketOf(engines.store)
    await using cut = await copyOf(engines)
    await cutTail(cut, engines)
    const report = await auditOf(onDatabase(engines, cut), given)
    await putBack(engines.store, bucket)
    expect(foundIn(report)).toEqual([
      found('database-behind', { index: early, size: full, says: `the database has ${early}` }, late),
      found('bundle-missing', { index: early, object: `1/tile/entries/001.p/${late}` }),
      found('tile-missing', { index: early, object: `1/tile/0/001.p/${late}` }),
    ])
    expect(report.logs[0]).toMatchObject({ size: early, database: false })
  })

  test('and is found out where it was signed anew with another key', async () => {
    await using forged = await copyOf(engines)
    const { key } = makeNoteKey('elsewhere.example')
    const x = key.publicKey.toString('base64url')
    await forged.owner.query(`update logs set jwk = jsonb_set(jwk, '{x}', '"${x}"') where number = 1`)
    const findings = foundIn(await auditOf(onDatabase(engines, forged)))
    const says = 'it is not signed by the key of this log'
    expect(findings).toContainEqual(found('end-unproven', { object: 'the first leaf of log 2', says }))
  })

  test('and is not excused by a lawful erasure of what the next log says of it', async () => {
    await using silent = await copyOf(engines)
    const { db } = silent
    const first = await entryOfLeaf(db, 2, 0)
    const act = { action: 'entry.part-erased', actor: { kind: 'operator', id: 'nobody' } } as const
    await inTransaction(db, async (tx) => {
      if (first != null) await eraseFromEntry(tx, engines.clock, first, 'detail', act)
    })
    expect(foundIn(await auditOf(onDatabase(engines, silent)))).toEqual([
      found('end-unproven', { says: 'no first leaf of another log names it' }),
    ])
  })
})
