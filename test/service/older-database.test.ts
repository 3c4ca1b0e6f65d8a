import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { vkeyOf } from '../../src/base/note.ts'
import type { Engines } from '../../src/engines/engines.ts'
import type { Store } from '../../src/engines/store.ts'
import { cosignNewest } from '../../src/ledger/cosigning/witnesses.ts'
import { rotateLogKey } from '../../src/ledger/keys/log-rotation.ts'
import { registerReceiptKey } from '../../src/ledger/keys/receipt-keys.ts'
import { beginLog } from '../../src/ledger/log/log.ts'
import { numberedSize } from '../../src/ledger/log/queries.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { recoverLedger } from '../../src/ledger/recover/recover.ts'
import { asRecovering, auditOf, copyOf, foundIn, onDatabase } from '../audited.ts'
import { kept } from '../catalogued.ts'
import { grow, logOf, logVkey, withWitnesses } from '../cosigned.ts'
import { testEngines } from '../engines.ts'
import { hostileWitness, lineBy, says, sizeIn, witnessKey } from '../hostile-witness.ts'
import { writeEntries } from '../logged.ts'
import { backedUp, makeRestored, publishedSince, putBack } from '../restored.ts'
import { asRotating } from '../rotated.ts'
import { keepOwed, owed, readSidecar, runOwed, tell } from '../sidecars.ts'
import { startWitness, temporaryFolder } from '../witnessing.ts'

/** Nobody answers there. */
const awayWitness = async () => {
  const witness = await hostileWitness(says(200, ''))
  await witness[Symbol.asyncDispose]()
  return witness.entry
}

const waitingForLocks = async ({ db }: Pick<Engines, 'db'>): Promise<number> => {
  const { rows } = await sql`
    select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
  return rows.length
}

/** A witness as the standard has them that shows nobody what it has seen. */
const showsNothing = async () => {
  const key = witnessKey('witness.example/other')
  let has = 0
  const witness = await hostileWitness(({ method, body, text }, response) => {
    if (method !== 'POST') {
      response.writeHead(404).end()
      return
    }
    if (/^old (\d+)\n/.exec(body)?.[1] !== String(has)) {
      response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end(`${has}\n`)
      return
    }
    has = sizeIn(text)
    response.end(lineBy(key, text))
  }, key)
  const forget = () => {
    has = 0
  }
  return { ...witness, forget }
}

test('an older database is halted by what the bucket alone holds, also while no witness answers', async () => {
  await using restored = await makeRestored()
  const own = withWitnesses(restored.engines, await awayWitness())
  await writeEntries(own, 3)
  expect(await sequence(own)).toBe(0)
  expect((await logOf(own.db)).halted).toMatch(/^The log was published with 601 leaves and this database has 301/)
})

test('a sidecar, which may be the last copy of what the log had, stays as it is while no witness says how far it had grown', async () => {
  await using first = await testEngines()
  await registerReceiptKey(first)
  await beginLog(first)
  const id = await kept(first, randomBytes(10))
  await tell(first, id, 2)
  await owed(first)
  await using old = await copyOf(first)
  await using lost = await copyOf(first)
  const later = onDatabase(first, lost)
  await runOwed(later)
  await tell(later, id, 5)
  await keepOwed(later)
  const before = (await readSidecar(later, id)).leaves.size

  // The bucket was lost with the database, and with it what could have told.
  await putBack(first.store, new Map())
  const restored = withWitnesses(onDatabase(first, old), await awayWitness())
  await expect(sequence(restored)).rejects.toThrow(/no witness says/)
  await runOwed(restored)
  expect((await readSidecar(later, id)).leaves.size).toBe(before)

  const answered = { ...restored, config: { ...restored.config, LEDGER_WITNESSES: [] } }
  // It was owed once more, for a minute later.
  await answered.db
    .updateTable('jobs')
    .set({ dueAt: new Date(0) })
    .where('state', '=', 'owed')
    .execute()
  await runOwed(answered)
  expect((await readSidecar(answered, id)).leaves.size).toBeLessThan(before)
})

test('a witness that serves nothing of what it cosigned is asked by showing it what it has left behind', async () => {
  await using witness = await showsNothing()
  await using restored = await makeRestored()
  const old = withWitnesses(restored.engines, witness.entry)
  expect(await cosignNewest(old)).toBe(1)
  expect(await cosignNewest(withWitnesses(restored.later, witness.entry))).toBe(1)
  await putBack(old.store, restored.bucket)

  await writeEntries(old, 40)
  await expect(sequence({ ...old })).rejects.toThrow(
    new RegExp(`witness.example/other, which speaks of ${backedUp + publishedSince} leaves and does not show them`),
  )
  expect(await numberedSize(old.db, 1)).toBe(backedUp)
  const { db, store, config } = old
  expect(await auditOf({ db, store, config })).toMatchObject({ findings: [], unasked: ['witness.example/other'] })
})

test('one that serves nothing and has seen no more than there is holds nobody up', async () => {
  await using witness = await showsNothing()
  await using engines = await testEngines()
  await beginLog(engines)
  const own = withWitnesses(engines, witness.entry)
  await grow(own, 3)
  expect(await cosignNewest(own)).toBe(1)
  await writeEntries(own, 2)
  expect(await sequence({ ...own })).toBe(2)
  const { db, store, config } = own
  expect(await auditOf({ db, store, config })).toMatchObject({ ok: true, unasked: [] })
})

test('a witness that has seen nothing does not speak for another that is away', async () => {
  await using engines = await testEngines()
  await beginLog(engines)
  await grow(engines, 3)
  await writeEntries(engines, 2)
  await using place = await temporaryFolder()
  await using fresh = await startWitness({ data: place.path, logs: [await logVkey(engines.db)] })
  const own = withWitnesses(engines, await awayWitness(), `${vkeyOf(fresh.key)} ${fresh.url}`)
  await expect(sequence(own)).rejects.toThrow(/no witness says .*witness.example\/hostile/)
  expect(await cosignNewest(own)).toBe(1)
  expect(await sequence(own)).toBe(2)
})

test('a worker that starts while another numbers, publishes and has it cosigned halts nothing', async () => {
  await using engines = await testEngines()
  await beginLog(engines)
  await using place = await temporaryFolder()
  await using witness = await startWitness({ data: place.path, logs: [await logVkey(engines.db)] })
  const first = withWitnesses(engines, `${vkeyOf(witness.key)} ${witness.url}`)
  await grow(first, 5)
  await cosignNewest(first)
  let meanwhile: Promise<unknown> | undefined
  const goOn = async () => {
    await grow(first, 3)
    await cosignNewest(first)
  }
  const list: Store['list'] = async (...asked) => {
    if (asked[1].includes('witnessed/')) {
      meanwhile ??= goOn()
      await meanwhile
    }
    return await first.store.list(...asked)
  }
  await sequence({ ...first, store: { ...first.store, list } })
  expect(meanwhile).toBeDefined()
  expect((await logOf(engines.db)).halted).toBeNull()
  expect(foundIn(await auditOf(engines))).toEqual([])
})

test('what answers 404 in the place of a witness is not believed to be one that has seen nothing', async () => {
  await using witness = await showsNothing()
  await using engines = await testEngines()
  await beginLog(engines)
  const own = withWitnesses(engines, witness.entry)
  await grow(own, 5)
  expect(await cosignNewest(own)).toBe(1)
  await using page = await hostileWitness(says(404, 'There is no such page.'))
  const restored = withWitnesses(engines, `${witness.key.vkey} ${page.url}`)
  await writeEntries(restored, 2)
  await expect(sequence(restored)).rejects.toThrow(/other, which cosigned 6 leaves and says that it has seen 0/)
  const { db, store, config } = restored
  expect(await auditOf({ db, store, config })).toMatchObject({ unasked: ['witness.example/other'] })
})

test('a witness that began anew holds the log up until it has been shown the newest checkpoint again', async () => {
  await using witness = await showsNothing()
  await using engines = await testEngines()
  await beginLog(engines)
  const own = withWitnesses(engines, witness.entry)
  await grow(own, 5)
  expect(await cosignNewest(own)).toBe(1)
  await grow(own, 2)
  witness.forget()
  await writeEntries(own, 2)
  await expect(sequence({ ...own })).rejects.toThrow(/says that it has seen 0/)
  expect(await cosignNewest(own)).toBe(1)
  expect(await sequence({ ...own })).toBe(2)
})

test('a worker that starts while the log is recovered does not halt it for what it has back by then', async () => {
  await using restored = await makeRestored()
  const { engines, old } = restored
  await using recovering = asRecovering(engines, old.ownerUrl)
  let starting: Promise<unknown> | undefined
  const putNew: Store['putNew'] = async (...given) => {
    // It has read by then how much the database has, and waits for the lock.
    starting ??= sequence({ ...engines }, { most: 0 })
    await expect.poll(async () => await waitingForLocks(engines)).toBeGreaterThan(0)
    return await recovering.store.putNew(...given)
  }
  await recoverLedger({ ...recovering, store: { ...recovering.store, putNew } }, { write: true })
  await starting
  expect((await logOf(engines.db)).halted).toBeNull()
})

test('sidecars that wait for a witness ask it once a minute, not each in the place of other work', async () => {
  await using engines = await testEngines()
  await registerReceiptKey(engines)
  await beginLog(engines)
  await grow(engines, 1)
  for (let count = 0; count < 3; count++) await tell(engines, await kept(engines, randomBytes(10)), 1)
  await owed(engines)
  await using witness = await hostileWitness(says(500, ''))
  expect(await runOwed(withWitnesses(engines, witness.entry))).toEqual(['skipped', 'skipped', 'skipped'])
  expect(witness.submissions()).toHaveLength(1)
})

test('a sidecar waits, and does not fail, while a tile is lost by which a witness is checked', async () => {
  await using engines = await testEngines()
  await registerReceiptKey(engines)
  await beginLog(engines)
  await using place = await temporaryFolder()
  await using witness = await startWitness({ data: place.path, logs: [await logVkey(engines.db)] })
  const own = withWitnesses(engines, `${vkeyOf(witness.key)} ${witness.url}`)
  const id = await kept(own, randomBytes(10))
  await grow(own, 300)
  await cosignNewest(own)
  await grow(own, 300)
  await tell(own, id, 1)
  await owed(own)
  await own.store.delete('ledger', '1/tile/0/001')
  expect(await runOwed({ ...own })).toEqual(['skipped'])
  const states = await own.db.selectFrom('jobs').select('state').where('name', '=', 'keep-sidecar').execute()
  expect(states).toContainEqual({ state: 'owed' })
})

test('the key of a log is not changed while no witness says that this is all of it', async () => {
  await using restored = await makeRestored()
  await putBack(restored.engines.store, restored.bucket)
  const old = { ...restored.engines, ownerUrl: restored.old.ownerUrl }
  await using owner = asRotating(withWitnesses(old, await awayWitness()))
  await expect(rotateLogKey(owner)).rejects.toThrow(
    /^It is not known that this is all of the log: no witness says .* Nothing was changed: see that a witness answers/,
  )
  expect((await logOf(old.db)).number).toBe(1)
  await using alone = asRotating(old)
  await rotateLogKey(alone)
  expect((await logOf(old.db)).number).toBe(2)
})
