import type { KyselyPlugin } from 'kysely'
import { describe, expect, test } from 'vitest'
import { cosignNewest } from '../../src/ledger/cosigning/witnesses.ts'
import { rotateLogKey } from '../../src/ledger/keys/log-rotation.ts'
import { newestCheckpoint } from '../../src/ledger/log/checkpoints.ts'
import { currentLog } from '../../src/ledger/log/log.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import type { Recovering } from '../../src/ledger/recover/plan.ts'
import { recoverLedger } from '../../src/ledger/recover/recover.ts'
import { asRecovering, auditOf, foundIn } from '../audited.ts'
import { writeEntries } from '../logged.ts'
import { longTest } from '../long.ts'
import {
  backedUp,
  bucketOf,
  haltedIn,
  keptBy,
  letWitness,
  makeRestored,
  publishedSince,
  putBack,
  recover,
  stateOf,
  waitingThen,
  withWitnesses,
} from '../restored.ts'

const full = backedUp + publishedSince

class Broken extends Error {}

/** The same engines, of which the `at`-th step fails before it is done. */
const failingAt = (recovering: Recovering, at: number): Recovering => {
  let step = 0
  const count = (): void => {
    step += 1
    if (step === at) throw new Broken()
  }
  const { store } = recovering
  const plugin: KyselyPlugin = {
    transformQuery: ({ node }) => {
      count()
      return node
    },
    transformResult: async ({ result }) => result,
  }
  return {
    ...recovering,
    db: recovering.db.withPlugin(plugin),
    store: {
      ...store,
      ...Object.fromEntries(
        (['putNew', 'put', 'delete', 'readWhole', 'list'] as const).map((name) => [
          name,
          async (...given: never[]) => {
            count()
            return await Reflect.apply(store[name], store, given)
          },
        ]),
      ),
    },
  }
}

describe('what is left where somebody has seen more', () => {
  test('a checkpoint that only a witness still holds is enough, where the store has the leaves', async () => {
    await using restored = await makeRestored()
    await using witnessed = await letWitness(restored)
    const { store } = restored.engines
    for (const key of await store.list('ledger', '1/checkpoint/')) await store.delete('ledger', key)
    for (const key of await store.list('ledger', '1/witnessed/')) await store.delete('ledger', key)
    const done = await recover(withWitnesses(restored, witnessed), { write: true })
    expect(done).toMatchObject({ checkpoint: { size: full, holder: 'The witness witness.example/w1' }, stays: null })
    await writeEntries(restored.engines, 3)
    expect(await sequence(restored.engines)).toBe(4)
    expect(foundIn(await auditOf(restored.engines, keptBy(restored)))).toEqual([])
    // The witness sees it grow.
    expect(await cosignNewest(withWitnesses(restored, witnessed).engines)).toBe(1)
  })

  test('where database and store are both older than what a witness saw, the log never goes on, and a new one does', async () => {
    await using restored = await makeRestored()
    await using witnessed = await letWitness(restored)
    const { engines, old, bucket } = restored
    await putBack(engines.store, bucket)
    // Neither of the two knows: new leaves would be a fork.
    const asked = withWitnesses(restored, witnessed)
    const done = await recover(asked, { write: true })
    expect(done.stays).toMatch(
      /witness\.example\/w1 holds a checkpoint of 601 leaves.*together have 301.*keys rotate --use log --abandon/,
    )
    expect(await haltedIn(restored)).toBe(done.stays)
    expect(done.missing).toEqual({ leaves: 0 })
    expect(await sequence(engines)).toBe(0)
    // Nothing is done twice.
    const before = await stateOf(engines)
    expect(await recover(asked, { write: true })).toMatchObject({ stays: done.stays })
    expect(await stateOf(engines)).toEqual(before)

    await using rotating = asRecovering(engines, old.ownerUrl)
    const rotated = await rotateLogKey({ ...rotating, log: engines.log }, { abandon: 'the bucket is lost' })
    expect(rotated).toMatchObject({ number: 2, left: { size: backedUp } })
    await sequence(engines)
    // What they saw beyond its last checkpoint is known to be gone.
    const report = await auditOf(engines, keptBy(restored))
    expect(report.findings).toEqual([])
    expect(report.logs).toMatchObject([
      { log: 1, size: backedUp, abandoned: 'the bucket is lost', database: true, store: true },
      // The rotation's own entry, those that waited in the backup, and the one of the recovery.
      { log: 2, size: 1 + waitingThen + 1, database: true, store: true },
    ])
    expect((await newestCheckpoint(engines.db, 2))?.size).toBe(waitingThen + 2)
  })

  longTest('what the store has is recovered all the same, where a witness has seen still more', async () => {
    await using restored = await makeRestored()
    const { engines, later } = restored
    const bucket = await bucketOf(engines.store)
    await writeEntries(later, 50)
    await sequence(later)
    await using witnessed = await letWitness(restored)
    await putBack(engines.store, bucket)
    const done = await recover(withWitnesses(restored, witnessed), { write: true })
    expect(done).toMatchObject({ missing: { leaves: publishedSince }, stays: expect.stringContaining('651 leaves') })
    expect(await haltedIn(restored)).toBe(done.stays)
    expect((await stateOf(engines)).leaves).toHaveLength(full)
  })

  longTest('a witness that does not answer is named, and holds nothing up', async () => {
    await using restored = await makeRestored()
    const witnessed = await letWitness(restored)
    await witnessed[Symbol.asyncDispose]()
    const done = await recover(withWitnesses(restored, witnessed), { write: true })
    expect(done).toMatchObject({ unasked: ['witness.example/w1'], stays: null, missing: { leaves: publishedSince } })
  })
})

test('tiles of a publication that was cut short are put aside: other leaves come in their place', async () => {
  await using restored = await makeRestored()
  const { engines, later } = restored
  const { store } = engines
  await writeEntries(later, 30)
  const crashing = {
    ...later,
    store: {
      ...store,
      putNew: async (...given: Parameters<typeof store.putNew>) => {
        if (given[1].includes('/checkpoint/')) throw new Error('the worker was killed')
        return await store.putNew(...given)
      },
    },
  }
  await expect(sequence(crashing)).rejects.toThrow('killed')
  const leftover = `1/tile/entries/002.p/${full + 30 - 512}`
  expect(await store.readWhole('ledger', leftover)).not.toBeNull()
  expect(await recover(restored)).toMatchObject({ aside: 2 })
  expect(await store.readWhole('ledger', leftover)).not.toBeNull()
  await recover(restored, { write: true })
  expect(await store.readWhole('ledger', leftover)).toBeNull()
  expect(await store.list('ledger', '1/aside/')).toHaveLength(2)
  // As many as the worker had: the same paths.
  await writeEntries(engines, 29)
  expect(await sequence(engines)).toBe(30)
  expect(await haltedIn(restored)).toBeNull()
  expect(foundIn(await auditOf(engines, keptBy(restored)))).toEqual([])
})

longTest('a log that was halted for what was mended since goes on', async () => {
  await using restored = await makeRestored()
  const { later } = restored
  await later.db.updateTable('logs').set({ halted: 'for something that was mended' }).execute()
  await using recovering = asRecovering(later, restored.lost.ownerUrl)
  const done = await recoverLedger(recovering, { write: true })
  expect(done).toMatchObject({
    has: full,
    missing: { leaves: 0 },
    halted: 'for something that was mended',
    stays: null,
  })
  expect((await currentLog(later.db))?.halted).toBeNull()
  await writeEntries(later, 3)
  expect(await sequence(later)).toBe(4)
  expect(foundIn(await auditOf(later))).toEqual([])
})

longTest('whichever step fails, all is as it was, and the next attempt does it', async () => {
  await using restored = await makeRestored()
  const before = await stateOf(restored.engines)
  let steps = 0
  for (let failed = true; failed; steps++) {
    await using recovering = asRecovering(restored.engines, restored.old.ownerUrl)
    failed = await recoverLedger(failingAt(recovering, steps + 1), { write: true }).then(
      () => false,
      (error: unknown) => {
        if (!(error instanceof Broken)) throw error
        return true
      },
    )
    if (failed) expect(await stateOf(restored.engines)).toEqual(before)
  }
  expect(steps).toBeGreaterThan(20)
  expect((await stateOf(restored.engines)).leaves).toHaveLength(full)
  await writeEntries(restored.engines, 5)
  expect(await sequence(restored.engines)).toBe(6)
  expect(foundIn(await auditOf(restored.engines, keptBy(restored)))).toEqual([])
})

test('a bucket that is lost is made again out of the database, of the log that grows and of one that has ended', async () => {
  await using restored = await makeRestored()
  const { later, lost } = restored
  const { store } = later
  await using owner = asRecovering(later, lost.ownerUrl)
  await rotateLogKey({ ...owner, log: later.log })
  await writeEntries(later, 300)
  await sequence(later)
  const before = await bucketOf(store)
  const wiped = [...before.keys()].filter((key) => key.includes('/tile/'))
  for (const key of wiped) await store.delete('ledger', key)
  expect(foundIn(await auditOf(later)).map(({ kind, log }) => [kind, log])).toEqual([
    ['bundle-missing', 1],
    ['tile-missing', 1],
    ['bundle-missing', 2],
    ['tile-missing', 2],
  ])
  await using recovering = asRecovering(later, lost.ownerUrl)
  // Of the first log three chunks and what is above, of the second two.
  expect(await recoverLedger(recovering, { write: true })).toMatchObject({
    missing: { leaves: 0 },
    tiles: 3 * 2 + 1 + 2 * 2 + 1,
  })
  const after = await bucketOf(store)
  for (const [key, bytes] of after)
    if (key.includes('/tile/')) expect(bytes.equals(before.get(key) ?? Buffer.alloc(0)), key).toBe(true)
  await writeEntries(later, 3)
  expect(await sequence(later)).toBe(4)
  expect(foundIn(await auditOf(later, keptBy(restored)))).toEqual([])
})

longTest('a tile that was altered is made again once it is deleted', async () => {
  await using restored = await makeRestored()
  const { later, lost } = restored
  await later.store.delete('ledger', '1/tile/0/001')
  await later.store.delete('ledger', '1/tile/entries/000')
  await using recovering = asRecovering(later, lost.ownerUrl)
  expect(await recoverLedger(recovering)).toMatchObject({ tiles: 2, missing: { leaves: 0 } })
  await recoverLedger(recovering, { write: true })
  expect(foundIn(await auditOf(later, keptBy(restored)))).toEqual([])
})
