import { readFile } from 'node:fs/promises'
import { systemClock } from '../../engines/clock.ts'
import { type Config, readConfig } from '../../engines/config.ts'
import { makeLog } from '../../engines/log.ts'
import { refuseWrongSchema } from '../../engines/migrate.ts'
import { connect, databaseLost } from '../../engines/postgres.ts'
import { makeStore } from '../../engines/store.ts'
import type { Given } from '../../ledger/audit/witnessed.ts'
import type { Recovering } from '../../ledger/recover/plan.ts'
import { Failure } from '../failure.ts'
import { type Progress, showProgress, silentProgress } from '../progress.ts'
import { environmentMeant } from '../up/whereabouts.ts'

type Address = 'DATABASE_URL' | 'DATABASE_OWNER_URL'

const addressIn = (config: Config, name: Address): string => {
  const url = config[name]
  if (url === undefined) throw new Failure(`Set ${name}, or name a data folder with --data.`)
  return url
}

/** Works with the database and the store of the installation meant, and lets go of both. */
export const reachLedger = async <T>(
  data: string | undefined,
  name: Address,
  work: (engines: Recovering) => Promise<T>,
): Promise<T> => {
  const config = readConfig(environmentMeant(data, name))
  const db = connect(addressIn(config, name), 4, makeLog('silent', 'ledger', 2))
  const store = makeStore(config)
  try {
    await refuseWrongSchema(db)
    return await work({ clock: systemClock, config, db, store })
  } catch (error) {
    throw databaseLost(error) ? new Failure(`The database at ${name} does not answer.`, error) : error
  } finally {
    store.close()
    await db.destroy()
  }
}

/** Checkpoints that outsiders kept, out of files. */
export const readGiven = async (files: readonly string[] = []): Promise<Given[]> =>
  await Promise.all(files.map(async (file) => ({ object: file, note: await readFile(file, 'utf8') })))

export const addFile = (file: string, before: string[] = []): string[] => [...before, file]

/** A bar that counts leaves, of one log after the other. */
export const leavesBar = (json: boolean) => {
  const progress: Progress = json ? silentProgress : showProgress()
  return {
    moved: (log: string, done: number, total: number): void =>
      progress.set(log, { label: log, done, total, unit: 'leaves' }),
    close: (): void => progress.close(),
  }
}
