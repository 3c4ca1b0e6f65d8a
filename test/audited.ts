import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { inject } from 'vitest'
import { systemClock } from '../src/engines/clock.ts'
import type { Config } from '../src/engines/config.ts'
import { makeLog } from '../src/engines/log.ts'
import { connect, type Db } from '../src/engines/postgres.ts'
import { makeStore, type Store } from '../src/engines/store.ts'
import { auditLedger } from '../src/ledger/audit/audit.ts'
import type { Finding } from '../src/ledger/audit/finding.ts'
import type { Given } from '../src/ledger/audit/witnessed.ts'
import type { Recovering } from '../src/ledger/recover/plan.ts'
import type { TestEngines } from './engines.ts'

const inDatabase = (url: string, database: string): string =>
  Object.assign(new URL(url), { pathname: `/${database}` }).toString()

const nameIn = (url: string): string => new URL(url).pathname.slice(1)

const once = async (url: string, statements: readonly string[]): Promise<void> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}

/** A database as the application and as its owner reach it. */
export type Database = AsyncDisposable & { db: Db; owner: Client; url: string; ownerUrl: string }

const open = async (url: string, ownerUrl: string, forget: () => Promise<void>): Promise<Database> => {
  const db = connect(url, 4, makeLog('silent', 'test'))
  const owner = new Client({ connectionString: ownerUrl })
  await owner.connect()
  return {
    ...{ db, owner, url, ownerUrl },
    [Symbol.asyncDispose]: async () => {
      await owner.end()
      await db.destroy()
      await forget()
    },
  }
}

/** A copy of the database of these engines, as a backup is. Nobody may be connected to it: it is closed for good. */
export const copyOf = async (engines: Pick<TestEngines, 'db' | 'environment' | 'ownerUrl'>): Promise<Database> => {
  await engines.db.destroy()
  const { ownerUrl: server } = inject('prepared')
  const name = `c_${randomBytes(6).toString('hex')}`
  const source = nameIn(engines.ownerUrl)
  for (let tries = 1; ; tries++) {
    try {
      await once(server, [`create database ${name} template ${source}`])
      break
    } catch (error) {
      // A connection that was closed may linger, and a vacuum may be at work.
      if (tries === 20) throw error
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  }
  await once(server, [`revoke all on database ${name} from public`, `grant connect on database ${name} to exhibit_app`])
  const url = inDatabase(engines.environment.DATABASE_URL ?? '', name)
  const forget = async () => await once(server, [`drop database if exists ${name}`]).catch(() => undefined)
  return await open(url, inDatabase(engines.ownerUrl, name), forget)
}

/** What is found in this database, and in the store of the engines. */
export const auditOf = async (
  { db, store, config = { LEDGER_WITNESSES: [] } }: { db: Db; store: Store; config?: Pick<Config, 'LEDGER_WITNESSES'> },
  given: readonly Given[] = [],
) => await auditLedger({ db, store, clock: systemClock, config }, { given })

/** What was found, without words. */
export const foundIn = ({ findings }: { findings: Finding[] }) =>
  findings.map(({ kind, log, count, first }) => ({ kind, log, count, ...first }))

/** What recovers: with the rights of the owner of the database, and as a new process sees the store. */
export const asRecovering = ({ config }: { config: Config }, ownerUrl: string): Recovering & AsyncDisposable => {
  const db = connect(ownerUrl, 4, makeLog('silent', 'test'))
  const store = makeStore(config)
  return {
    ...{ clock: systemClock, config, db, store },
    [Symbol.asyncDispose]: async () => {
      store.close()
      await db.destroy()
    },
  }
}

/** The same engines on another database. */
export const onDatabase = (engines: TestEngines, { db, url }: Pick<Database, 'db' | 'url'>): TestEngines => ({
  ...engines,
  db,
  config: { ...engines.config, DATABASE_URL: url },
})
