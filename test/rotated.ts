import { readFile, stat } from 'node:fs/promises'
import { connect } from '../src/engines/postgres.ts'
import { nextFileOf } from '../src/engines/signing-key.ts'
import type { Rotating } from '../src/ledger/keys/key-rotation.ts'
import { publishedKeys } from '../src/ledger/keys/receipt-keys.ts'
import type { TestEngines } from './engines.ts'

/** What rotates: the same engines with the rights of the owner of the database, as the command has them. */
export const asRotating = (engines: TestEngines): Rotating & AsyncDisposable => {
  const { clock, config, log, store } = engines
  const db = connect(engines.ownerUrl, 4, log)
  return { clock, config, db, log, store, [Symbol.asyncDispose]: async () => await db.destroy() }
}

/** Throws where a process would end after this step. */
export const cutAfter = (wanted: string) => ({
  reached: (step: string) => {
    if (step === wanted) throw new Error(`cut off after ${wanted}`)
  },
})

export const isFileThere = async (file: string): Promise<boolean> =>
  await stat(file).then(
    () => true,
    () => false,
  )

/** What a key's file holds, and whether another waits beside it. */
export const keyFileState = async (file: string) => ({
  x: JSON.parse(await readFile(file, 'utf8')).x as string,
  mode: (await stat(file)).mode & 0o777,
  waiting: await isFileThere(nextFileOf(file)),
})

/** The one receipt key that is not retired. */
export const keyInForce = async ({ db }: Pick<TestEngines, 'db'>) => {
  const current = (await publishedKeys(db)).filter(({ to }) => to === undefined)
  if (current.length !== 1 || current[0] === undefined) throw new Error(`${current.length} keys are in force`)
  return current[0]
}
