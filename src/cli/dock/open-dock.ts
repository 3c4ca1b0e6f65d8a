import path from 'node:path'
import { type Chunks, mib, startChunks } from './chunk.ts'
import { type Enrolment, readEnrolment } from './enrolment.ts'
import { makeHttp } from './http.ts'
import { type Installation, reach } from './installation.ts'
import { makePace, type Pace } from './limiter.ts'
import { type Memory, openMemory } from './memory.ts'
import type { DockEvent } from './outcome.ts'
import { type Stubborn, stubborn, untilDone } from './retry.ts'
import { makeSlots, type Slots } from './slots.ts'
import { dockCaller } from './token.ts'

export type DockOptions = {
  folder: string
  /** The file that `enrolDock` wrote. */
  keyFile: string
  /** Serial of the camera whose files these are. */
  camera: string
  /** Both clocks, read at one moment at docking. Without it no drift is claimed. */
  clocks?: { camera: Date; dock: Date } | undefined
  /** Files at once; 4 by default. */
  parallel?: number | undefined
  /** For all files together. */
  bytesPerSecond?: number | undefined
  /** Largest PATCH; 32 MiB by default. */
  chunkBytes?: number | undefined
  /** Delete a file once its receipt was verified and is the file's own. */
  wipe?: boolean | undefined
  /** Wait for the receipts of what is sent, this many seconds at most; false not at all. 1800 by default. */
  wait?: number | false | undefined
  /** How many seconds of waiting between tries, while nothing gets through, before it gives up; 300 by default. */
  patience?: number | undefined
  /** A connection that moves nothing for this many seconds counts as broken; 60 by default. An answer may take thrice that. */
  stall?: number | undefined
  /** Keep every receipt in this folder. */
  receiptsFolder?: string | undefined
  /** Said of every file, unless the sidecar says otherwise. */
  officer?: string | undefined
  category?: string | undefined
  incident?: string | undefined
  signal?: AbortSignal | undefined
  onEvent?: ((event: DockEvent) => void) | undefined
}

/** A dock at work: one camera's folder, one installation. */
export type Dock = {
  options: DockOptions
  enrolment: Enrolment
  /** Both clocks read at one moment, when the camera's is known; ours as far as it is known to be right. */
  clock(): { camera: Date; dock: Date } | undefined
  installation: Installation
  memory: Memory
  pace: Pace
  /** Shared by all files: they travel over one link. */
  chunks: Chunks
  hashing: Slots
  sending: Slots
  /** Files whose receipt is waited for. */
  waiting: number
  bytesSent: number
  /** Ends with the caller's signal, or when `halt` was called. */
  signal: AbortSignal
  /** Ends all work, because of something that no file of this dock gets past. */
  halt(because: unknown): void
  halted(): unknown
  trying(name?: string): Stubborn
  untilDone<Result>(work: () => Promise<Result>, name?: string): Promise<Result>
  tell(event: DockEvent): void
  close(): Promise<void>
}

export const openDock = async (options: DockOptions): Promise<Dock> => {
  const tell = (event: DockEvent): void => options.onEvent?.(event)
  const note = (text: string): void => tell({ type: 'note', text })
  const enrolment = await readEnrolment(options.keyFile)
  const halting = new AbortController()
  const signal = options.signal === undefined ? halting.signal : AbortSignal.any([options.signal, halting.signal])
  const caller = dockCaller(enrolment, (seconds) =>
    note(
      `The clock here is ${Math.abs(seconds)} s ${seconds < 0 ? 'ahead of' : 'behind'} the installation's: set it. Its time is used until then.`,
    ),
  )
  const { stall = 60 } = options
  const http = makeHttp(stall * 1000, stall * 3000)
  const patience = (name?: string) => ({
    patienceMs: (options.patience ?? 300) * 1000,
    signal,
    onRetry: (because: string, inMs: number) =>
      tell({ type: 'retrying', ...(name === undefined ? {} : { name }), because, inSeconds: inMs / 1000 }),
  })
  const { folder, keyFile, camera, clocks } = options
  const memory = await openMemory({ folder: path.resolve(folder), keyFile, dock: enrolment.dock, camera, note })

  return {
    options,
    enrolment,
    clock: () =>
      clocks === undefined
        ? undefined
        : { camera: clocks.camera, dock: new Date(clocks.dock.getTime() + caller.offset()) },
    installation: reach(http, enrolment.url, caller),
    memory,
    pace: makePace(options.bytesPerSecond),
    chunks: startChunks(options.chunkBytes ?? 32 * mib),
    hashing: makeSlots(2),
    sending: makeSlots(options.parallel ?? 4),
    waiting: 0,
    bytesSent: 0,
    signal,
    halt: (because) => halting.abort(because),
    halted: () => (halting.signal.aborted ? halting.signal.reason : undefined),
    trying: (name) => stubborn(patience(name)),
    untilDone: async (work, name) => await untilDone(patience(name), work),
    tell,
    close: async () => {
      await memory.save()
      http.close()
    },
  }
}
