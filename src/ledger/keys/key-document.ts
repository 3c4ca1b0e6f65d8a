import type { Db } from '../../engines/postgres.ts'
import { type PublishedLog, publishedLogs } from '../log/log.ts'
import { type PublishedKey, publishedKeys } from './receipt-keys.ts'

/** Every key that ever signed a receipt or a log. `log` is the one that grows; left out where none has begun. */
export type KeyDocument = { keys: PublishedKey[]; log?: { origin: string; vkey: string }; logs: PublishedLog[] }

/** What `/ledger/keys` answers, and what goes with a bundle. */
export const keyDocument = async (db: Db): Promise<KeyDocument> => {
  const [keys, logs] = [await publishedKeys(db), await publishedLogs(db)]
  const current = logs.find(({ to }) => to === undefined)
  const log = current === undefined ? {} : { log: { origin: current.origin, vkey: current.vkey } }
  return { keys, ...log, logs }
}
