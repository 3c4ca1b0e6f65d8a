import { CamelCasePlugin, Kysely, PostgresDialect, sql, type Transaction } from 'kysely'
import pg from 'pg'
import { Problem } from '../base/problem.ts'
import type { Log } from './log.ts'
import type { Tables } from './tables.ts'

export type Db = Kysely<Tables>
export type Tx = Transaction<Tables>

// Sizes and counts are far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)
// A day has no time zone: as a Date it would be another one to whoever lives elsewhere.
pg.types.setTypeParser(pg.types.builtins.DATE, (day) => day)

/** How a statement begins that each connection prepares once: its planning would be felt, so often is it asked for. */
const marked = /^\s*\/\* prepared as (\w+) \*\//

const prepareMarked = (client: pg.ClientBase): void => {
  const { query } = client
  const value = (first: unknown, ...rest: unknown[]): unknown => {
    const name = typeof first === 'string' ? marked.exec(first)?.[1] : undefined
    return Reflect.apply(
      query,
      client,
      name === undefined ? [first, ...rest] : [{ name, text: first, values: rest[0] }],
    )
  }
  Object.defineProperty(client, 'query', { value })
}

/** A pool behind Kysely. Statements that stand still are ended, so that a stuck database is an error and not a silence. */
export const connect = (url: string, connections: number, log: Log): Db => {
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 60_000,
    idle_in_transaction_session_timeout: 120_000,
    keepAlive: true,
  })
  pool.on('error', (error) => log.warn({ err: error.message }, 'a database connection was lost'))
  // A connection in use may break too, between two statements; the next statement then fails, and that is enough.
  pool.on('connect', (client) => {
    client.on('error', () => undefined)
    prepareMarked(client)
  })
  return new Kysely<Tables>({
    dialect: new PostgresDialect({ pool }),
    plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })],
  })
}

/** Runs `work` in one transaction. */
export const inTransaction = async <T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> =>
  await db.transaction().execute(work)

/** Whether the error is Postgres saying that a unique or exclusion constraint (of this name, if given) was broken. */
export const brokeConstraint = (error: unknown, constraint?: string): boolean =>
  error instanceof pg.DatabaseError &&
  (error.code === '23505' || error.code === '23P01') &&
  (constraint === undefined || error.constraint === constraint)

const lost = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOENT',
  '57P01',
  '57P02',
  '57P03',
  '08006',
  '08003',
  '53300',
])

/** Whether the error means that the database cannot be reached just now, as against a fault of ours. */
export const databaseLost = (error: unknown): boolean => {
  if (!(error instanceof Error)) return false
  if ('code' in error && typeof error.code === 'string' && lost.has(error.code)) return true
  return /Connection terminated|timeout exceeded when trying to connect|connection error|Client has encountered/i.test(
    error.message,
  )
}

export const databaseProblem = (cause: unknown): Problem =>
  new Problem('database-unavailable', undefined, { retryAfter: 5, cause })

/** Calls `heard` at every notification on the channel, and again after each reconnection. Ends with the signal. */
export const listen = (url: string, channel: string, log: Log, signal: AbortSignal, heard: () => void): void => {
  if (signal.aborted) return
  const client = new pg.Client({ connectionString: url, keepAlive: true, connectionTimeoutMillis: 10_000 })
  let over = false
  const again = () => {
    if (over) return
    over = true
    signal.removeEventListener('abort', again)
    client.removeAllListeners('notification')
    client.end().catch(() => undefined)
    if (!signal.aborted) setTimeout(() => listen(url, channel, log, signal, heard), 1000).unref()
  }
  client.on('error', (error) => {
    log.debug({ err: error.message }, 'the listening connection was lost')
    again()
  })
  client.on('end', again)
  client.on('notification', heard)
  signal.addEventListener('abort', again, { once: true })
  client
    .connect()
    .then(() => client.query(`listen ${pg.escapeIdentifier(channel)}`))
    .then(heard)
    .catch(again)
}

export const databaseAnswers = async (db: Db): Promise<void> => {
  await sql`select 1`.execute(db)
}
