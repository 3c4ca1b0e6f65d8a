import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { type EntryId, IdOf, type JobId } from '../base/ids.ts'
import type { Engines } from '../engines/engines.ts'
import type { Tx } from '../engines/postgres.ts'

/** Every kind of owed work and what it needs to know. A name without a handler in workers/handlers.ts does not compile. */
const payloads = {
  /** Complete the object, read it back, compare, sign the receipt, examine, and make it playable where that is quick. */
  'take-into-custody': Type.Object({ recordingId: IdOf.recording }),
  /** Make the playback forms that are still owed. */
  'make-renditions': Type.Object({ recordingId: IdOf.recording }),
  /** Cut an exact clip, check it, and publish it. */
  'cut-clip': Type.Object({ clipId: IdOf.clip }),
  /** Make a bundle of exhibits, checking every byte, and publish it. */
  'make-bundle': Type.Object({ bundleId: IdOf.bundle }),
  /** Delete from the store what an upload that ended left there. */
  'clear-upload': Type.Object({ uploadId: IdOf.upload }),
  /** Delete the object of a duplicate or of a discarded recording. */
  'clear-recording': Type.Object({ recordingId: IdOf.recording }),
  /** Work out, over the whole catalogue, what a drafted policy would change. */
  'simulate-policy': Type.Object({ simulationId: IdOf.simulation }),
  /** Hide what is due, and erase what has been hidden for long enough. */
  purge: Type.Object({ purgeId: IdOf.purge }),
  /** Bring the store's own legal hold in line with the holds on a recording. */
  'hold-original': Type.Object({ recordingId: IdOf.recording }),
  /** Write beside the original what the catalogue and the ledger say of it. */
  'keep-sidecar': Type.Object({ recordingId: IdOf.recording }),
}
export type Catalogue = { [Name in keyof typeof payloads]: Type.Static<(typeof payloads)[Name]> }
export type JobName = keyof Catalogue

export const isJobName = (name: string): name is JobName => Object.hasOwn(payloads, name)

/** Whether what a row carries is what jobs of this name need. */
export const isPayloadOf = <Name extends JobName>(name: Name, payload: unknown): payload is Catalogue[Name] =>
  Value.Check(payloads[name], payload)

/**
 * What is worked at side by side: taking footage in, what people ask for, and making footage playable. A dock that waits for a
 * receipt waits behind no transcode, nor does whoever asked for a clip.
 */
export const lanes = ['custody', 'requests', 'renditions'] as const
export type Lane = (typeof lanes)[number]

const laneOfJobs: Record<JobName, Lane> = {
  'take-into-custody': 'custody',
  'clear-upload': 'custody',
  'clear-recording': 'custody',
  'hold-original': 'custody',
  'keep-sidecar': 'custody',
  'cut-clip': 'requests',
  'make-bundle': 'requests',
  'simulate-policy': 'requests',
  purge: 'requests',
  'make-renditions': 'renditions',
}

/** A job that this code does not know is left to whoever takes it. */
export const laneOf = (name: string): Lane => (isJobName(name) ? laneOfJobs[name] : 'custody')

export const jobNames = Object.keys(payloads).filter(isJobName)

export type Outcome = { outcome: 'done'; said?: string } | { outcome: 'skipped'; because: string }

/** One attempt at a job, as its handler sees it. */
export type Run = {
  jobId: JobId
  attempt: number
  cause: EntryId | null
  /** Aborts when the worker stops or another attempt took over: kill what you started. */
  signal: AbortSignal
  /** 0 to 1; kept in Postgres now and then. Also a heartbeat. */
  progress(fraction: number): void
  /** Call in the transaction that applies the result: throws TakenOver unless this attempt still holds the job. */
  fence(tx: Tx): Promise<void>
}

export type Handler<Name extends JobName> = {
  (engines: Engines, payload: Catalogue[Name], run: Run): Promise<Outcome>
  /** Called in the transaction that gives the job up, so that nobody reads for ever that its work is under way. */
  whenFailed?: (tx: Tx, engines: Engines, payload: Catalogue[Name]) => Promise<void>
}
export type Handlers = { [Name in JobName]: Handler<Name> }
