import { setImmediate as breathe } from 'node:timers/promises'
import { CompiledQuery, type KyselyPlugin } from 'kysely'
import { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { canonical } from '../../src/base/canonical.ts'
import { sha256 } from '../../src/base/digest.ts'
import { type EntryId, newId } from '../../src/base/ids.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import type { EntryView } from '../../src/ledger/entries/entries.ts'
import { exportEntries } from '../../src/ledger/entries/export.ts'
import { listEntries, readEntry } from '../../src/ledger/entries/reading.ts'
import { type Act, type Actor, sealOf } from '../../src/ledger/entry.ts'
import { beginLog } from '../../src/ledger/log/log.ts'
import { numberEntries } from '../../src/ledger/log/queries.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { eraseFromEntry, record } from '../../src/ledger/record.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { codeOf } from '../footsteps.ts'
import { writeEntries } from '../made-entries.ts'

const auditor: Actor = { kind: 'person', id: 'the-auditor', role: 'auditor' }

let engines: TestEngines
let owner: Client
beforeAll(async () => {
  engines = await testEngines()
  owner = new Client({ connectionString: engines.ownerUrl })
  await owner.connect()
  await beginLog(engines)
})
afterAll(async () => {
  await owner.end()
  await engines[Symbol.asyncDispose]()
})

/** The subject of a test's own entries. */
let subject: string
beforeEach(() => {
  subject = newId()
})

const write = async (act: Partial<Act> = {}): Promise<EntryId> =>
  await inTransaction(engines.db, async (tx) => await record(tx, engines.clock, { ...anAct(), ...act }))
const writeMany = async (count: number): Promise<EntryId[]> => await writeEntries(engines, anAct(), count)
const anAct = (): Act => ({
  operation: 'consultation',
  action: 'recording.read',
  subject: { type: 'recording', id: subject },
  actor: { kind: 'person', id: 'somebody', role: 'officer' },
  purpose: 'case: 12/3456',
})

const list = async (asked: Partial<Parameters<typeof listEntries>[2]> = {}) =>
  await listEntries(engines, auditor, { limit: 50, subject, ...asked })
const readingsOf = async (action: string) =>
  await engines.db
    .selectFrom('entryBodies')
    .select(['id', 'entry', 'parts'])
    .where('action', '=', action)
    .orderBy('id', 'desc')
    .execute()
const idsOf = (items: readonly { id: string }[]): string[] => items.map(({ id }) => id)

/** Whether the leaf and each seal can be computed again from what is shown. */
const proves = ({ entry, salt, parts, leaf }: EntryView): boolean => {
  const { sealed } = Object(entry)
  const sealsFit = Object.entries(parts).every(
    ([name, part]) => sealOf(Buffer.from(part.salt, 'hex'), part.value) === sealed[name],
  )
  return sealsFit && sha256(Buffer.from(salt ?? '', 'hex'), canonical(Object(entry))).toString('hex') === leaf
}

describe('an entry as an auditor sees it', () => {
  test('has what it takes to compute its seals and its leaf again', async () => {
    const id = await write()
    const { items } = await list()
    expect(items).toHaveLength(1)
    const [item] = items
    if (item === undefined) throw new Error('it is not there')
    expect(item).toMatchObject({
      ...{ id, operation: 'consultation', action: 'recording.read', outcome: 'allowed' },
      ...{ subject: { type: 'recording', id: subject }, at: expect.stringMatching(/^\d{4}-.*\.\d{6}Z$/) },
    })
    expect(item.parts.actor?.value).toEqual({ kind: 'person', id: 'somebody', role: 'officer' })
    expect(item).not.toHaveProperty('erased')
    expect(proves(item)).toBe(true)
    expect(await readEntry(engines, auditor, id)).toEqual(item)
  })

  test('has no place in the log at first, then one, and then a checkpoint over it', async () => {
    const id = await write()
    const place = async () => {
      const { log, index, underCheckpoint } = await readEntry(engines, auditor, id)
      return { log, index, underCheckpoint }
    }
    expect(await place()).toEqual({ log: null, index: null, underCheckpoint: false })
    while ((await numberEntries(engines.db, 1000)) > 0) await breathe()
    const { origin } = await engines.db.selectFrom('logs').select('origin').executeTakeFirstOrThrow()
    const { index } = await engines.db
      .selectFrom('leaves')
      .select('index')
      .where('entry', '=', id)
      .executeTakeFirstOrThrow()
    expect(await place()).toEqual({ log: origin, index, underCheckpoint: false })
    await sequence(engines)
    expect(await place()).toEqual({ log: origin, index, underCheckpoint: true })
  })

  test('of which a part was erased shows the others, and which entry erased it', async () => {
    const id = await write()
    const by: Parameters<typeof eraseFromEntry>[4] = {
      action: 'entry.part-erased',
      actor: { kind: 'service', id: 'test' },
    }
    const erasure = await inTransaction(
      engines.db,
      async (tx) => await eraseFromEntry(tx, engines.clock, id, 'actor', by),
    )
    const item = await readEntry(engines, auditor, id)
    expect(item).toMatchObject({ erased: { actor: erasure }, parts: { purpose: { value: 'case: 12/3456' } } })
    expect(Object.keys(item.parts)).toEqual(['purpose'])
    expect(proves(item)).toBe(true)
    expect(idsOf((await list({ actor: 'somebody' })).items)).toEqual([])
  })

  test('whose body was erased keeps its leaf and its place in the list, and names the erasure', async () => {
    const id = await write()
    const { leaf } = await readEntry(engines, auditor, id)
    const by: Parameters<typeof eraseFromEntry>[4] = { action: 'entry.erased', actor: { kind: 'service', id: 'test' } }
    const erasure = await inTransaction(
      engines.db,
      async (tx) => await eraseFromEntry(tx, engines.clock, id, 'body', by),
    )
    const erased = {
      ...{
        id,
        at: null,
        operation: null,
        action: null,
        subject: null,
        outcome: null,
        entry: null,
        salt: null,
        parts: {},
      },
      ...{ erased: { body: erasure }, leaf, log: null, index: null, underCheckpoint: false },
    }
    expect(await readEntry(engines, auditor, id)).toEqual(erased)
    const { subject: _, ...everything } = { subject, limit: 200 }
    const { items } = await listEntries(engines, auditor, everything)
    const ids = idsOf(items)
    expect(ids).toEqual(ids.toSorted().reverse())
    expect(items[ids.indexOf(id)]).toEqual(erased)
  })
})

describe('reading entries', () => {
  test('is an entry itself, with what was asked and what was found', async () => {
    const ids = await writeMany(3)
    await list({ limit: 2, action: 'recording.read' })
    const [reading] = await readingsOf('entries.listed')
    expect(JSON.parse(reading?.entry ?? '')).toMatchObject({
      operation: 'consultation',
      subject: { type: 'entries', id: 'ledger' },
      outcome: 'allowed',
    })
    expect(reading?.parts.actor?.value).toEqual(auditor)
    expect(reading?.parts.detail?.value).toEqual({
      query: { subject, action: 'recording.read', limit: 2 },
      found: { count: 2, newest: ids[2], oldest: ids[1] },
    })
    await readEntry(engines, auditor, ids[0] ?? newId())
    const [one] = await readingsOf('entry.read')
    expect(JSON.parse(one?.entry ?? '').subject).toEqual({ type: 'entry', id: ids[0] })
  })

  test('does not happen where its entry cannot be written', async () => {
    await write()
    await owner.query('revoke insert on entries from exhibit_app')
    try {
      await expect(list()).rejects.toThrow('permission denied')
      await expect(exportEntries(engines, auditor, 'jsonl', {}, new AbortController().signal)).rejects.toThrow('denied')
    } finally {
      await owner.query('grant insert on entries to exhibit_app')
    }
  })

  test('asks by times to the microsecond: the first belongs to it, the last does not', async () => {
    await writeMany(5)
    const timesIn = async (asked: { from?: string; to?: string }) =>
      (await list(asked)).items.map(({ at }) => at ?? '').sort()
    const times = await timesIn({})
    const [first = '', , third = '', , last = ''] = times
    const justAfter = (at: string): string => `${at.slice(0, -1)}001Z`
    const inTokyo = Temporal.Instant.from(third).toZonedDateTimeISO('Asia/Tokyo').toString({ timeZoneName: 'never' })
    expect(await timesIn({ from: third, to: last })).toEqual(times.slice(2, 4))
    expect(await timesIn({ to: first })).toEqual([])
    expect(await timesIn({ from: last })).toEqual([last])
    expect(await timesIn({ from: justAfter(last) })).toEqual([])
    expect(await timesIn({ from: third, to: justAfter(last) })).toEqual(times.slice(2))
    expect(await timesIn({ from: inTokyo })).toEqual(times.slice(2))
  })

  test.for([
    [{ from: '2026-02-30T00:00:00Z' }],
    [{ to: '2026-01-01T25:00:00Z' }],
    [{ to: '9999-12-31T23:59:59-01:00' }],
    [{ cursor: 'abc' }],
    [{ cursor: Buffer.from('["x"]').toString('base64url') }],
    [{ cursor: Buffer.from(`["${newId().replace('7', '8')}'"]`).toString('base64url') }],
  ])('refuses what does not exist: %j', async ([asked]) => {
    expect(await codeOf(list(asked))).toBe('bad-request')
  })

  test('of an entry that is not there is refused, and leaves none', async () => {
    const before = (await readingsOf('entry.read')).length
    expect(await codeOf(readEntry(engines, auditor, newId()))).toBe('not-found')
    expect(await readingsOf('entry.read')).toHaveLength(before)
  })

  test('page by page is undisturbed by what is written meanwhile', async () => {
    const ids = await writeMany(25)
    const found: string[] = []
    let cursor: string | null | undefined
    while (cursor !== null) {
      const page = await list({ limit: 10, ...(cursor === undefined ? {} : { cursor }) })
      found.push(...idsOf(page.items))
      cursor = page.nextCursor
      await writeMany(3)
    }
    expect(found).toEqual(ids.toReversed())
  })
})

const never = new AbortController().signal
const linesOf = (text: string): EntryView[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

describe('an export', () => {
  test('is everything that matches, oldest first, and nothing else', async () => {
    const ids = await writeMany(1203)
    const { id, body } = await exportEntries(engines, auditor, 'jsonl', { subject }, never)
    const lines = linesOf((await body.toArray()).join(''))
    expect(idsOf(lines)).toEqual(ids)
    expect(lines.every(proves)).toBe(true)
    const [reading] = await readingsOf('entries.exported')
    expect(reading?.id).toBe(id)
    expect(reading?.parts.detail?.value).toMatchObject({ query: { subject }, format: 'jsonl', upTo: ids.at(-1) })
  })

  test('of nothing is an empty file; as a table it still says what the columns are', async () => {
    const jsonl = await exportEntries(engines, auditor, 'jsonl', { subject }, never)
    expect((await jsonl.body.toArray()).join('')).toBe('')
    const csv = await exportEntries(engines, auditor, 'csv', { subject }, never)
    expect((await csv.body.toArray()).join('')).toMatch(/^\ufeffid,at,operation,[^\n]*,entry,parts\r\n$/)
  })

  test('as a table has a line for each, from which the leaf can be computed, and runs no formula', async () => {
    const id = await write({ purpose: '=HYPERLINK("http://x")', detail: { found: ['a,b', 'c'] } })
    const { body } = await exportEntries(engines, auditor, 'csv', { subject }, never)
    const text = (await body.toArray()).join('')
    const [head = '', line = '', rest] = text.split('\r\n')
    expect(rest).toBe('')
    const fields = [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)].map(([, field = '']) =>
      field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field,
    )
    const at = (name: string): string => fields[head.replace('\ufeff', '').split(',').indexOf(name)] ?? ''
    expect(at('id')).toBe(id)
    expect(at('purpose')).toBe(`'=HYPERLINK("http://x")`)
    expect(at('detail')).toBe('{"found":["a,b","c"]}')
    expect(at('actor')).toBe('{"id":"somebody","kind":"person","role":"officer"}')
    expect(at('underCheckpoint')).toBe('false')
    expect(sha256(Buffer.from(at('salt'), 'hex'), at('entry')).toString('hex')).toBe(at('leaf'))
  })

  test('has what was there when it began: not what is written while it goes on, and not itself', async () => {
    const ids = await writeMany(1500)
    const { body } = await exportEntries(engines, auditor, 'jsonl', { subject }, never)
    const chunks: string[] = []
    for await (const chunk of body) {
      chunks.push(String(chunk))
      await writeMany(20)
    }
    expect(idsOf(linesOf(chunks.join('')))).toEqual(ids)
    const all = await exportEntries(engines, auditor, 'jsonl', {}, never)
    expect(idsOf(linesOf((await all.body.toArray()).join('')))).not.toContain(all.id)
  })

  test('reads no further than its reader, and not at all once the reader is gone', async () => {
    await writeMany(6000)
    let batches = 0
    const counting: KyselyPlugin = {
      transformQuery: ({ node, queryId }) => {
        if (/^\s*select id from/.test(engines.db.getExecutor().compileQuery(node, queryId).sql)) batches++
        return node
      },
      transformResult: async ({ result }) => result,
    }
    const own = { ...engines, db: engines.db.withPlugin(counting) }
    const { body } = await exportEntries(own, auditor, 'jsonl', { subject }, never)
    const reader = body[Symbol.asyncIterator]()
    await reader.next()
    for (let n = 0; n < 50; n++) await engines.db.executeQuery(CompiledQuery.raw('select 1'))
    const ahead = batches
    expect(ahead).toBeLessThanOrEqual(4)
    await reader.return?.()
    for (let n = 0; n < 50; n++) await engines.db.executeQuery(CompiledQuery.raw('select 1'))
    expect(batches).toBeLessThanOrEqual(ahead + 1)
    expect(body.destroyed).toBe(true)
  })

  test('that the database breaks off ends in an error and never in order', async () => {
    await writeMany(3000)
    const { body } = await exportEntries(engines, auditor, 'jsonl', { subject }, never)
    await owner.query('revoke select on entry_bodies from exhibit_app')
    try {
      await expect(body.toArray()).rejects.toThrow('permission denied')
    } finally {
      await owner.query('grant select on entry_bodies to exhibit_app')
    }
  })
})
