import { openCheckpoint } from '../../base/checkpoint.ts'
import { Problem } from '../../base/problem.ts'
import type { Engines } from '../../engines/engines.ts'
import type { LogRow } from '../../engines/ledger-tables.ts'
import { inTransaction } from '../../engines/postgres.ts'
import type { ConfiguredWitness } from '../../engines/witness-list.ts'
import { publishedBefore } from '../log/head.ts'
import { currentLog, logKeyOf } from '../log/log.ts'
import { growthFrom } from '../log/proofs.ts'
import { type PublishedNote, storedNotes, witnessedNotes } from '../log/published.ts'
import { halt, newestCheckpointRow, numberedSize } from '../log/queries.ts'
import { isSilent, type Seen, seenByWitnesses } from './asking.ts'
import { servedBy, WitnessFailed } from './exchange.ts'

type Reached = Pick<Engines, 'db' | 'log' | 'store'>

const stop = async ({ db, log }: Pick<Reached, 'db' | 'log'>, of: LogRow, why: string): Promise<'halted'> => {
  await halt(db, of.number, why)
  log.error({ log: of.origin }, why)
  return 'halted'
}

/**
 * Whether the database has fewer leaves than that, and the log was halted for it. That is looked at again under lock: a
 * recovery may just have put back what was lacking.
 */
const stopIfOlder = async (
  { db, log }: Pick<Reached, 'db' | 'log'>,
  of: LogRow,
  size: number,
  why: (leaves: number) => string,
): Promise<boolean> => {
  if (size <= (await numberedSize(db, of.number))) return false
  return await inTransaction(db, async (tx) => {
    await tx.selectFrom('logs').select('number').where('number', '=', of.number).forUpdate().execute()
    const leaves = await numberedSize(tx, of.number)
    if (size > leaves) await stop({ db: tx, log }, of, why(leaves))
    return size > leaves
  })
}

const older =
  (holder: string, size: number) =>
  (leaves: number): string =>
    `${holder} holds a checkpoint of ${size} leaves that this log signed, and this database has ${leaves}: it is an older one. Run exhibit ledger recover.`

/** `served` is what the witness serves of the log. */
const holdAgainst = async (
  engines: Reached,
  of: LogRow,
  { key: { name } }: ConfiguredWitness,
  served: string | null,
): Promise<'halted' | 'later' | 'unshown'> => {
  const { db, store } = engines
  const seen = served === null ? null : openCheckpoint(served, logKeyOf(of))
  if (seen === null) return 'unshown'
  if (await stopIfOlder(engines, of, seen.size, older(`The witness ${name}`, seen.size))) return 'halted'
  const newest = await newestCheckpointRow(db, of.number)
  // Between the two its publication was cut short: the sequencer ends it.
  if (newest === undefined || seen.size > newest.size) return 'later'
  const { oldRoot } = await growthFrom(store, newest, seen.size)
  if (oldRoot.equals(seen.root)) return 'unshown'
  return await stop(
    engines,
    of,
    `The witness ${name} holds a checkpoint of ${seen.size} leaves that this log signed, and it is not one of this tree: the log has two histories. Run exhibit ledger audit.`,
  )
}

/**
 * Looks at the checkpoint that a witness serves, when it says that ours does not fit what it has seen. Only what this log
 * itself signed halts the log: on its word alone any witness could stop it. Answers `halted` with the log halted, in words;
 * `unshown` when the witness has nothing that says so; `later` when what it shows is about to be published here.
 */
export const lookAtClaim = async (
  engines: Reached,
  of: LogRow,
  witness: ConfiguredWitness,
  signal: AbortSignal,
): Promise<'halted' | 'later' | 'unshown'> => {
  const served = await servedBy(witness, of.origin, signal).catch((error: unknown) => {
    if (error instanceof WitnessFailed) return null
    throw error
  })
  return await holdAgainst(engines, of, witness, served)
}

/** No witness says how far it has seen the log grow, and one that may know more is among them. */
export class WitnessesSilent extends Error {}

const inWords = ({ witness: { key }, size, unshown, cosigned }: Seen): string => {
  if (size === null) return `${key.name}, which does not say`
  if (size < cosigned) return `${key.name}, which cosigned ${cosigned} leaves and says that it has seen ${size}`
  if (unshown) return `${key.name}, which speaks of ${size} leaves and does not show them`
  return `${key.name}, which has seen nothing of it`
}

const largestOf = (notes: readonly PublishedNote[]): PublishedNote | undefined =>
  notes.filter(({ head }) => head !== null).toSorted((one, other) => other.size - one.size)[0]

/** Holds what the ledger bucket has of the log against the database, which numbers before anything is published. */
const holdAgainstBucket = async (engines: Reached, of: LogRow): Promise<'halted' | 'fits'> => {
  const { store } = engines
  const [own, cosigned] = [largestOf(await storedNotes(store, of)), largestOf(await witnessedNotes(store, of))]
  // The database is looked at afterwards: meanwhile others number, publish and have it cosigned.
  if (own !== undefined && (await stopIfOlder(engines, of, own.size, (has) => publishedBefore(own.size, has))))
    return 'halted'
  if (cosigned === undefined) return 'fits'
  const why = older(`${cosigned.key} in the ledger bucket`, cosigned.size)
  return (await stopIfOlder(engines, of, cosigned.size, why)) ? 'halted' : 'fits'
}

const mayGoOn = async (engines: Asking, of: LogRow, stopping: AbortSignal | undefined): Promise<boolean> => {
  if ((await holdAgainstBucket(engines, of)) === 'halted') return false
  const seen = await seenByWitnesses(engines, of, stopping)
  for (const { witness, note = null } of seen)
    if ((await holdAgainst(engines, of, witness, note)) === 'halted') return false
  const silent = seen.filter(isSilent)
  // One that has seen nothing cannot speak for another that has.
  if (silent.length === 0 || seen.some((one) => !isSilent(one) && one.size !== 0)) return true
  throw new WitnessesSilent(
    `no witness says how far it has seen the log grow (${seen.map(inWords).join('; ')}): nothing is added to it before one does`,
  )
}

type Asking = Reached & Pick<Engines, 'config'>

/** What was found by each process: it holds as long as the process does. */
const found = new WeakMap<object, Promise<boolean>>()

/** When the last question came to nothing, by `performance.now()`. */
const askedInVain = new WeakMap<object, number>()

/**
 * What a process asks before it adds to the log, or writes over what may be the last copy of what the log had. Where a
 * database and a bucket were restored together they agree with one another, and others alone know that the log had gone
 * further. Answers whether it may go on; where it must not, the log is halted, in words. Throws WitnessesSilent: proofs are
 * better late than of a second history.
 */
export const mayAdd = async (engines: Asking, stopping?: AbortSignal): Promise<boolean> => {
  const log = await currentLog(engines.db)
  if (log === undefined || log.halted !== null) return false
  const asking = found.get(engines) ?? mayGoOn(engines, log, stopping)
  found.set(engines, asking)
  try {
    if (await asking) return true
  } catch (error) {
    found.delete(engines)
    askedInVain.set(engines, performance.now())
    throw error
  }
  found.delete(engines)
  return false
}

const patienceMs = 60_000

/**
 * The same for work that would otherwise wait in the place of other work: witnesses are given their time once a minute, and
 * where they, or the tiles by which they are checked, do not tell, the answer is no. Throws `store-unavailable`.
 */
export const isKnownToFit = async (engines: Asking, stopping: AbortSignal): Promise<boolean> => {
  const asked = askedInVain.get(engines)
  if (!found.has(engines) && asked !== undefined && performance.now() - asked < patienceMs) return false
  try {
    return await mayAdd(engines, stopping)
  } catch (error) {
    if (error instanceof WitnessesSilent || (error instanceof Problem && error.code === 'log-damaged')) return false
    throw error
  }
}
