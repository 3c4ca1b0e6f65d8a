import { userInfo } from 'node:os'
import { sql } from 'kysely'
import type { Engines } from '../../engines/engines.ts'
import { type Db, inTransaction, type Tx } from '../../engines/postgres.ts'
import type { ReceiptKey } from '../../engines/receipt-key.ts'
import { keyIn, nextFileOf, nextKeyFor, putNextInPlace } from '../../engines/signing-key.ts'
import type { Actor } from '../entry.ts'
import { record } from '../record.ts'
import { currentReceiptKey, lockReceiptKeys } from './receipt-keys.ts'

/** `db` is the owner's: the application may retire no key. */
export type Rotating = Pick<Engines, 'clock' | 'config' | 'db' | 'log' | 'store'>

/** Why nothing was rotated, or not to its end, in words for an operator. */
export class NotRotated extends Error {}

/** What was reached: a process that ends after any of these leaves what the next run ends. */
export type Step = 'key-made' | 'written' | 'in-force' | 'in-place'
export type RotationWish = {
  keepOld?: boolean
  /** No machine has the private key that is in force any more. */
  lost?: boolean
  reached?: (step: Step) => void
}

export type Rotated = {
  file: string
  kid: string
  /** Whether all that was left to do was the end of a rotation that had been cut short. */
  ended: boolean
  /** Where the old private key is kept; undefined where it is destroyed. */
  kept?: string
}

/** Whose public halves, by `x`, a file may hold without being somebody else's. */
export type KnownKeys = { current: string; retired: ReadonlySet<string> }

/** Each would be destroyed with the other. */
export const refuseSharedFile = ({ RECEIPT_KEY_FILE, LOG_KEY_FILE }: Rotating['config']): void => {
  if (RECEIPT_KEY_FILE === LOG_KEY_FILE)
    throw new NotRotated('RECEIPT_KEY_FILE and LOG_KEY_FILE name one file: give each a key of its own first.')
}

/** Who works with the database's own rights is known by the account of the machine alone. */
export const operator = (): Actor => ({ kind: 'operator', id: userInfo().username })

const isWaitOver = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === '55P03'

/** One rotation at a time, from making the key to moving its file. */
export const alone = async <T>(db: Db, work: () => Promise<T>): Promise<T> =>
  await db.connection().execute(async (holder) => {
    const { rows } = await sql<{ held: boolean }>`
      select pg_try_advisory_lock(hashtextextended('exhibit keys rotate', 0)) as held`.execute(holder)
    if (rows[0]?.held !== true) throw new NotRotated('Another rotation is under way. Nothing was changed.')
    try {
      return await work()
    } catch (error) {
      if (!isWaitOver(error)) throw error
      throw new NotRotated(
        'A process that signs stands still, and was waited for. Nothing was changed: run this again.',
      )
    } finally {
      await sql`select pg_advisory_unlock(hashtextextended('exhibit keys rotate', 0))`
        .execute(holder)
        .catch(() => undefined)
    }
  })

/** How long a rotation waits for those who sign at this moment; whoever comes after it waits as long. */
export const waitBriefly = async (tx: Tx): Promise<void> => {
  await sql`set local lock_timeout = '30s'`.execute(tx)
}

/**
 * The key that is to be in force. Throws NotRotated where this machine has not got the one in force now, unless that is lost,
 * and rather than destroy a key that this database knows nothing of.
 */
export const prepareKey = async (
  file: string,
  { current, retired }: KnownKeys,
  { lost = false }: RotationWish,
): Promise<ReceiptKey> => {
  const [there, waiting] = [await keyIn(file), await keyIn(nextFileOf(file))]
  const [x, nextX] = [there?.publicJwk.x, waiting?.publicJwk.x]
  if (nextX !== undefined && retired.has(nextX))
    throw new NotRotated(`${nextFileOf(file)} holds a key that is retired: move it away. Nothing was changed.`)
  if (x !== current && nextX !== current && !lost)
    throw new NotRotated(
      `${file} does not hold the key that is in force. Nothing was changed: give this machine the file that does, or say with --lost that no machine has it any more.`,
    )
  // Made for this, or another installation's: either way it is not destroyed.
  if (there !== undefined && x !== current && !retired.has(there.publicJwk.x)) {
    if (waiting === undefined) return there
    throw new NotRotated(`${file} holds a key that this database does not know: move it away. Nothing was changed.`)
  }
  return await nextKeyFor(file)
}

/** By then whatever was signed is signed, whichever clock is ahead. */
const endOfKey = async (tx: Tx, now: Date): Promise<Date> => {
  const { rows } = await sql<{ last: Date | null }>`
    select greatest((select max(signed_at) from receipts), (select max(erased_at) from erasures),
      (select max(signed_at) from sidecars)) as last`.execute(tx)
  const last = rows[0]?.last ?? now
  return last > now ? last : now
}

const putInForce = async ({ db, clock }: Rotating, next: ReceiptKey, retired: string, { reached }: RotationWish) =>
  await inTransaction(db, async (tx) => {
    await waitBriefly(tx)
    await lockReceiptKeys(tx, 'alone')
    const at = clock.now()
    const toAt = await endOfKey(tx, at)
    await tx.updateTable('receiptKeys').set({ toAt }).where('kid', '=', retired).execute()
    const { kid, publicJwk } = next
    await tx
      .insertInto('receiptKeys')
      .values({ kid, jwk: JSON.stringify(publicJwk), fromAt: at })
      .execute()
    await record(tx, clock, {
      operation: 'administration',
      action: 'key.rotated',
      subject: { type: 'key', id: kid },
      actor: operator(),
      detail: { use: 'receipts', retired, to: toAt.toISOString() },
    })
    reached?.('written')
  })

const retiredKeys = async (db: Db): Promise<Set<string>> => {
  const { rows } = await sql<{ x: string }>`select jwk ->> 'x' as x from receipt_keys where to_at is not null`.execute(
    db,
  )
  return new Set(rows.map(({ x }) => x))
}

/**
 * Gives the installation a new key that signs receipts and proofs of erasure, and retires the one in force. Those who sign
 * meanwhile wait a moment and sign with the new one, without being started again. Cut off anywhere, the next run ends it.
 * Throws NotRotated.
 */
export const rotateReceiptKey = async (
  engines: Rotating,
  wish: RotationWish = {},
): Promise<Rotated & { retired?: string }> => {
  const { config, db } = engines
  const file = config.RECEIPT_KEY_FILE
  refuseSharedFile(config)
  return await alone(db, async () => {
    const current = await currentReceiptKey(db)
    if (current === undefined)
      throw new NotRotated(
        'No key was ever published here: the api does that when it first starts. Nothing was changed.',
      )
    const next = await prepareKey(file, { current: current.x, retired: await retiredKeys(db) }, wish)
    wish.reached?.('key-made')
    const ended = next.kid === current.kid
    if (!ended) await putInForce(engines, next, current.kid, wish)
    wish.reached?.('in-force')
    const kept = await putNextInPlace(file, next.publicJwk.x, wish.keepOld === true)
    wish.reached?.('in-place')
    return {
      file,
      kid: next.kid,
      ended,
      ...(ended ? {} : { retired: current.kid }),
      ...(kept === undefined ? {} : { kept }),
    }
  })
}
