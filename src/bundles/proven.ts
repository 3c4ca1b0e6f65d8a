import { canonical } from '../base/canonical.ts'
import type { EntryId } from '../base/ids.ts'
import type { NoteKey } from '../base/note.ts'
import { parseProof, verifyProof } from '../base/tlog-proof.ts'
import type { Engines } from '../engines/engines.ts'
import type { LogRow } from '../engines/ledger-tables.ts'
import { leafOf } from '../ledger/entry.ts'
import { type Checkpoint, checkpointAt, newestCheckpoint } from '../ledger/log/checkpoints.ts'
import { currentLog, logKeyOf } from '../ledger/log/log.ts'
import { type Place, placesOf, proofsAt } from '../ledger/log/proofs.ts'
import type { ToldEntry } from './entries.ts'
import { type Chosen, coveredSince, mostCosigned } from './queries.ts'

type Reached = Pick<Engines, 'clock' | 'config' | 'db'>

/** What it still takes, in words for whoever asked for the bundle, and when to look again. */
export type Waiting = { waitsFor: string; againMs: number }

const soonestMs = 1000
const latestMs = 60_000
/** Longer than a log that is published every so often takes, and than a witness that is well. */
const patienceMs = 60_000
const byItself = 'Nothing is lost: the bundle is made by itself after that.'

/** `since` is when the first that is missing was written, in milliseconds. */
const waitingFor = (log: LogRow | undefined, since: number, { clock, config }: Reached): Waiting => {
  const overdueMs = Math.max(0, clock.now().getTime() - since)
  const againMs = Math.min(Math.max(soonestMs, overdueMs / 10), latestMs)
  if (log?.halted != null) {
    const why = `The log, by which what is in the bundle is proven, stands still until an administrator sets it going: ${log.halted}`
    return { againMs, waitsFor: `${why} ${byItself}` }
  }
  const late = overdueMs > patienceMs + 2000 * config.LEDGER_INTERVAL_SECONDS
  const how = late
    ? `It has taken since ${new Date(since).toISOString()}: tell an administrator that the log is not published.`
    : ''
  const what = 'Entries of the ledger about these exhibits are not under a signed checkpoint of the log yet.'
  return { againMs, waitsFor: [what, how, byItself].filter((sentence) => sentence !== '').join(' ') }
}

/** How many leaves of the log that grows these entries need; it has a checkpoint in every bundle. */
const leavesNeeded = (places: readonly Place[], current: number): number =>
  places.reduce((most, { log, index }) => (log === current ? Math.max(most, index + 1) : most), 1)

const ofGrowing = async (
  reached: Reached,
  log: number,
  leaves: number,
): Promise<Checkpoint | undefined | 'unwitnessed'> => {
  const { clock, config, db } = reached
  const best = await mostCosigned(db, log, leaves)
  const since = best === undefined ? undefined : await coveredSince(db, log, leaves)
  if (best === undefined || since === undefined) return undefined
  const missing = best.cosigned < config.LEDGER_WITNESSES.length
  if (missing && clock.now().getTime() - since.getTime() < patienceMs) return 'unwitnessed'
  return await checkpointAt(db, log, best.size)
}

/**
 * The signed heads that cover all these entries: of the log that grows one that its witnesses cosigned, where it has some
 * that are well; of a log that was left its last, also where nothing but other acts stand in it that the bundle tells of. Or
 * what it still takes: what cannot be proven is not disclosed. What else is done meanwhile is not waited for: of footage that
 * is always watched there would be no bundle.
 */
export const chooseCheckpoints = async (
  reached: Reached,
  entries: readonly ToldEntry[],
  logsOfStories: () => Promise<ReadonlySet<number>>,
): Promise<{ checkpoints: Checkpoint[] } | Waiting> => {
  const { db } = reached
  const log = await currentLog(db)
  const found = await placesOf(
    db,
    entries.map(({ id }) => id),
  )
  const missing = entries.filter(({ id }) => found.get(id)?.published !== true)
  if (log === undefined || missing.length > 0)
    return waitingFor(log, Math.min(...missing.map(({ at }) => Date.parse(at))), reached)
  const places = [...found.values()]
  const newest = await ofGrowing(reached, log.number, leavesNeeded(places, log.number))
  if (newest === undefined) return waitingFor(log, log.fromAt.getTime(), reached)
  if (newest === 'unwitnessed')
    return {
      againMs: soonestMs,
      waitsFor: `The witnesses of the log have not cosigned its checkpoint yet; they are given a minute. ${byItself}`,
    }
  const logs = new Set([...places.map((place) => place.log), ...(await logsOfStories())])
  // The log was left meanwhile, and its head is not known to be its last.
  if (Math.max(...logs) > log.number) return await chooseCheckpoints(reached, entries, logsOfStories)
  const checkpoints = [newest]
  for (const number of logs) {
    if (number === log.number) continue
    const last = await newestCheckpoint(db, number)
    if (last === undefined) return waitingFor(log, log.fromAt.getTime(), reached)
    checkpoints.push(last)
  }
  return { checkpoints }
}

export type ProvenEntry = ToldEntry & {
  /** Leaf `index` of the `size` under the head. */
  leaf: { index: number; size: number }
  /** C2SP tlog-proof@v1. */
  proof: string
}

/** Sees that a proof holds before it goes out: the store may have other tiles than those that were published. */
const held = (told: ToldEntry, proof: string, key: NoteKey): ProvenEntry => {
  const parsed = parseProof(proof)
  const leaf = leafOf(Buffer.from(told.salt, 'hex'), canonical(told.entry))
  const found = parsed?.extra?.equals(leaf) === true ? verifyProof(parsed, leaf, key) : null
  if (parsed === null || found === null || 'fault' in found)
    throw new Error(`the log as it is stored does not prove entry ${told.id}; run exhibit ledger audit`)
  return { ...told, leaf: { index: parsed.index, size: found.head.size }, proof }
}

/** Those of the entries that stand under the chosen heads, with their proofs: what was written after is not in this bundle. */
export const provenEntries = async (
  reached: Pick<Engines, 'db' | 'store'>,
  chosen: readonly Chosen[],
  entries: readonly ToldEntry[],
): Promise<ProvenEntry[]> => {
  const proofs = new Map<EntryId, { proof: string; key: NoteKey }>()
  for (const head of chosen) {
    const key = logKeyOf(head)
    const ids = entries.map(({ id }) => id)
    for (const [id, proof] of await proofsAt(reached, head, ids)) proofs.set(id, { proof, key })
  }
  return entries.flatMap((entry) => {
    const found = proofs.get(entry.id)
    return found === undefined ? [] : [held(entry, found.proof, found.key)]
  })
}
