import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { RecordingId } from '../../src/base/ids.ts'
import { keepSidecar } from '../../src/custody/keep-sidecar.ts'
import { registerReceiptKey } from '../../src/ledger/keys/receipt-keys.ts'
import { beginLog } from '../../src/ledger/log/log.ts'
import { kept } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { runOf } from '../footsteps.ts'
import { times } from '../long.ts'
import { derived, inForce, keepers, locksOver, movedClock, purged, statusOf, stored } from '../retained.ts'
import { besides, keepOwed, owed, tell } from '../sidecars.ts'

const clock = movedClock()
const day = 86_400_000
let engines: TestEngines
beforeAll(async () => {
  engines = await testEngines({ clock, env: { PURGE_CLOCK_MINUTES: '99999999', RETENTION_LOCK_SECONDS: '1' } })
  await registerReceiptKey(engines)
  await beginLog(engines)
  await inForce(engines, await keepers(engines), { category: null, trigger: 'recorded', period: 'P1D' })
})
afterAll(async () => await engines[Symbol.asyncDispose]())
beforeEach(() => {
  clock.ahead = 0
})

const overdue = async (count: number): Promise<RecordingId[]> => {
  const ids: RecordingId[] = []
  for (let n = 0; n < count; n++) {
    const id = await kept(engines, randomBytes(64), { recordedAt: new Date(Date.now() - 9 * day) })
    await tell(engines, id)
    ids.push(id)
  }
  return ids
}
/** The purge that hides them was, and their grace is over. */
const graceOver = async () => {
  clock.ahead = 40 * day
  await locksOver(engines)
}

test('an erasure takes the sidecar with the rest, counts it, and no job brings it back', async () => {
  const [id] = await overdue(1)
  if (id === undefined) throw new Error('one recording')
  await derived(engines, id)
  await keepOwed(engines)
  await purged(engines)
  await keepOwed(engines)
  expect(await besides(engines, id)).toHaveLength(1)
  await graceOver()
  const objects = (await stored(engines, id)).length + 1
  expect(await purged(engines)).toMatchObject({ erased: 1, failed: 0 })
  expect(await besides(engines, id)).toEqual([])
  const erasure = await engines.db.selectFrom('erasures').select('objects').where('recording', '=', id).execute()
  expect(erasure).toEqual([{ objects }])
  expect(await owed(engines)).toEqual([id])
  expect(await keepOwed(engines)).toEqual(['skipped'])
  expect(await besides(engines, id)).toEqual([])
  const row = await engines.db.selectFrom('sidecars').selectAll().where('recording', '=', id).execute()
  expect(row).toMatchObject([{ owed: false, log: null, index: null, signedAt: null }])
})

test('an erasure at the same moment as sidecars are written leaves none, however often', async () => {
  const many = times(10, 50)
  const ids = await overdue(many)
  await keepOwed(engines)
  await purged(engines)
  await graceOver()
  for (const id of ids) expect(await besides(engines, id)).toHaveLength(1)
  let erasing = true
  const outcomes = new Set<string>()
  const writing = [0, 1, 2].map(async (nth) => {
    for (let n = nth; erasing; n += 3) {
      const id = ids[n % ids.length]
      if (id === undefined) continue
      const end = await keepSidecar(engines, id, runOf())
      outcomes.add(end.outcome === 'done' ? 'done' : end.because)
    }
  })
  expect(await purged(engines)).toMatchObject({ erased: many, failed: 0 })
  erasing = false
  await Promise.all(writing)
  expect(outcomes).toContain('done')
  for (const id of ids) {
    expect(await statusOf(engines, id)).toBe('erased')
    expect(await besides(engines, id)).toEqual([])
    await keepSidecar(engines, id, runOf())
    expect(await besides(engines, id)).toEqual([])
  }
})

test('an erasure that went by while a writer stood still, its connection lost, leaves nothing of what it writes afterwards', async () => {
  const [id] = await overdue(1)
  if (id === undefined) throw new Error('one recording')
  await keepOwed(engines)
  await purged(engines)
  await graceOver()
  const { store } = engines
  let stood = 0
  const put: typeof store.put = async (...given) => {
    stood += 1
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where state = 'idle in transaction' and datname = current_database()`.execute(engines.db)
    expect(await purged(engines)).toMatchObject({ erased: 1 })
    await store.put(...given)
    expect(await besides(engines, id)).toHaveLength(1)
  }
  await expect(keepSidecar({ ...engines, store: { ...store, put } }, id, runOf())).rejects.toThrow()
  expect(stood).toBe(1)
  expect(await besides(engines, id)).toEqual([])
})
