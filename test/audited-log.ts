import type { EntryId } from '../src/base/ids.ts'
import { vkeyOf } from '../src/base/note.ts'
import type { LogRow } from '../src/engines/ledger-tables.ts'
import { inTransaction } from '../src/engines/postgres.ts'
import { cosignNewest } from '../src/ledger/cosigning/witnesses.ts'
import { beginLog, currentLog, logKeyOf } from '../src/ledger/log/log.ts'
import { sequence } from '../src/ledger/log/sequencer.ts'
import { eraseFromEntry, record } from '../src/ledger/record.ts'
import { auditOf, copyOf, type Database, foundIn } from './audited.ts'
import { type TestEngines, testEngines } from './engines.ts'
import { someAct } from './logged.ts'
import { startWitness, temporaryFolder } from './witnessing.ts'

/** Checkpoints of so many leaves are published; the largest is witnessed. */
export const publishedSizes = [1, 90, 300, 590, 600]
export const fullSize = 600

const act = { ...someAct, purpose: 'case: 12/3456', detail: { found: { count: 3, first: 'a' }, query: { text: 'b' } } }

/** Lets a witness of its own cosign the newest checkpoint. */
const letCosign = async (engines: TestEngines, log: LogRow): Promise<void> => {
  await using folder = await temporaryFolder()
  await using witness = await startWitness({ data: folder.path, logs: [vkeyOf(logKeyOf(log))] })
  const { key, url } = witness
  const config = { ...engines.config, LEDGER_WITNESSES: [{ key, url, vkey: vkeyOf(key) }] }
  if ((await cosignNewest({ ...engines, config })) !== 1) throw new Error('the witness did not cosign')
}

const grow = async (engines: TestEngines, count: number): Promise<EntryId[]> => {
  const ids = await inTransaction(engines.db, async (tx) => {
    const made: EntryId[] = []
    for (let n = 0; n < count; n++) made.push(await record(tx, engines.clock, act))
    return made
  })
  await sequence(engines)
  return ids
}

/** A log with several checkpoints, a witness, and a lawful erasure of either kind. Of the database only copies are made. */
export const makeAuditedLog = async () => {
  const engines = await testEngines()
  await beginLog(engines)
  await sequence(engines)
  const [, erasedPart, erasedBody] = await grow(engines, 89)
  if (erasedPart === undefined || erasedBody === undefined) throw new Error('nothing was written')
  const by = { action: 'entry.erased', actor: { kind: 'service', id: 'test' } } as const
  await inTransaction(engines.db, async (tx) => {
    await eraseFromEntry(tx, engines.clock, erasedPart, 'purpose', by)
    await eraseFromEntry(tx, engines.clock, erasedBody, 'body', by)
  })
  for (const count of [208, 290, 10]) await grow(engines, count)
  const log = await currentLog(engines.db)
  if (log === undefined) throw new Error('there is no log')
  await letCosign(engines, log)
  const leaves = await engines.db.selectFrom('leaves').select('entry').orderBy('index').execute()
  const ids = leaves.flatMap(({ entry }) => (entry === null ? [] : [entry]))
  return {
    ...{ engines, log, ids, erasedPart, erasedBody },
    /** Where a leaf and its entry are, as a finding says it. */
    leaf: (index: number) => ({ index, entry: ids[index] }),
    audit: async ({ db }: Pick<Database, 'db'>, given: { object: string; note: string }[] = []) =>
      await auditOf({ db, store: engines.store }, given),
    /** What is found in a copy of the database in which its owner did this. */
    foundAfter: async (tamper: (database: Database) => Promise<unknown>) => {
      await using database = await copyOf(engines)
      await tamper(database)
      return foundIn(await auditOf({ db: database.db, store: engines.store }))
    },
    [Symbol.asyncDispose]: async () => await engines[Symbol.asyncDispose](),
  }
}
export type AuditedLog = Awaited<ReturnType<typeof makeAuditedLog>>

/** As the owner, past the guards, which are up again afterwards. */
export const past = async ({ owner }: Database, table: string, statements: readonly string[]): Promise<void> => {
  await owner.query(`alter table ${table} disable trigger user`)
  for (const statement of statements) await owner.query(statement)
  await owner.query(`alter table ${table} enable trigger user`)
}

/** A finding of the first log. */
export const found = (kind: string, where: object, count = 1) => ({ kind, log: 1, count, ...where })
/** A finding of the whole database. */
export const foundOfAll = (kind: string, where: object, count = 1) => ({ kind, log: null, count, ...where })
