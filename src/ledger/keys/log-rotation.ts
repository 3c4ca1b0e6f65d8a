import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { sql } from 'kysely'
import { vkeyOf } from '../../base/note.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import { makeMetrics } from '../../engines/metrics.ts'
import { inTransaction, type Tx } from '../../engines/postgres.ts'
import type { ReceiptKey } from '../../engines/receipt-key.ts'
import { putNextInPlace, readKeyOf } from '../../engines/signing-key.ts'
import { WitnessesSilent } from '../cosigning/claims.ts'
import { cosignNewest } from '../cosigning/witnesses.ts'
import { newestCheckpoint } from '../log/checkpoints.ts'
import { newestStored } from '../log/head.ts'
import { allLogs, currentLog, logKeyOf, publicX } from '../log/log.ts'
import { newestCheckpointRow, numberedSize } from '../log/queries.ts'
import { sequence } from '../log/sequencer.ts'
import { logKey } from '../log/tree.ts'
import { record } from '../record.ts'
import {
  alone,
  NotRotated,
  operator,
  prepareKey,
  type Rotated,
  type Rotating,
  type RotationWish,
  refuseSharedFile,
  waitBriefly,
} from './key-rotation.ts'

export type LogWish = RotationWish & {
  /** Of the new log; without it one that follows from the old one's. */
  origin?: string
  /** Why the log is left as it stands, what is not published included. */
  abandon?: string
}

/** C2SP tlog-checkpoint: no space and no plus. */
const isOrigin = (text: string): boolean => /^[^+\s\p{White_Space}\p{Cc}]{1,200}$/u.test(text)

/** A name that nobody chose is followed by another such; one that was configured bears the number of the log. */
const originAfter = (old: Pick<LogRow, 'origin' | 'number'>, number: number, random: () => Buffer): string => {
  if (/^exhibit\.local\/[0-9a-f]+$/.test(old.origin)) return `exhibit.local/${random().toString('hex')}`
  const own = `/${old.number}`
  const base = old.number > 1 && old.origin.endsWith(own) ? old.origin.slice(0, -own.length) : old.origin
  return `${base}/${number}`
}

const originOf = (wanted: string | undefined, old: LogRow, number: number, logs: readonly LogRow[]): string => {
  const origin = wanted ?? originAfter(old, number, () => randomBytes(8))
  if (!isOrigin(origin))
    throw new NotRotated(
      'The origin of a log has no spaces and no plus, as in log.example.org/exhibit, and at most 200 characters.',
    )
  if (logs.some((log) => log.origin === origin))
    throw new NotRotated(`${origin} is the origin of a log that is there already: name another with --origin.`)
  return origin
}

/** The next number under which the store holds nothing: a database that was restored may not know of every log. */
const numberAfter = async ({ store }: Rotating, old: LogRow): Promise<number> => {
  let number = old.number + 1
  while ((await store.list('ledger', logKey(number, ''))).length > 0) number += 1
  return number
}

const publishSeconds = 60

/** The end that is signed may be no older one: who knows of more would be told by nobody that it was left out. */
const inVain = (error: unknown): never => {
  if (!(error instanceof WitnessesSilent)) throw error
  throw new NotRotated(
    `It is not known that this is all of the log: ${error.message}. Nothing was changed: see that a witness answers, or take those that are gone out of LEDGER_WITNESSES, and run this again.`,
  )
}

const refuseHalted = ({ halted }: LogRow): void => {
  if (halted === null) return
  throw new NotRotated(
    `The log stands still: ${halted} Nothing was changed. If nothing else helps, leave it for a new one with --abandon.`,
  )
}

/** Waits until every numbered leaf is published. The caller keeps others from numbering more. */
const untilPublished = async (engines: Rotating, tx: Tx, old: LogRow): Promise<void> => {
  for (const limit = performance.now() + publishSeconds * 1000; ; await delay(200)) {
    await sequence(engines).catch(inVain)
    const now = await currentLog(tx)
    if (now?.number !== old.number) throw new NotRotated('The log was rotated meanwhile. Nothing was changed.')
    refuseHalted(now)
    const published = (await newestCheckpointRow(tx, old.number))?.size ?? 0
    const stored = (await newestStored(engines, old))?.size ?? 0
    if (stored > published && stored > (await numberedSize(tx, old.number)))
      throw new NotRotated(
        `The log was published with ${stored} leaves and this database has fewer: it is an older one. Nothing was changed: run exhibit ledger recover.`,
      )
    if (stored === published && published === (await numberedSize(tx, old.number))) return
    if (performance.now() > limit)
      throw new NotRotated(
        'Leaves of the log are not under a checkpoint yet, and nobody publishes them. Nothing was changed: see that a worker and the store are up, and run this again.',
      )
  }
}

/** What was numbered and never published becomes leaves of the new log. Answers how many. */
const takeBack = async (tx: Tx, log: number): Promise<number> => {
  const published = (await newestCheckpointRow(tx, log))?.size ?? 0
  const { rows } = await sql<{ entry: string }>`
    with taken as (delete from leaves where log = ${log} and index >= ${published} returning entry)
    insert into unsequenced select entry from taken where entry is not null returning entry`.execute(tx)
  return rows.length
}

/** The entry that ends the old log is the first leaf of the new one. */
const putInForce = async (
  engines: Rotating,
  old: LogRow,
  number: number,
  origin: string,
  next: ReceiptKey,
  wish: LogWish,
) =>
  await inTransaction(engines.db, async (tx) => {
    const { clock } = engines
    await waitBriefly(tx)
    await sql`select pg_advisory_xact_lock(hashtextextended('exhibit sequencer', 0))`.execute(tx)
    if (wish.abandon === undefined) {
      await untilPublished(engines, tx, old)
      // Nobody shows the last checkpoint to them later.
      await cosignNewest({ ...engines, metrics: makeMetrics() })
      // They may have shown more in return.
      const now = await currentLog(tx)
      if (now !== undefined) refuseHalted(now)
    }
    const at = clock.now()
    await tx
      .updateTable('logs')
      .set({ toAt: at, publisher: null, leasedUntil: null })
      .where('number', '=', old.number)
      .where('toAt', 'is', null)
      .execute()
    const abandoned =
      wish.abandon === undefined
        ? {}
        : {
            abandoned: {
              because: wish.abandon,
              ...(old.halted === null ? {} : { halted: old.halted }),
              unpublished: await takeBack(tx, old.number),
            },
          }
    const jwk = next.publicJwk
    await tx
      .insertInto('logs')
      .values({ number, origin, jwk: JSON.stringify(jwk), fromAt: at })
      .execute()
    const checkpoint = await newestCheckpoint(tx, old.number)
    const entry = await record(tx, clock, {
      operation: 'administration',
      action: 'log.rotated',
      subject: { type: 'key', id: next.kid },
      actor: operator(),
      detail: {
        origin: old.origin,
        vkey: vkeyOf(logKeyOf(old)),
        ...(checkpoint === undefined ? {} : { checkpoint: checkpoint.note }),
        next: { origin, vkey: vkeyOf(logKeyOf({ origin, jwk })) },
        ...abandoned,
      },
    })
    await tx.deleteFrom('unsequenced').where('entry', '=', entry).execute()
    await tx.insertInto('leaves').values({ log: number, index: 0, entry }).execute()
    wish.reached?.('written')
  })

/** Without its key nothing more of the log can be published. */
const withReason = async (file: string, old: LogRow, wish: LogWish): Promise<LogWish> => {
  if (wish.abandon !== undefined || wish.lost !== true) return wish
  const held = await readKeyOf(file, publicX(old)).catch(() => undefined)
  return held === undefined ? { ...wish, abandon: 'its private key is lost' } : wish
}

export type RotatedLog = Rotated & {
  number: number
  origin: string
  vkey: string
  /** The log that was left. */
  left?: { number: number; origin: string; size: number }
}

/**
 * Leaves the log for a new one with a new key and origin, whose first leaf names the last checkpoint of the old one. All that
 * was numbered is published first; with `abandon` the log is left as it stands, halted or not. Workers go on with the new log
 * without being started again, and what the old one proved it still proves. Cut off anywhere, the next run ends it. Throws
 * NotRotated, `store-unavailable`.
 */
export const rotateLogKey = async (engines: Rotating, wish: LogWish = {}): Promise<RotatedLog> => {
  const { config, db } = engines
  const file = config.LOG_KEY_FILE
  refuseSharedFile(config)
  return await alone(db, async () => {
    const logs = await allLogs(db)
    const old = logs.find(({ toAt }) => toAt === null)
    if (old === undefined)
      throw new NotRotated('The log has not begun: a worker begins it when it first starts. Nothing was changed.')
    const retired = new Set(logs.filter(({ toAt }) => toAt !== null).map(publicX))
    const next = await prepareKey(file, { current: publicX(old), retired }, wish)
    wish.reached?.('key-made')
    const ended = next.publicJwk.x === publicX(old)
    if (!ended) {
      const number = await numberAfter(engines, old)
      const origin = originOf(wish.origin, old, number, logs)
      await putInForce(engines, old, number, origin, next, await withReason(file, old, wish))
    }
    wish.reached?.('in-force')
    const kept = await putNextInPlace(file, next.publicJwk.x, wish.keepOld === true)
    wish.reached?.('in-place')
    // So that outsiders find a checkpoint at once. Where it fails, a worker does it; under load it would never end.
    await sequence(engines, { signal: AbortSignal.timeout(1000) }).catch(() => 0)
    const log = await currentLog(db)
    if (log === undefined) throw new Error('a log was begun and is not there')
    const size = (await newestCheckpointRow(db, old.number))?.size ?? 0
    return {
      file,
      kid: next.kid,
      ended,
      number: log.number,
      origin: log.origin,
      vkey: vkeyOf(logKeyOf(log)),
      ...(ended ? {} : { left: { number: old.number, origin: old.origin, size } }),
      ...(kept === undefined ? {} : { kept }),
    }
  })
}
