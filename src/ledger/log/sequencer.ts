import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { emptyRoot } from '../../base/merkle.ts'
import { hasTile, partialTiles, tilePath } from '../../base/tiles.ts'
import type { Engines } from '../../engines/engines.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import { Contradiction, forgetOldStored, newestStored, type Stored } from './head.ts'
import { currentLog } from './log.ts'
import { publish } from './publishing.ts'
import {
  endLease,
  halt,
  isAnythingOwed,
  newestCheckpointRow,
  numberEntries,
  numberedSize,
  publishedSizes,
  takeLease,
} from './queries.ts'
import { logKey } from './tree.ts'

type Reached = Pick<Engines, 'clock' | 'config' | 'db' | 'log' | 'store'>

/** Whole tiles: 64 of them. */
const mostAtOnce = 16_384

const nothing: Stored = { size: 0, root: emptyRoot }

/** `more`: there may be entries that this batch does not hold. */
type Standing = { published: Stored; next: number; more: boolean }

/**
 * What the log was published as, and up to where it goes on. The store has each checkpoint before the database: where it is
 * ahead by what the database has numbered, the publication was cut short and is ended first; where it is ahead by more, the
 * database is an older one.
 */
const standing = async (engines: Reached, log: LogRow, most: number): Promise<Standing> => {
  const published = (await newestCheckpointRow(engines.db, log.number)) ?? nothing
  const stored = (await newestStored(engines, log)) ?? nothing
  const numbered = await numberedSize(engines.db, log.number)
  if (stored.size === published.size && !stored.root.equals(published.root))
    throw new Contradiction(`Two checkpoints of ${published.size} leaves differ. Run exhibit ledger audit.`)
  if (stored.size > numbered)
    throw new Contradiction(
      `The log was published with ${stored.size} leaves and this database has ${numbered}: it is an older one. Run exhibit ledger recover.`,
    )
  if (stored.size > published.size) return { published, next: stored.size, more: true }
  const added = numbered - published.size < most ? await numberEntries(engines.db, most) : 0
  const next = Math.min(numbered + added, published.size + most)
  return { published, next, more: next - published.size === most }
}

/** Deletes partial tiles whose full one is there. A crash before the end repeats it. */
const clean = async ({ db, store }: Reached, log: LogRow, to: number): Promise<void> => {
  const full = new Set<string>()
  for (const size of await publishedSizes(db, log.number, log.cleanedSize, to)) {
    const superseded = partialTiles(size).map((tile) => ({ ...tile, width: 256 }))
    for (const tile of superseded) if (hasTile(tile, to)) full.add(tilePath(tile))
  }
  for (const path of full) {
    const prefix = logKey(log.number, `${path}.p/`)
    for (let keys = await store.list('ledger', prefix); keys.length > 0; keys = await store.list('ledger', prefix))
      await Promise.all(keys.map(async (key) => await store.delete('ledger', key)))
  }
  await db.updateTable('logs').set({ cleanedSize: to }).where('number', '=', log.number).execute()
}

const publishers = new WeakMap<object, string>()
const publisherOf = (engines: object): string => {
  const known = publishers.get(engines) ?? randomUUID()
  publishers.set(engines, known)
  return known
}

/**
 * Brings every entry that waits under a checkpoint, batch by batch, and answers how many it did. Any worker may run it at
 * any time: a lease keeps the others from doing the same work, and were it not kept, the result would be the same. Where the
 * database and the store contradict each other it halts the log, in words. Throws `store-unavailable`.
 */
export const sequence = async (
  engines: Reached,
  { signal, most = mostAtOnce }: { signal?: AbortSignal; most?: number } = {},
): Promise<number> => {
  const { db } = engines
  const publisher = publisherOf(engines)
  let done = 0
  let log = await takeLease(db, publisher)
  if (log === undefined) return 0
  try {
    while (log !== undefined && signal?.aborted !== true) {
      const { published, next, more } = await standing(engines, log, most)
      if (next > published.size) await publish(engines, log, published, next)
      done += next - published.size
      if (log.cleanedSize < next) await clean(engines, log, next)
      if (next === published.size) return done
      await forgetOldStored(engines, log.number)
      // Whoever came meanwhile is of the next round: the same questions are not asked twice for each batch.
      if (!more) return done
      log = await takeLease(db, publisher)
    }
    return done
  } catch (error) {
    if (!(error instanceof Contradiction)) throw error
    if (log !== undefined) await halt(db, log.number, error.message)
    engines.log.error({ log: log?.origin }, error.message)
    return done
  } finally {
    await endLease(db, publisher).catch(() => undefined)
  }
}

/** Whether there is something to do for `sequence`: cheap enough to ask every second. */
export const isSequencingOwed = async (engines: Pick<Engines, 'db'>): Promise<boolean> => {
  const log = await currentLog(engines.db)
  if (log === undefined || log.halted !== null) return false
  if (await isAnythingOwed(engines.db)) return true
  const published = (await newestCheckpointRow(engines.db, log.number))?.size ?? 0
  return (await numberedSize(engines.db, log.number)) > published || log.cleanedSize < published
}

const longestPauseMs = 30_000

/**
 * Sequences every LEDGER_INTERVAL_SECONDS until the signal aborts. Never throws: what fails is tried again, less and less
 * often while the store or the database is away, and what it meant for waits where it is.
 */
export const startSequencer = async (engines: Reached, signal: AbortSignal): Promise<void> => {
  const intervalMs = engines.config.LEDGER_INTERVAL_SECONDS * 1000
  let failures = 0
  // Once at the start even where nothing waits: an older database is found out before anything is added to it.
  let looked = false
  while (!signal.aborted) {
    const began = performance.now()
    try {
      if (!looked || (await isSequencingOwed(engines))) await sequence(engines, { signal })
      looked = true
      if (failures > 0) engines.log.info('the log is sequenced again')
      failures = 0
    } catch (error) {
      failures += 1
      const err = error instanceof Error ? error.message : 'unknown'
      if (failures === 1) engines.log.warn({ err }, 'entries wait to be sequenced: it is tried again')
    }
    const pauseMs = Math.min(intervalMs * 2 ** Math.min(failures, 5), longestPauseMs) - (performance.now() - began)
    await delay(Math.max(pauseMs, 50), undefined, { signal }).catch(() => undefined)
  }
}
