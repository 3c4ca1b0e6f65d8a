import { CompiledQuery, type KyselyPlugin } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Db } from '../../src/engines/postgres.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import type { EntriesAsked } from '../../src/ledger/entries/entries.ts'
import { findEntries, leadBy, reach, type Walk, walkByIndex } from '../../src/ledger/entries/queries.ts'
import { listEntries } from '../../src/ledger/entries/reading.ts'
import type { Actor } from '../../src/ledger/entry.ts'
import { beginLog } from '../../src/ledger/log/log.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { type Made, makeEntries } from '../made-entries.ts'

const count = 201_000
const startMs = Date.parse('2026-08-01T00:00:00Z')
const auditor: Actor = { kind: 'person', id: 'the-auditor', role: 'auditor' }

let engines: TestEngines
let made: Made[]
beforeAll(async () => {
  engines = await testEngines()
  await beginLog(engines)
  made = await makeEntries(engines.ownerUrl, count, startMs)
}, 240_000)
afterAll(async () => await engines[Symbol.asyncDispose]())

/** The same database, and every statement that goes through it. */
const overheard = (): { db: Db; statements: CompiledQuery[] } => {
  const statements: CompiledQuery[] = []
  const plugin: KyselyPlugin = {
    transformQuery: ({ node, queryId }) => {
      statements.push(engines.db.getExecutor().compileQuery(node, queryId))
      return node
    },
    transformResult: async ({ result }) => result,
  }
  return { db: engines.db.withPlugin(plugin), statements }
}

type Plan = {
  'Node Type': string
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
  Plans?: Plan[]
}
const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]

/** The nodes of a statement's plan, as it is run in the reading of a list. */
const planned = async ({ sql, parameters }: CompiledQuery): Promise<Plan[]> =>
  await inTransaction(engines.db, async (tx) => {
    await walkByIndex(tx)
    const explained = CompiledQuery.raw(`explain (analyze, buffers, timing off, format json) ${sql}`, [...parameters])
    const { rows } = await tx.executeQuery(explained)
    const [said] = Object.values(Object(rows[0])) as [[{ Plan: Plan }]]
    return nodesOf(said[0].Plan)
  })

const filters: EntriesAsked[] = [
  { actor: 'exhibit' },
  { actor: 'person-13' },
  { subject: 'recording-77' },
  { operation: 'consultation' },
  { action: 'recording.read' },
  { action: 'key.rotated' },
  { outcome: 'denied' },
  { outcome: 'allowed' },
  { from: '2026-08-20T00:00:00Z' },
  { to: '2026-08-10T12:00:00+02:00' },
]
const pairs = filters.flatMap((one, n) =>
  filters
    .slice(n + 1)
    .flatMap((other) => (Object.keys(one)[0] === Object.keys(other)[0] ? [] : [{ ...one, ...other }])),
)

const microsOf = (at: string): bigint => Temporal.Instant.from(at).epochNanoseconds / 1000n

/** The made entries that match, newest first. */
const matching = ({ from, to, ...words }: EntriesAsked): Made[] => {
  const [begin, end] = [from ?? '1970-01-01T00:00:00Z', to ?? '2100-01-01T00:00:00Z'].map(microsOf)
  const fits = (entry: Made): boolean => {
    const at = microsOf(entry.at)
    return (
      Object.entries(words).every(([name, value]) => Object(entry)[name] === value) &&
      at >= (begin ?? 0n) &&
      at < (end ?? 0n)
    )
  }
  return made.filter(fits).reverse()
}
const idsOf = (items: readonly { id: string }[]): string[] => items.map(({ id }) => id)

/** What the list gives of made entries: the test's own readings are entries too. */
const listed = async (db: Db, query: EntriesAsked, limit = 50) => {
  const page = await listEntries({ ...engines, db }, auditor, { limit, ...query })
  return { ...page, items: page.items.filter(({ action }) => !['entries.listed', 'log.begun'].includes(action ?? '')) }
}

test.each([...filters, ...pairs])(
  'what matches %j is found by indexes, few rows at a time and unsorted',
  async (query) => {
    const { db, statements } = overheard()
    const { items, nextCursor } = await listed(db, query, 200)
    const expected = matching(query)
    const short = items.length < 100
    expect(idsOf(items)).toEqual(idsOf(expected.slice(0, items.length)))
    if (short && expected.length > items.length) expect(nextCursor).not.toBeNull()
    const reading = statements.filter(({ sql }) => /^\s*select/.test(sql) && !sql.includes('set_config'))
    expect(reading.length).toBeGreaterThanOrEqual(2)
    for (const statement of reading) {
      for (const node of await planned(statement)) {
        const shown = `${node['Node Type']} ${node['Relation Name'] ?? ''} in ${statement.sql}`
        expect(shown).not.toMatch(/^(Seq Scan|Bitmap|Sort|Incremental Sort)/)
        expect(
          (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'],
          shown,
        ).toBeLessThanOrEqual(reach)
      }
    }
  },
)

test('what is looked for among very many comes in pages that may be empty, and is complete when nothing follows', async () => {
  const found: string[] = []
  let pages = 0
  let cursor: string | null | undefined
  // Both are frequent and never go together.
  const query = { actor: 'exhibit', action: 'recording.read' }
  while (cursor !== null) {
    const page = await listEntries(engines, auditor, {
      limit: 50,
      ...query,
      ...(cursor === undefined ? {} : { cursor }),
    })
    found.push(...idsOf(page.items))
    cursor = page.nextCursor
    pages++
  }
  expect(found).toEqual([])
  expect(pages).toBe(2)
})

test('pages follow each other without a gap or a repetition, whatever is asked', async () => {
  const queries: EntriesAsked[] = [
    { outcome: 'denied', action: 'recording.read' },
    { actor: 'person-13', from: '2026-08-05T00:00:00.000001Z', to: '2026-08-25T00:00:00Z' },
  ]
  for (const query of queries) {
    const found: string[] = []
    let cursor: string | null | undefined
    while (cursor !== null) {
      const page = await listEntries(engines, auditor, {
        limit: 40,
        ...query,
        ...(cursor === undefined ? {} : { cursor }),
      })
      found.push(...idsOf(page.items))
      cursor = page.nextCursor
    }
    expect(found.length).toBeGreaterThan(40)
    expect(found).toEqual(idsOf(matching(query)))
  }
})

test('the rarer of two filters leads', async () => {
  const leads = async (filter: EntriesAsked) =>
    await inTransaction(engines.db, async (tx) => (await leadBy(tx, { order: 'newest first', filter })).lead)
  expect(await leads({ actor: 'exhibit', action: 'key.rotated' })).toBe('action')
  expect(await leads({ actor: 'person-13', action: 'recording.read' })).toBe('actor')
  expect(await leads({ operation: 'administration', outcome: 'denied' })).toBe('outcome')
  expect(await leads({ operation: 'administration', outcome: 'allowed' })).toBe('operation')
  expect(await leads({ outcome: 'allowed' })).toBeUndefined()
})

test('the end of a long walk costs what its beginning does', async () => {
  const blocks = async (walk: Walk): Promise<number> => {
    const { db, statements } = overheard()
    await inTransaction(db, async (tx) => await findEntries(tx, walk, 500))
    const plans = await Promise.all(statements.filter(({ sql }) => /^\s*select/.test(sql)).map(planned))
    expect(plans.length).toBeGreaterThan(0)
    return plans.reduce((sum, [top]) => sum + (top?.['Shared Hit Blocks'] ?? 0) + (top?.['Shared Read Blocks'] ?? 0), 0)
  }
  const late = made.at(-2000)?.id
  const early = made.at(2000)?.id
  for (const filter of [
    {},
    { actor: 'exhibit' },
    { operation: 'administration', from: '2026-08-01T00:00:00Z' },
  ] as const) {
    const lead = 'actor' in filter ? 'actor' : 'operation' in filter ? 'operation' : undefined
    const upTo = made.at(-1)?.id
    const oldest = { order: 'oldest first', filter, lead, ...(upTo === undefined ? {} : { upTo }) } as const
    expect(await blocks({ ...oldest, after: late })).toBeLessThan(2 * (await blocks(oldest)))
    const newest = { order: 'newest first', filter, lead } as const
    expect(await blocks({ ...newest, after: early })).toBeLessThan(2 * (await blocks(newest)))
  }
})
