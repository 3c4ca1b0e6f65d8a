import { Problem } from '../../base/problem.ts'
import { fullWidth, hasTile, parseTilePath, type Tile } from '../../base/tiles.ts'
import type { Engines } from '../../engines/engines.ts'
import type { Db } from '../../engines/postgres.ts'
import { newestCheckpoint } from './checkpoints.ts'
import { currentLog } from './log.ts'
import { newestCheckpointRow } from './queries.ts'
import { tileBytes, tileLost } from './tree.ts'

const meant = async (db: Db, log: number | undefined): Promise<number> => {
  const number = log ?? (await currentLog(db))?.number
  if (number === undefined) throw new Problem('not-found', 'The log has not begun yet.')
  return number
}

/** The newest checkpoint, of the log that grows where none is named. Throws Problem `not-found` before the first. */
export const checkpointServed = async ({ db }: Pick<Engines, 'db'>, log?: number): Promise<string> => {
  const checkpoint = await newestCheckpoint(db, await meant(db, log))
  if (checkpoint === undefined) throw new Problem('not-found', 'There is no checkpoint yet.')
  return checkpoint.note
}

/** Whether a tree of `size` leaves is stored with this tile of it, or with the full one that it is read out of. */
const isStoredWith = (tile: Tile, size: number): boolean =>
  hasTile({ ...tile, width: fullWidth }, size) || !hasTile({ ...tile, width: tile.width + 1 }, size)

/**
 * `path` such as `tile/0/x001/234`. Throws Problem `not-found` for what the published tree has not, `log-damaged` for what
 * the store should have, `store-unavailable`.
 */
export const tileServed = async (
  { db, store }: Pick<Engines, 'db' | 'store'>,
  path: string,
  log?: number,
): Promise<Buffer> => {
  const tile = parseTilePath(path)
  if (tile === null) throw new Problem('not-found', 'That is no path of a tile (C2SP tlog-tiles).')
  const number = await meant(db, log)
  const size = (await newestCheckpointRow(db, number))?.size ?? 0
  if (!hasTile(tile, size)) throw new Problem('not-found', `The log has ${size} leaves, and no such tile.`)
  const bytes = await tileBytes(store, number, tile)
  if (bytes !== null) return bytes
  if (isStoredWith(tile, size)) throw tileLost(path)
  throw new Problem('not-found', 'The log was never published at the size of that partial tile.')
}
