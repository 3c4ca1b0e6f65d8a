import type { LogRow } from '../../engines/ledger-tables.ts'
import type { Tx } from '../../engines/postgres.ts'
import { allLogs } from '../log/log.ts'
import { newestCheckpointRow } from '../log/queries.ts'
import { rebuild } from './leaves.ts'
import { makeTilesAgain, missingTiles } from './missing-tiles.ts'
import { NotRecovered } from './not-recovered.ts'
import type { Recovering } from './plan.ts'

const mendOne = async (reached: Recovering, tx: Tx, log: LogRow, write: boolean): Promise<number> => {
  const row = await newestCheckpointRow(tx, log.number)
  if (row === undefined) return 0
  const missing = await missingTiles(reached.store, log.number, row.size)
  if (missing.size === 0) return 0
  const of = { log, own: row.size, checkpoints: [{ holder: 'The database', ...row }] }
  const { right } = await rebuild({ ...reached, db: tx }, of)
  if (right.length === 0)
    throw new NotRecovered(
      `The leaves of ${log.origin}, which has ended, do not make up its last checkpoint. Nothing was changed. Run exhibit ledger audit.`,
    )
  if (!write) return missing.size
  const tiles = makeTilesAgain(reached.store, log.number, missing)
  await rebuild({ ...reached, db: tx }, { ...of, takeChunk: tiles.add })
  await tiles.end()
  return missing.size
}

/** Makes the missing tiles of logs that have ended, out of the leaves in the database. Answers how many. */
export const mendEnded = async (reached: Recovering, tx: Tx, write: boolean): Promise<number> => {
  let made = 0
  for (const log of await allLogs(tx)) if (log.toAt !== null) made += await mendOne(reached, tx, log, write)
  return made
}
