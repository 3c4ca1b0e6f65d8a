import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { vkeyOf } from '../../src/base/note.ts'
import type { Store } from '../../src/engines/store.ts'
import { cosignNewest } from '../../src/ledger/cosigning/witnesses.ts'
import { rotateLogKey } from '../../src/ledger/keys/log-rotation.ts'
import { registerReceiptKey } from '../../src/ledger/keys/receipt-keys.ts'
import { newestCheckpoint } from '../../src/ledger/log/checkpoints.ts'
import { beginLog } from '../../src/ledger/log/log.ts'
import { numberEntries, numberedSize } from '../../src/ledger/log/queries.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { auditOf, copyOf, foundIn, onDatabase } from '../audited.ts'
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

/** A witness as the standard has them that shows nobody what it has seen. */
const showsNothing = async () => {
  const key = witnessKey('witness.example/other')
  let has = 0
  return await hostileWitness(({ method, body, text }, response) => {
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

test('the key of a log is changed also while no witness answers, as long as nothing has to be added to it', async () => {
  await using engines = await testEngines()
  await beginLog(engines)
  await grow(engines, 3)
  const own = withWitnesses(engines, await awayWitness())
  await writeEntries(engines, 2)
  await numberEntries(engines.db, 2)
  await using owner = asRotating(own)
  await expect(rotateLogKey(owner)).rejects.toThrow(
    /no witness says .* Nothing was changed: see that a witness answers/,
  )
  expect((await newestCheckpoint(engines.db, 1))?.size).toBe(4)
  await sequence(engines)
  await rotateLogKey(owner)
  expect((await logOf(engines.db)).number).toBe(2)
})
