import { hash } from 'node:crypto'
import { firstIdAt } from '../../base/ids.ts'
import type { Clock } from '../../engines/clock.ts'
import type { Db } from '../../engines/postgres.ts'
import type { Findings } from './finding.ts'
import {
  derivedColumns,
  functionRows,
  partitionRows,
  rightRows,
  roleFaults,
  tableRows,
  triggerRows,
  triggerSettings,
} from './guard-queries.ts'
import { derived, functions, rights, type Trigger, triggers } from './guarded.ts'

type Note = (kind: Parameters<Findings['note']>[0], object: string, says?: string) => void

const checkTriggers = async (db: Db, expected: Map<string, Record<string, Trigger>>, note: Note): Promise<void> => {
  const rows = await triggerRows(db, [...expected.keys()])
  for (const [table, made] of expected) {
    const there = new Map(rows.filter(({ on }) => on === table).map((row) => [row.name, row]))
    for (const [name, { type, calls }] of Object.entries(made)) {
      const row = there.get(name)
      const object = `${name} on ${table}`
      if (row === undefined) note('trigger-missing', object)
      else if (row.type !== type || row.calls !== calls || row.narrowed)
        note('trigger-missing', object, 'it was replaced')
      // O and A fire for everybody, D for nobody, R only where the database is a copy of another.
      else if (row.state !== 'O' && row.state !== 'A') note('trigger-disabled', object)
    }
    for (const name of there.keys()) if (made[name] === undefined) note('trigger-unknown', `${name} on ${table}`)
  }
  for (const where of await triggerSettings(db)) note('trigger-disabled', `session_replication_role, set ${where}`)
}

const checkFunctions = async (db: Db, note: Note): Promise<void> => {
  const rows = await functionRows(db, Object.keys(functions))
  for (const [name, made] of Object.entries(functions)) {
    const own = rows.filter((row) => row.name === name)
    const found = own.map(({ source, definer, settings }) =>
      hash('sha256', JSON.stringify([source, definer, settings])),
    )
    if (found.length !== 1 || found[0] !== made)
      note('function-changed', name, found.length === 0 ? 'it is missing' : undefined)
    if (own.some(({ definer, open }) => definer && open)) note('grant-grown', name, 'everybody may call it')
  }
}

const monthsAhead = 31 * 24 * 3600 * 1000

/** Entries of every moment up to a month from now have a partition. */
const checkPartitions = (rows: Awaited<ReturnType<typeof partitionRows>>, now: Date, note: Note): void => {
  let covered = firstIdAt(0)
  let last = 'the first'
  const gap = (to: string): void =>
    note('partition-gap', `after ${last}`, `nothing takes the ids from ${covered} to ${to}`)
  for (const { name, from, to } of rows) {
    if (from === null || to === null) {
      note('table-changed', name, 'it takes whatever no month takes')
      continue
    }
    if (from > covered) gap(from)
    if (to > covered) covered = to
    last = name
  }
  const needed = firstIdAt(now.getTime() + monthsAhead)
  if (covered < needed) gap(needed)
}

const checkTables = async (db: Db, partitions: readonly string[], note: Note): Promise<void> => {
  const tables = [...Object.keys(rights), ...partitions]
  const rows = new Map((await tableRows(db, tables)).map((row) => [row.name, row]))
  for (const table of tables) {
    const row = rows.get(table)
    if (row === undefined) note('table-changed', table, 'it is missing')
    else if (row.kind !== (table === 'entries' ? 'p' : 'r')) note('table-changed', table, 'it is no table')
    else if (row.secured) note('table-changed', table, 'it hides rows')
    else if (row.hidden) note('table-changed', table, 'another of that name stands before it')
    else if (row.ruled) note('table-changed', table, 'rules rewrite what is done to it')
  }
  const columns = await derivedColumns(db)
  for (const [name, expression] of Object.entries(derived))
    if (columns.get(name) !== expression)
      note('table-changed', `entry_bodies.${name}`, 'it is not derived from the entry')
}

const checkRights = async (db: Db, partitions: readonly string[], note: Note): Promise<void> => {
  for (const { who, on, right } of await rightRows(db, [...Object.keys(rights), ...partitions])) {
    const may = who === 'exhibit_app' ? (rights[on] ?? []) : []
    if (!may.includes(right)) note('grant-grown', on, `${who} may ${right}`)
  }
  for (const fault of await roleFaults(db)) note('grant-grown', 'exhibit_app', `exhibit_app ${fault}`)
}

/** What the owner of the database cannot be kept from: taking its guards away. */
export const auditGuards = async (db: Db, clock: Clock, findings: Findings): Promise<void> => {
  const note: Note = (kind, object, says) =>
    findings.note(kind, null, { object, ...(says === undefined ? {} : { says }) })
  const months = await partitionRows(db)
  const partitions = months.map(({ name }) => name)
  const ofEntries = triggers.entries ?? {}
  const expected = new Map([...Object.entries(triggers), ...partitions.map((name) => [name, ofEntries] as const)])
  checkPartitions(months, clock.now(), note)
  await checkTables(db, partitions, note)
  await checkTriggers(db, expected, note)
  await checkFunctions(db, note)
  await checkRights(db, partitions, note)
}
