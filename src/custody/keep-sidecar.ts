import { sha256 } from '../base/digest.ts'
import type { RecordingId } from '../base/ids.ts'
import type { Engines } from '../engines/engines.ts'
import { inTransaction, type Tx } from '../engines/postgres.ts'
import type { RecordingRow } from '../engines/tables.ts'
import type { Outcome, Run } from '../jobs/catalogue.ts'
import { owe } from '../jobs/outbox.ts'
import { isKnownToFit } from '../ledger/cosigning/claims.ts'
import { signingKey } from '../ledger/keys/receipt-keys.ts'
import { currentLog } from '../ledger/log/log.ts'
import { signStatement } from '../ledger/statement.ts'
import { entriesInPart, type SidecarClaims, type SidecarPart, sidecarKey, sidecarType } from './sidecar.ts'
import { entriesAt, factsIn, partWith } from './sidecar-contents.ts'
import { clearSidecar, sidecarObjects } from './sidecar-objects.ts'
import { factsAbout, noteSidecar, placesAbout, recordingToKeep, takeSidecar } from './sidecar-queries.ts'

type Job = Pick<Run, 'fence' | 'progress' | 'signal'>

/** How long it is until a sidecar is looked at again that waits for the log. */
const againMs = 60_000

/** Its original is deleted, or was never more than a second object of another. */
const isGone = ({ status, duplicateOf, quarantinedBecause }: RecordingRow): boolean =>
  status === 'erased' || duplicateOf !== null || quarantinedBecause === 'discarded'

/**
 * Writes what the catalogue and the ledger say of a recording into the store, beside its original and signed. The recording's
 * row is held meanwhile: an erasure waits, and after it has begun nothing is written any more. What is left of one that is
 * gone is deleted. Repeatable; of several attempts one after the other writes.
 */
export const keepSidecar = async (engines: Engines, id: RecordingId, run: Job): Promise<Outcome> => {
  const sound = await isKnownToFit(engines, run.signal)
  try {
    return await inTransaction(engines.db, async (tx) => await keepIn(tx, engines, id, run, sound))
  } catch (error) {
    // Whoever stood still for long may have written when nothing kept an erasure waiting any more.
    await clearIfGone(engines, id).catch(() => undefined)
    throw error
  }
}

const keepIn = async (tx: Tx, engines: Engines, id: RecordingId, run: Job, sound: boolean): Promise<Outcome> => {
  const found = await recordingToKeep(tx, id)
  if (found === undefined) return { outcome: 'skipped', because: 'there is no such recording' }
  const { recording, erasing } = found
  if (!erasing && !isGone(recording) && (!sound || (await currentLog(tx))?.halted)) {
    // What the log had, and this database perhaps has not, may stand in the sidecar alone.
    await run.fence(tx)
    const dueAt = new Date(engines.clock.now().getTime() + againMs)
    await owe(tx, engines.clock, 'keep-sidecar', { recordingId: id }, { cause: null, dueAt })
    return {
      outcome: 'skipped',
      because: 'the log is halted, or it is not known how far it had grown: the sidecar stays as it is meanwhile',
    }
  }
  await takeSidecar(tx, id)
  if (erasing) return { outcome: 'skipped', because: 'the recording is being erased' }
  if (isGone(recording)) {
    await clearSidecar(engines, id)
    await run.fence(tx)
    await noteSidecar(tx, id, null)
    return { outcome: 'skipped', because: 'the recording is gone, and so is its sidecar' }
  }
  if (recording.status === 'received') return { outcome: 'skipped', because: 'the recording is not verified yet' }
  const kept = await write(tx, engines, recording, run)
  await run.fence(tx)
  await noteSidecar(tx, id, kept)
  return { outcome: 'done' }
}

const clearIfGone = async (engines: Engines, id: RecordingId): Promise<void> => {
  const found = await inTransaction(engines.db, async (tx) => await recordingToKeep(tx, id))
  if (found !== undefined && (found.erasing || isGone(found.recording))) await clearSidecar(engines, id)
}

/** The parts before the sidecar that names them; what it names no more goes last. Cut off anywhere, one of them is whole. */
const write = async (tx: Tx, engines: Engines, recording: RecordingRow, { progress, signal }: Job) => {
  const { clock, config, store } = engines
  const { id } = recording
  const places = await placesAbout(tx, recording)
  const last = places.at(-1)
  if (last === undefined) throw new Error('no entry about the recording is in the log')
  const there = new Set(await sidecarObjects(engines, id))
  const earlier: SidecarPart[] = []
  for (let from = 0; places.length - from > entriesInPart; from += entriesInPart) {
    const entries = await entriesAt(tx, places.slice(from, from + entriesInPart))
    const { bytes, digest, part } = partWith(id, earlier.length + 1, entries)
    if (!there.has(part.key)) await store.put('derived', part.key, bytes, digest, signal)
    earlier.push(part)
    progress(from / places.length)
  }
  const entries = await entriesAt(tx, places.slice(earlier.length * entriesInPart))
  const facts = factsIn(recording, await factsAbout(tx, recording))
  const key = await signingKey(tx, engines)
  const signedAt = clock.now()
  const iat = Math.floor(signedAt.getTime() / 1000)
  const claims: SidecarClaims = { v: 1, iss: config.RECEIPT_ISSUER, iat, ...facts, earlier, entries }
  const bytes = Buffer.from(await signStatement(sidecarType, claims, key))
  await store.put('derived', sidecarKey(id), bytes, sha256(bytes), signal)
  for (const { key: part } of earlier) there.delete(part)
  there.delete(sidecarKey(id))
  for (const old of there) await store.delete('derived', old)
  return { log: last.log, index: last.index, signedAt }
}
