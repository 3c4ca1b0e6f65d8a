import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { emptyRoot } from '../../base/merkle.ts'
import { fullWidth, tilePath, tilesSince } from '../../base/tiles.ts'
import type { Engines } from '../../engines/engines.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import { mayAdd } from '../cosigning/claims.ts'
import { Contradiction, forgetOldStored, newestStored, publishedBefore, type Stored } from './head.ts'
import { currentLog } from './log.ts'
import { inTurns, publish } from './publishing.ts'
import {
  endLease,
  halt,
  holdsLease,
  isAnythingOwed,
  newestCheckpointRow,
  numberEntries,
  numberedSize,
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
  if (stored.size > numbered) throw new Contradiction(publishedBefore(stored.size, numbered))
  if (stored.size > published.size) return { published, next: stored.size, more: true }
  const added = numbered - published.size < most ? await numberEntries(engines.db, most) : 0
  const next = Math.min(numbered + added, published.size + most)
  return { published, next, more: next - published.size === most }
}

/**
 * Deletes partial tiles whose full one is there, also those of publications that were cut off. A crash before the end repeats
 * it.
 */
const clean = async ({ db, store }: Reached, log: LogRow, to: number): Promise<void> => {
  const full = tilesSince(log.cleanedSize, to).filter(({ width }) => width === fullWidth)
  await inTurns(full, async (tile) => {
    const prefix = logKey(log.number, `${tilePath(tile)}.p/`)
    for (let keys = await store.list('ledger', prefix); keys.length > 0; keys = await store.list('ledger', prefix))
      await Promise.all(keys.map(async (key) => await store.delete('ledger', key)))
  })
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
 * database, the store and the witnesses contradict each other it halts the log, in words. Throws `store-unavailable`, and
 * while no witness answers that has to.
 */
export const sequence = async (
  engines: Reached,
  { signal, most = mostAtOnce }: { signal?: AbortSignal; most?: number } = {},
): Promise<number> => {
  const { db } = engines
  const publisher = publisherOf(engines)
  let done = 0
  if (!(await mayAdd(engines, signal))) return 0
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
    // Whoever was overtaken while it stood still speaks of a state that has passed.
    if (log === undefined || !(await holdsLease(db, log.number, publisher))) return done
    await halt(db, log.number, error.message)
    engines.log.error({ log: log.origin }, error.message)
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

/**
 * How long it is, in milliseconds, until the next checkpoint is due: by the age of the newest one, so that there is one an
 * interval at most, however many workers there are and however often they are started.
 */
export const untilDue = (newest: Date | undefined, now: Date, intervalMs: number): number => {
  const age = newest === undefined ? Number.POSITIVE_INFINITY : now.getTime() - newest.getTime()
  // A clock that was set back says nothing.
  return age < 0 ? 0 : Math.max(0, intervalMs - age)
}

const newestAt = async ({ db }: Reached): Promise<Date | undefined> => {
  const log = await currentLog(db)
  return log === undefined ? undefined : (await newestCheckpointRow(db, log.number))?.at
}

const longestPauseMs = 30_000
const shortestPauseMs = 50

/**
 * Sequences every LEDGER_INTERVAL_SECONDS until the signal aborts. Never throws: what fails is tried again, less and less
 * often while the store, the database or the witnesses are away, and what it meant for waits where it is.
 */
export const startSequencer = async (engines: Reached, signal: AbortSignal): Promise<void> => {
  const intervalMs = engines.config.LEDGER_INTERVAL_SECONDS * 1000
  let failures = 0
  // At the start it only looks: an older database is found out before anything is added to it.
  let looked = false
  /** Answers after how many milliseconds it is this one's turn again. */
  const turn = async (): Promise<number> => {
    const began = performance.now()
    if (!looked) {
      await sequence(engines, { signal, most: 0 })
      return 0
    }
    if (await isSequencingOwed(engines)) {
      const wait = untilDue(await newestAt(engines), engines.clock.now(), intervalMs)
      if (wait > 0) return wait
      await sequence(engines, { signal })
    }
    return intervalMs - (performance.now() - began)
  }
  while (!signal.aborted) {
    let pauseMs: number
    try {
      pauseMs = await turn()
      looked = true
      if (failures > 0) engines.log.info('the log is sequenced again')
      failures = 0
    } catch (error) {
      failures += 1
      const err = error instanceof Error ? error.message : 'unknown'
      if (failures === 1) engines.log.warn({ err }, 'entries wait to be sequenced: it is tried again')
      pauseMs = Math.min(1000 * 2 ** Math.min(failures, 5), longestPauseMs)
    }
    await delay(Math.max(pauseMs, shortestPauseMs), undefined, { signal }).catch(() => undefined)
  }
}
