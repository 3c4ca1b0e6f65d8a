import { sha256 } from '../src/base/digest.ts'
import type { EntryId } from '../src/base/ids.ts'
import { vkeyOf } from '../src/base/note.ts'
import type { Store } from '../src/engines/store.ts'
import type { ConfiguredWitness } from '../src/engines/witness-list.ts'
import { cosignNewest } from '../src/ledger/cosigning/witnesses.ts'
import { newestCheckpoint } from '../src/ledger/log/checkpoints.ts'
import { beginLog, currentLog, logKeyOf } from '../src/ledger/log/log.ts'
import { sequence } from '../src/ledger/log/sequencer.ts'
import { type RecoverWish, recoverLedger } from '../src/ledger/recover/recover.ts'
import { asRecovering, copyOf, onDatabase } from './audited.ts'
import { type TestEngines, testEngines } from './engines.ts'
import { writeEntries } from './logged.ts'
import { startWitness, temporaryFolder } from './witnessing.ts'

/** Every object of the log, as a backup of the bucket has it. */
export const bucketOf = async (store: Store): Promise<Map<string, Buffer>> => {
  const objects = new Map<string, Buffer>()
  for (const key of await store.list('ledger', '')) {
    const bytes = await store.readWhole('ledger', key)
    if (bytes !== null) objects.set(key, bytes)
  }
  return objects
}

/** Puts a backup of the bucket back: what came since is gone. */
export const putBack = async (store: Store, objects: ReadonlyMap<string, Buffer>): Promise<void> => {
  for (const key of await store.list('ledger', '')) if (!objects.has(key)) await store.delete('ledger', key)
  for (const [key, bytes] of objects) await store.put('ledger', key, bytes, sha256(bytes))
}

/** Leaves of the backup; the log's first entry is one of them. */
export const backedUp = 301
/** Of them so many wait in the backup, and became leaves since. */
export const waitingThen = 20
/** Leaves that were published since. */
export const publishedSince = 300

/**
 * A log that went on after a backup of its database. The backup has entries that waited, which are leaves since, as are
 * others that it knows nothing of. `later` is the database that is lost.
 */
export const makeRestored = async (env: Record<string, string> = {}) => {
  const first = await testEngines({ env })
  await beginLog(first)
  await writeEntries(first, backedUp - 1)
  await sequence(first)
  const waiting: EntryId[] = await writeEntries(first, waitingThen)
  const bucket = await bucketOf(first.store)
  const old = await copyOf(first)
  const lost = await copyOf(first)
  const later = onDatabase(first, lost)
  await sequence(later)
  for (const count of [publishedSince - waitingThen - 10, 10]) {
    await writeEntries(later, count)
    await sequence(later)
  }
  const newest = await newestCheckpoint(lost.db, 1)
  if (newest?.size !== backedUp + publishedSince) throw new Error('the log did not go on')
  return {
    /** On the restored database, as it was. */
    engines: onDatabase(first, old),
    ...{ old, lost, later, waiting, newest },
    /** Of the time of the backup. */
    bucket,
    [Symbol.asyncDispose]: async () => {
      await lost[Symbol.asyncDispose]()
      await old[Symbol.asyncDispose]()
      await first[Symbol.asyncDispose]()
    },
  }
}

export type Restored = Awaited<ReturnType<typeof makeRestored>>

export const haltedIn = async ({ engines }: Restored) => (await currentLog(engines.db))?.halted

export const recover = async ({ engines, old }: Restored, wish: RecoverWish = {}) => {
  await using recovering = asRecovering(engines, old.ownerUrl)
  return await recoverLedger(recovering, wish)
}

/** What the lost database was published as, an outsider keeps. */
export const keptBy = ({ newest }: Restored) => [{ object: 'kept', note: newest.note }]

/** A witness that has cosigned what the lost database published last. */
export const letWitness = async ({ later }: Restored) => {
  const folder = await temporaryFolder()
  const log = await currentLog(later.db)
  if (log === undefined) throw new Error('there is no log')
  const witness = await startWitness({ data: folder.path, logs: [vkeyOf(logKeyOf(log))] })
  const witnesses = [{ key: witness.key, url: witness.url, vkey: vkeyOf(witness.key) }]
  const cosigned = await cosignNewest({ ...later, config: { ...later.config, LEDGER_WITNESSES: witnesses } })
  if (cosigned !== 1) throw new Error('the witness did not cosign')
  return {
    witnesses,
    [Symbol.asyncDispose]: async () => {
      await witness[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

export const withWitnesses = (restored: Restored, { witnesses }: { witnesses: ConfiguredWitness[] }): Restored => ({
  ...restored,
  engines: { ...restored.engines, config: { ...restored.engines.config, LEDGER_WITNESSES: witnesses } },
})

/** All that recovering may change in a database. */
export const stateOf = async ({ db }: Pick<TestEngines, 'db'>) => ({
  leaves: await db.selectFrom('leaves').selectAll().orderBy('index').execute(),
  lost: await db.selectFrom('lostLeaves').selectAll().orderBy('index').execute(),
  waiting: await db.selectFrom('unsequenced').selectAll().orderBy('entry').execute(),
  checkpoints: await db.selectFrom('checkpoints').selectAll().orderBy('size').execute(),
  logs: await db.selectFrom('logs').select(['number', 'halted', 'toAt']).orderBy('number').execute(),
  entries: await db.selectFrom('entries').select('id').orderBy('id').execute(),
})
