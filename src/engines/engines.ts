import { type Clock, systemClock } from './clock.ts'
import type { Config } from './config.ts'
import { type Enforced, makeEnforced } from './enforced.ts'
import { type Ffmpeg, makeFfmpeg } from './ffmpeg.ts'
import type { Log } from './log.ts'
import { type Metrics, makeMetrics } from './metrics.ts'
import { connect, type Db } from './postgres.ts'
import { type ReceiptKey, readKeyFile } from './receipt-key.ts'
import { makeScratch, type Scratch } from './scratch.ts'
import { makeStore, type Store } from './store.ts'

/** All that a feature may reach of the world outside. */
export type Engines = {
  config: Config
  log: Log
  clock: Clock
  db: Db
  store: Store
  enforced: Enforced
  ffmpeg: Ffmpeg
  scratch: Scratch
  receiptKey: ReceiptKey
  metrics: Metrics
  close(): Promise<void>
}

/** `given.ffmpeg` spares the trial of what this machine can build around ffmpeg, where one process makes engines often. */
export const makeEngines = async (
  config: Config,
  log: Log,
  given: { clock?: Clock; ffmpeg?: Ffmpeg } = {},
): Promise<Engines> => {
  const receiptKey = await readKeyFile(config.RECEIPT_KEY_FILE)
  const scratch = await makeScratch(config.SCRATCH_DIR)
  const db = connect(config.DATABASE_URL, config.DATABASE_CONNECTIONS, log)
  const store = makeStore(config)
  return {
    config,
    log,
    clock: given.clock ?? systemClock,
    db,
    store,
    enforced: makeEnforced(config, log),
    ffmpeg: given.ffmpeg ?? (await makeFfmpeg({ log, scratch })),
    scratch,
    receiptKey,
    metrics: makeMetrics(),
    close: async () => {
      store.close()
      await db.destroy()
    },
  }
}
