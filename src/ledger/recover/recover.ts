import { sql } from 'kysely'
import { sha256 } from '../../base/digest.ts'
import type { EntryId } from '../../base/ids.ts'
import { isLineOf, parseNote, signatureLine } from '../../base/note.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import { inTransaction, type Tx } from '../../engines/postgres.ts'
import type { Given } from '../audit/witnessed.ts'
import { operator } from '../keys/key-rotation.ts'
import { checkpointKey } from '../log/head.ts'
import { logKeyOf } from '../log/log.ts'
import { record } from '../record.ts'
import { mendEnded } from './ended.ts'
import { goOver, type Range } from './going-over.ts'
import type { Known } from './known.ts'
import { putAside } from './leftovers.ts'
import { NotRecovered } from './not-recovered.ts'
import { logToRecover, makePlan, type Plan, type Recovering } from './plan.ts'
import { isLeased, isWaitOver, lockOut } from './queries.ts'

/** What is done, or would be. */
export type Recovery = {
  origin: string
  /** Leaves that the database has. */
  has: number
  /** Up to which the log is whole then; `root` in hex. Null where nobody holds any. */
  checkpoint: { size: number; root: string; holder: string } | null
  missing: Range
  /** Those of the missing whose entries are gone; the entries of the others wait in this database. */
  lost: Range
  /** Tiles in the store that are made again, and objects that are put aside. */
  tiles: number
  aside: number
  /** Why the log stands still, and why it goes on to. */
  halted: string | null
  stays: string | null
  unasked: string[]
  /** The entry that says so, when it is done. */
  entry?: EntryId
}

export type RecoverWish = {
  /** Checkpoints that outsiders kept. */
  given?: readonly Given[]
  /** Without it everything is found out and nothing done. */
  write?: boolean
  moved?: (leaves: number, of: number) => void
}

/** Whether there is something to do. */
export const isNeeded = ({ missing, tiles, halted, stays }: Recovery): boolean =>
  missing.leaves > 0 || tiles > 0 || halted !== stays

/** The note as the log signed it, without the lines of others. */
const ownNote = ({ note }: Known, log: LogRow): string => {
  const key = logKeyOf(log)
  const parsed = parseNote(note)
  const lines = parsed?.signatures.filter((line) => isLineOf(line, key)) ?? []
  return `${parsed?.text ?? ''}\n${lines.map(({ signature }) => signatureLine(key, signature)).join('')}`
}

const publishAgain = async ({ clock, store }: Recovering, tx: Tx, { log, published, target }: Plan): Promise<void> => {
  if (target === undefined) return
  const { size, root } = target
  const note = ownNote(target, log)
  if (size > published)
    await tx.insertInto('checkpoints').values({ log: log.number, size, root, note, at: clock.now() }).execute()
  const bytes = Buffer.from(note)
  await store.putNew('ledger', checkpointKey(log.number, size), bytes, sha256(bytes))
}

const recordIt = async ({ clock }: Recovering, tx: Tx, done: Recovery): Promise<EntryId> => {
  const { origin, has, checkpoint, missing, lost, tiles, aside, halted, stays } = done
  return await record(tx, clock, {
    operation: 'administration',
    action: 'ledger.recovered',
    subject: { type: 'entries', id: 'ledger' },
    actor: operator(),
    detail: { log: origin, had: has, checkpoint, recovered: missing, withoutEntry: lost, tiles, aside, halted, stays },
  })
}

/** All of it, in the transaction of the caller. */
const attempt = async (engines: Recovering, tx: Tx, { given = [], write = false, moved }: RecoverWish) => {
  const found = await logToRecover(tx)
  // Reading what the store has of a large log takes longer than a transaction may stand still.
  await sql`set local idle_in_transaction_session_timeout = 0`.execute(tx)
  const log = write ? await lockOut(tx, found.number) : found
  if (log === undefined) throw new NotRecovered('The log was ended meanwhile. Nothing was changed.')
  if (write && (await isLeased(tx, log.number)))
    throw new NotRecovered('A worker publishes at this moment. Nothing was changed: run this again in a minute.')
  const plan = await makePlan(engines, tx, log, given, moved ?? (() => undefined))
  const [missing, lost] = await goOver(engines, tx, plan, write)
  const tiles = plan.missing.size + (await mendEnded(engines, tx, write))
  const { target, own, leftovers, stays, unasked } = plan
  const recovery: Recovery = {
    origin: log.origin,
    has: own,
    checkpoint:
      target === undefined ? null : { size: target.size, root: target.root.toString('hex'), holder: target.holder },
    ...{ missing, lost, tiles, aside: leftovers.length, halted: log.halted, stays, unasked },
  }
  if (!write || !isNeeded(recovery)) return recovery
  await tx.updateTable('logs').set({ halted: stays }).where('number', '=', log.number).execute()
  const entry = await recordIt(engines, tx, recovery)
  // What the store is asked for comes last, and can be repeated: only then all of it is kept.
  await putAside(engines.store, log.number, target?.size ?? 0, leftovers)
  await publishAgain(engines, tx, plan)
  return { ...recovery, entry }
}

/**
 * Takes the leaves that an older database has not out of the published log, which they are proven to make up with its own,
 * and lets the log go on. All of it or nothing, in one transaction; without `write` it only finds out. The log stays halted
 * where somebody holds a larger checkpoint than can be made up. Throws NotRecovered, `store-unavailable`.
 */
export const recoverLedger = async (engines: Recovering, wish: RecoverWish = {}): Promise<Recovery> => {
  try {
    return await inTransaction(engines.db, async (tx) => await attempt(engines, tx, wish))
  } catch (error) {
    if (!isWaitOver(error)) throw error
    throw new NotRecovered('A worker holds the log and stands still. Nothing was changed: run this again.')
  }
}
