import { vkeyOf } from '../base/note.ts'
import type { Db } from '../engines/postgres.ts'
import { newestCheckpoint } from '../ledger/log/checkpoints.ts'
import { allLogs, logKeyOf } from '../ledger/log/log.ts'

/** A log in which acts stand. `note` is its newest signed head (C2SP tlog-checkpoint); null until the first is published. */
export type LogView = { origin: string; vkey: string; checkpoint: { size: number; note: string } | null }

/** Every log there was, the one that grows first: whoever rotates the key begins another. */
export const logViews = async (db: Db): Promise<LogView[]> => {
  const views: LogView[] = []
  for (const log of (await allLogs(db)).reverse()) {
    const checkpoint = await newestCheckpoint(db, log.number)
    views.push({
      origin: log.origin,
      vkey: vkeyOf(logKeyOf(log)),
      checkpoint: checkpoint === undefined ? null : { size: checkpoint.size, note: checkpoint.note },
    })
  }
  return views
}
