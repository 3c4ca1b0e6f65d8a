import type { JobId, RecordingId } from '../src/base/ids.ts'
import { oweSidecars } from '../src/custody/owe-sidecars.ts'
import { sidecarKey, sidecarPrefix } from '../src/custody/sidecar.ts'
import { type VerifiedSidecar, verifySidecar } from '../src/custody/verify-sidecar.ts'
import type { Engines } from '../src/engines/engines.ts'
import { inTransaction } from '../src/engines/postgres.ts'
import { runJob } from '../src/jobs/run.ts'
import type { Act } from '../src/ledger/entry.ts'
import { publishedKeys } from '../src/ledger/keys/receipt-keys.ts'
import { sequence } from '../src/ledger/log/sequencer.ts'
import { record } from '../src/ledger/record.ts'
import { handlers } from '../workers/handlers.ts'

const never = new AbortController().signal

/** Writes so many entries about a recording in one transaction. */
export const tell = async ({ db, clock }: Engines, id: RecordingId, count = 1, over: Partial<Act> = {}) =>
  await inTransaction(db, async (tx) => {
    const ids = []
    for (let n = 0; n < count; n++)
      ids.push(
        await record(tx, clock, {
          operation: 'consultation',
          action: 'recording.viewed',
          subject: { type: 'recording', id },
          actor: { kind: 'person', id: `person-${n}` },
          purpose: 'case: 12/3456',
          ...over,
        }),
      )
    return ids
  })

/** What the workers do with the leaves that are new; answers of which recordings a sidecar is owed then. */
export const owed = async (engines: Engines): Promise<string[]> => {
  await sequence(engines)
  await oweSidecars(engines, never)
  return (await owedJobs(engines)).map(({ recording }) => recording)
}

const owedJobs = async ({ db }: Engines): Promise<{ id: JobId; recording: string }[]> => {
  const rows = await db
    .selectFrom('jobs')
    .select(['id', 'payload'])
    .where('name', '=', 'keep-sidecar')
    .where('state', '=', 'owed')
    .orderBy('id')
    .execute()
  return rows.map(({ id, payload }) => ({ id, recording: String(payload.recordingId) }))
}

/** Runs the jobs that are there, as a worker does, and answers how each ended. */
export const runOwed = async (engines: Engines): Promise<string[]> => {
  const ends: string[] = []
  for (const { id } of await owedJobs(engines)) ends.push(await runJob(engines, handlers, id, never))
  return ends
}

/** Owes and does all that new leaves make necessary. */
export const keepOwed = async (engines: Engines): Promise<string[]> => {
  await owed(engines)
  return await runOwed(engines)
}

/** Keys of what the store has beside the original. */
export const besides = async ({ store }: Engines, id: RecordingId): Promise<string[]> =>
  await store.list('derived', sidecarPrefix(id))

/** The sidecar as somebody reads it who has nothing but the store and the published keys. */
export const readSidecar = async ({ db, store }: Engines, id: RecordingId): Promise<VerifiedSidecar> => {
  const jws = await store.readWhole('derived', sidecarKey(id))
  if (jws === null) throw new Error('there is no sidecar')
  return await verifySidecar(
    jws.toString(),
    await publishedKeys(db),
    async (key) => await store.readWhole('derived', key),
  )
}

/** A sidecar in which nothing is wrong. */
export const soundSidecar = async (engines: Engines, id: RecordingId): Promise<VerifiedSidecar> => {
  const sidecar = await readSidecar(engines, id)
  if (sidecar.faults.length > 0) throw new Error(sidecar.faults.join('\n'))
  return sidecar
}
