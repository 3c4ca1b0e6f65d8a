import { sql } from 'kysely'
import type { EntryId } from '../../base/ids.ts'
import type { Db } from '../../engines/postgres.ts'
import { type ErasureNamed, examineBody, type Taken } from './body.ts'
import { bodiesOf, leafDataOf } from './database-queries.ts'
import { proveErasures } from './erasures.ts'
import type { Findings } from './finding.ts'
import type { Kind } from './kinds.ts'

const stepRows = 20_000
const batchRows = 4096
const least = '00000000-0000-0000-0000-000000000000'

/** Ids of a table, in steps: after `after` up to the answer, which is undefined in the last step. */
const stepAfter = async (db: Db, table: 'entries' | 'entry_bodies', after: string): Promise<string | undefined> => {
  const { rows } = await sql<{ id: string }>`
    select id from ${sql.table(table)} where id > ${after}::uuid order by id offset ${stepRows - 1} limit 1`.execute(db)
  return rows[0]?.id
}

type Step = { after: string; to: string | undefined }

const within = (column: string, { after, to }: Step) =>
  to === undefined
    ? sql`${sql.ref(column)} > ${after}::uuid`
    : sql`${sql.ref(column)} > ${after}::uuid and ${sql.ref(column)} <= ${to}::uuid`

// Both sides are read by the same range of ids: what is missing in one of them is seen without looking up each.

const forgotten = async (db: Db, step: Step): Promise<string[]> => {
  const { rows } = await sql<{ id: string }>`
    select id from entries where ${within('id', step)}
    except select entry from leaves where ${within('entry', step)}
    except select entry from unsequenced where ${within('entry', step)}
    order by id`.execute(db)
  return rows.map(({ id }) => id)
}

const withoutEntry = async (db: Db, step: Step): Promise<string[]> => {
  const { rows } = await sql<{ id: string }>`
    select id from entry_bodies where ${within('id', step)} except select id from entries where ${within('id', step)}
    order by id`.execute(db)
  return rows.map(({ id }) => id)
}

const noteAll = (findings: Findings, kind: Kind, ids: readonly string[]): void => {
  const [entry] = ids
  if (entry !== undefined) findings.note(kind, null, { entry }, ids.length)
}

/** Entries that no log has and none will have, and bodies without an entry. */
const sweep = async (
  db: Db,
  table: 'entries' | 'entry_bodies',
  look: (step: Step) => Promise<string[]>,
  found: (ids: string[]) => void,
): Promise<void> => {
  for (let after: string | undefined = least; after !== undefined; ) {
    const to: string | undefined = await stepAfter(db, table, after)
    found(await look({ after, to }))
    after = to
  }
}

type Owed = { entry: EntryId; leaf: boolean }

const owedAfter = async (db: Db, after: string): Promise<Owed[]> => {
  const { rows } = await sql<Owed>`
    select entry, exists (select from leaves where leaves.entry = unsequenced.entry) as leaf
    from unsequenced where entry > ${after}::uuid order by entry limit ${batchRows}`.execute(db)
  return rows
}

/** What waits to become a leaf: each once, and its body as it was written. Answers how many. */
const checkOwed = async (db: Db, findings: Findings): Promise<number> => {
  let checked = 0
  for (let after: string = least; ; ) {
    const owed = await owedAfter(db, after)
    const last = owed.at(-1)
    if (last === undefined) return checked
    const ids = owed.map(({ entry }) => entry)
    const [leaves, bodies] = await Promise.all([leafDataOf(db, ids), bodiesOf(db, ids)])
    const again = owed.filter(({ leaf }) => leaf)
    noteAll(
      findings,
      'entry-owed-again',
      again.map(({ entry }) => entry),
    )
    const [named, taken]: [ErasureNamed[], Taken[]] = [[], []]
    for (const entry of ids) {
      const leaf = leaves.get(entry)
      if (leaf === undefined) {
        findings.note('owed-entry-missing', null, { entry })
        continue
      }
      const examined = examineBody(entry, leaf, bodies.get(entry))
      for (const { kind, ...fault } of examined.faults) findings.note(kind, null, { entry, ...fault })
      named.push(...examined.named)
      if (examined.taken !== null) taken.push(examined.taken)
    }
    await proveErasures(db, { named, taken }, (kind, where) => findings.note(kind, null, where))
    checked += owed.length
    after = last.entry
  }
}

/** Looks for entries that are lost on the way into a log. Answers how many wait. */
export const auditOwed = async (db: Db, findings: Findings): Promise<number> => {
  await sweep(
    db,
    'entries',
    async (step) => await forgotten(db, step),
    (ids) => noteAll(findings, 'entry-forgotten', ids),
  )
  await sweep(
    db,
    'entry_bodies',
    async (step) => await withoutEntry(db, step),
    (ids) => noteAll(findings, 'body-without-entry', ids),
  )
  return await checkOwed(db, findings)
}
