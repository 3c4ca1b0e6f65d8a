import { setTimeout as delay } from 'node:timers/promises'
import { sql } from 'kysely'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sha256 } from '../../src/base/digest.ts'
import type { EntryId } from '../../src/base/ids.ts'
import { parseProof, verifyProof } from '../../src/base/tlog-proof.ts'
import { systemClock } from '../../src/engines/clock.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { makeStore } from '../../src/engines/store.ts'
import { newestCheckpoint } from '../../src/ledger/log/checkpoints.ts'
import { beginLog, currentLog, logKeyOf } from '../../src/ledger/log/log.ts'
import { placesOf, proofOf, proofsAt } from '../../src/ledger/log/proofs.ts'
import { numberEntries } from '../../src/ledger/log/queries.ts'
import { isSequencingOwed, sequence, startSequencer, untilDue } from '../../src/ledger/log/sequencer.ts'
import { eraseFromEntry, record } from '../../src/ledger/record.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { faultyStore } from '../faulty-store.ts'
import { proveLog, someAct, writeEntries } from '../logged.ts'
import { manyEntries } from '../many-entries.ts'
import { eventually } from '../system.ts'

const clock = {
  at: new Date('2026-11-25T10:00:00Z'),
  now: () => clock.at,
  instant: () => Temporal.Instant.from(clock.at.toISOString()),
}
let engines: TestEngines
beforeEach(async () => {
  engines = await testEngines({ clock })
  await beginLog(engines)
})
afterEach(async () => await engines[Symbol.asyncDispose]())

const log = async () => {
  const found = await currentLog(engines.db)
  if (found === undefined) throw new Error('there is no log')
  return found
}
const proven = async (entry: EntryId) => {
  const answer = await proofOf(engines, entry)
  const proof = 'proof' in answer ? parseProof(answer.proof) : null
  if (proof === null) throw new Error('there is no proof')
  const { leaf } = await engines.db
    .selectFrom('entries')
    .select('leaf')
    .where('id', '=', entry)
    .executeTakeFirstOrThrow()
  expect(proof.extra).toEqual(leaf)
  return verifyProof(proof, leaf, logKeyOf(await log()))
}
const asOwner = async (...statements: string[]) => {
  const owner = new Client({ connectionString: engines.ownerUrl })
  await owner.connect()
  try {
    for (const statement of statements) await owner.query(statement)
  } finally {
    await owner.end()
  }
}

test('a log begins once, with its own entry as the first leaf, and keeps its name', async () => {
  const first = await log()
  await Promise.all(Array.from({ length: 4 }, async () => await beginLog(engines)))
  expect(await log()).toEqual(first)
  expect(first.origin).toMatch(/^exhibit\.local\/[0-9a-f]{16}$/)
  expect(await sequence(engines)).toBe(1)
  const rows = await engines.db.selectFrom('entryBodies').select('parts').where('action', '=', 'log.begun').execute()
  expect(rows).toMatchObject([{ parts: { detail: { value: { origin: first.origin } } } }])
})

test('a log bears the name that is configured', async () => {
  await using named = await testEngines({ env: { LOG_ORIGIN: 'log.example.org/force' } })
  await beginLog(named)
  expect((await currentLog(named.db))?.origin).toBe('log.example.org/force')
})

test('every entry comes under a checkpoint and can be proven by the log’s key, whatever the batches', async () => {
  const entries: EntryId[] = []
  for (const count of [1, 2, 254, 3, 700, 5]) {
    entries.push(...(await writeEntries(engines, count)))
    await sequence(engines, { most: 300 })
  }
  expect(await proveLog(engines)).toBe(966)
  for (const entry of [...entries.slice(0, 4), ...entries.slice(250, 262), ...entries.slice(-4)])
    expect(await proven(entry)).toHaveProperty('head.size', 966)
  expect(await isSequencingOwed(engines)).toBe(false)
  expect(await sequence(engines)).toBe(0)
})

test('proofs against one checkpoint leave out what it does not cover', async () => {
  const [early] = await writeEntries(engines, 20)
  await sequence(engines)
  const checkpoint = await newestCheckpoint(engines.db, 1)
  const [late] = await writeEntries(engines, 1)
  await sequence(engines)
  if (checkpoint === undefined || early === undefined || late === undefined) throw new Error('nothing was published')
  const proofs = await proofsAt(engines, checkpoint, [early, late])
  expect([...proofs.keys()]).toEqual([early])
  expect(parseProof(proofs.get(early) ?? '')?.checkpoint).toBe(checkpoint.note)
})

test('partial tiles go when the full one is there, and the checkpoint of each size stays provable', async () => {
  for (let n = 0; n < 9; n++) {
    await writeEntries(engines, 60)
    await sequence(engines)
  }
  const keys = await engines.store.list('ledger', '1/tile/')
  expect(keys.filter((key) => key.includes('.p/')).sort()).toEqual([
    '1/tile/0/002.p/29',
    '1/tile/1/000.p/1',
    '1/tile/1/000.p/2',
    '1/tile/entries/002.p/29',
  ])
  expect(await proveLog(engines)).toBe(541)
  expect((await engines.store.list('ledger', '1/checkpoint/')).length).toBeLessThanOrEqual(3)
})

test('partial tiles that a publication left which was cut off go as well, once the full one is there', async () => {
  await writeEntries(engines, 255)
  await sequence(engines)
  for (const tile of ['0/001.p/44', 'entries/001.p/44'])
    await engines.store.put('ledger', `1/tile/${tile}`, Buffer.alloc(1), sha256(Buffer.alloc(1)))
  await writeEntries(engines, 344)
  await sequence(engines)
  const keys = await engines.store.list('ledger', '1/tile/')
  expect(keys.filter((key) => /00[01]\.p\//.test(key) && !key.includes('/tile/1/'))).toEqual([])
  expect(await proveLog(engines)).toBe(600)
})

test('however long the interval, and however many workers there are, there is one checkpoint an interval at most', async () => {
  const at = (time: string) => new Date(`2026-11-25T${time}Z`)
  expect(untilDue(at('10:00:00'), at('10:01:00'), 3_600_000)).toBe(3_540_000)
  expect(untilDue(at('10:00:00'), at('11:00:00'), 3_600_000)).toBe(0)
  expect(untilDue(undefined, at('10:00:00'), 3_600_000)).toBe(0)
  expect(untilDue(at('10:00:00'), at('09:00:00'), 3_600_000)).toBe(0)

  const config = { ...engines.config, LEDGER_INTERVAL_SECONDS: 2 }
  const workers = Array.from({ length: 3 }, () => ({ ...engines, clock: systemClock, config }))
  const end = new AbortController()
  const working = workers.map(async (worker) => await startSequencer(worker, end.signal))
  const sizes = async () => await engines.db.selectFrom('checkpoints').select(['size', 'at']).orderBy('size').execute()
  await eventually('four checkpoints', async () => {
    await writeEntries(engines, 1)
    return (await sizes()).length >= 4 ? true : undefined
  })
  end.abort()
  await Promise.all(working)
  const times = (await sizes()).map((row) => row.at.getTime())
  const gaps = times.slice(1).map((time, n) => time - (times[n] ?? 0))
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(2000)
})

test('a worker that looks for the newest checkpoint while others replace it looks once more, and halts nothing', async () => {
  await using store = await faultyStore(engines.config.S3_ENDPOINT)
  const slow = { ...engines, store: makeStore({ ...engines.config, S3_ENDPOINT: store.endpoint }) }
  await writeEntries(engines, 1)
  await sequence(engines)
  const trap = store.on(
    'read of the log',
    async ({ request, pass }) => {
      if (request.url?.includes('/checkpoint/') !== true) return pass()
      // What others do meanwhile, whose lease came after this one's.
      for (let n = 0; n < 4; n++) {
        await asOwner('update logs set publisher = null, leased_until = null')
        await writeEntries(engines, 1)
        await sequence({ ...engines })
      }
      return pass()
    },
    1,
  )
  await writeEntries(engines, 1)
  await sequence(slow)
  expect(trap.count()).toBe(1)
  slow.store.close()
  expect((await log()).halted).toBeNull()
  await sequence(engines)
  expect(await proveLog(engines)).toBe(7)
})

test('an entry whose transaction commits late becomes a leaf when it does, and none is skipped', async () => {
  const [begun, go] = [Promise.withResolvers<EntryId>(), Promise.withResolvers<void>()]
  const late = inTransaction(engines.db, async (tx) => {
    begun.resolve(await record(tx, engines.clock, someAct))
    await go.promise
  })
  const id = await begun.promise
  const [early] = await writeEntries(engines, 3)
  await sequence(engines)
  expect((await placesOf(engines.db, [id])).size).toBe(0)
  go.resolve()
  await late
  expect(await proofOf(engines, id)).toEqual({ owed: true })
  await sequence(engines)
  expect(await proven(id)).toHaveProperty('head')
  if (early !== undefined) expect(await proven(early)).toHaveProperty('head')
  await proveLog(engines)
})

test('a clock that jumps backwards changes neither the order nor the completeness of the log', async () => {
  await writeEntries(engines, 3)
  await sequence(engines)
  clock.at = new Date('2020-01-01T00:00:00Z')
  const [entry] = await writeEntries(engines, 3)
  // As a publisher left it that stood when the database's own clock was a day ahead.
  await asOwner("update logs set publisher = 'another', leased_until = now() + interval '1 day'")
  await sequence(engines)
  clock.at = new Date('2026-11-25T10:00:00Z')
  expect(await proveLog(engines)).toBe(7)
  if (entry !== undefined) expect(await proven(entry)).toHaveProperty('head')
})

test('sequencers that run at once do not number or publish anything twice', async () => {
  const others = Array.from({ length: 3 }, () => ({ ...engines }))
  const writing = (async () => {
    for (let n = 0; n < 20; n++) await writeEntries(engines, 13)
  })()
  await Promise.all([
    writing,
    ...[engines, ...others].map(async (one) => {
      for (let n = 0; n < 15; n++) await sequence(one, { most: 50 })
    }),
  ])
  while (await isSequencingOwed(engines)) await sequence(engines)
  expect(await proveLog(engines)).toBe(261)
})

test('the proof of an entry that nobody wrote is not found', async () => {
  await expect(proofOf(engines, '01a2107f-f878-7b43-9c50-4fa401b6f2b1' as EntryId)).rejects.toMatchObject({
    code: 'not-found',
  })
})

test('erasing a body, a part or a salt leaves every proof valid, of that entry too', async () => {
  const [erased, other] = await writeEntries(engines, 2)
  if (erased === undefined || other === undefined) throw new Error('nothing was written')
  await sequence(engines)
  const act = { action: 'entry.erased', actor: { kind: 'service', id: 'test' } } as const
  await inTransaction(engines.db, async (tx) => await eraseFromEntry(tx, engines.clock, erased, 'actor', act))
  await inTransaction(engines.db, async (tx) => await eraseFromEntry(tx, engines.clock, erased, 'body', act))
  await sequence(engines)
  expect(await proven(erased)).toHaveProperty('head.size', 5)
  expect(await proven(other)).toHaveProperty('head.size', 5)
  await proveLog(engines)
})

test('the application can neither make a leaf nor change what is published, but by the function that numbers', async () => {
  await writeEntries(engines, 1)
  await sequence(engines)
  const statements = [
    'insert into leaves (log, index, entry) values (1, 99, null)',
    'update leaves set index = 99',
    'delete from leaves',
    'truncate leaves cascade',
    'delete from unsequenced',
    'update checkpoints set size = 99',
    'delete from checkpoints',
    "update logs set origin = 'other'",
    'update logs set to_at = now()',
  ]
  for (const statement of statements)
    await expect(sql.raw(statement).execute(engines.db)).rejects.toThrow(/permission denied|refused/)
  const byOwner = [
    'update leaves set index = 99',
    'delete from leaves',
    'delete from checkpoints',
    'truncate leaves cascade',
  ]
  for (const statement of byOwner) await expect(asOwner(statement)).rejects.toThrow(/refused/)
})

test('a checkpoint that is not larger than the newest is refused by the database', async () => {
  await writeEntries(engines, 4)
  await sequence(engines)
  const smaller = { log: 1, size: 3, root: Buffer.alloc(32), note: 'x', at: clock.now() }
  await expect(engines.db.insertInto('checkpoints').values(smaller).execute()).rejects.toThrow(/refused/)
})

const halted = async () => (await log()).halted

test('where an entry was deleted behind the log’s back nothing more is published, and the log says why', async () => {
  await writeEntries(engines, 4)
  await sequence(engines)
  const [gone] = await writeEntries(engines, 1)
  await asOwner('alter table entries disable trigger user', `delete from entries where id = '${gone}'`)
  await asOwner('alter table entries enable trigger user')
  expect(await sequence(engines)).toBe(0)
  expect(await halted()).toMatch(/entry of leaf 5 is no longer in the database/)
  await writeEntries(engines, 1)
  expect(await sequence(engines)).toBe(0)
  expect(await isSequencingOwed(engines)).toBe(false)
})

test('a leaf that was altered behind the log’s back is not published over what was', async () => {
  const [altered] = await writeEntries(engines, 4)
  await sequence(engines)
  await asOwner('alter table entries disable trigger user')
  await asOwner(`update entries set leaf = sha256('other') where id = '${altered}'`)
  await asOwner('alter table entries enable trigger user')
  await writeEntries(engines, 1)
  await sequence(engines)
  expect(await halted()).toMatch(/do not fit the checkpoint of 5 leaves/)
})

test('a tile that holds something else in the store is never overwritten, and the log halts', async () => {
  await writeEntries(engines, 4)
  const other = Buffer.alloc(5 * 32, 1)
  await engines.store.put('ledger', '1/tile/0/000.p/5', other, sha256(other))
  await sequence(engines)
  expect(await halted()).toMatch(/holds other bytes under 1\/tile\/0\/000\.p\/5/)
  expect(await engines.store.readWhole('ledger', '1/tile/0/000.p/5')).toEqual(other)
})

test('a checkpoint in the store that is larger than the database stops the log before anything is numbered', async () => {
  await writeEntries(engines, 4)
  await sequence(engines)
  const note = (await engines.store.readWhole('ledger', '1/checkpoint/0000000000000005')) ?? Buffer.alloc(0)
  await engines.store.put('ledger', '1/checkpoint/0000000000000009', note, sha256(note))
  await writeEntries(engines, 1)
  await sequence(engines)
  // Its name says 9 and its signed text 5: what is signed counts.
  expect(await halted()).toBeNull()
  const forged = Buffer.from('not a note')
  await engines.store.put('ledger', '1/checkpoint/0000000000000010', forged, sha256(forged))
  await writeEntries(engines, 1)
  await sequence(engines)
  expect(await halted()).toMatch(/not signed by this log/)
})

test('a backlog is numbered by looking at each entry a few times, though none waited when the database last counted', async () => {
  const many = 20_000
  const seen = async () => {
    const { rows } = await sql<{ rows: number; gone: number }>`
      select seq_tup_read + coalesce(idx_tup_fetch, 0) as rows, n_tup_del as gone
      from pg_stat_user_tables where relname = 'unsequenced'`.execute(engines.db)
    return rows[0] ?? { rows: 0, gone: 0 }
  }
  // The database tells what was read a while after it was.
  const seenOnce = async (gone: number) => {
    for (;;) {
      const now = await seen()
      if (now.gone >= gone) return now
      await delay(50)
    }
  }
  await manyEntries(engines.db, many)
  while ((await numberEntries(engines.db, many)) > 0);
  await asOwner('vacuum (analyze, truncate off) unsequenced')
  await manyEntries(engines.db, many)
  const before = await seenOnce(many)
  expect(await numberEntries(engines.db, many)).toBe(many)
  const after = await seenOnce(before.gone + many)
  expect(after.rows - before.rows).toBeLessThan(10 * many)
})
