import { Writable } from 'node:stream'
import { Client } from 'pg'
import { pino } from 'pino'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canonical } from '../../src/base/canonical.ts'
import { sha256 } from '../../src/base/digest.ts'
import { type EntryId, newId } from '../../src/base/ids.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { EntryView } from '../../src/ledger/entries/entries.ts'
import type { Act } from '../../src/ledger/entry.ts'
import { record } from '../../src/ledger/record.ts'
import { roles } from '../../src/people/role.ts'
import { startTestApi, type TestApi } from '../api.ts'
import { writeEntries } from '../made-entries.ts'

const address = '/api/v1/ledger/entries'
const logged: string[] = []
const log = pino(
  { level: 'info' },
  new Writable({
    write: (line, _encoding, done) => {
      logged.push(String(line))
      done()
    },
  }),
)

const many = newId()
const act: Act = {
  operation: 'consultation',
  action: 'recording.read',
  subject: { type: 'recording', id: many },
  actor: { kind: 'person', id: 'somebody', role: 'officer' },
  purpose: 'case: 12/3456',
}

let api: TestApi
let ids: EntryId[]
beforeAll(async () => {
  api = await startTestApi({ log })
  ids = await writeEntries(api.engines, act, 15_000)
}, 120_000)
afterAll(async () => await api[Symbol.asyncDispose]())

const asOwner = async (statement: string): Promise<void> => {
  const client = new Client({ connectionString: api.engines.ownerUrl })
  await client.connect()
  await client.query(statement)
  await client.end()
}

/** The auditor's call, its body still to be read. */
const fetched = async (path: string, init: RequestInit = {}): Promise<Response> =>
  await fetch(`${api.api.url}${address}${path}`, {
    headers: { authorization: `Bearer ${await api.issuer.tokenFor('auditor')}` },
    ...init,
  })
const idsIn = (text: string): string[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => Object(JSON.parse(line)).id)
const actionsOf = async (action: string) =>
  await api.engines.db
    .selectFrom('entryBodies')
    .select(['id', 'subjectId', 'outcome'])
    .where('action', '=', action)
    .orderBy('id', 'desc')
    .execute()

describe('the entries of the ledger', () => {
  test.each(['', `/${newId()}`, '/export?subject=nobody'])('are for auditors alone: %s', async (path) => {
    const answers = await Promise.all(
      roles.map(async (role) => [role, (await api.as(role, 'GET', `${address}${path}`)).status] as const),
    )
    expect(answers.filter(([, status]) => status !== 403).map(([role]) => role)).toEqual(['auditor'])
    expect((await api.ask('GET', `${address}${path}`)).status).toBe(401)
    const { token } = await api.enrol()
    expect((await api.ask('GET', `${address}${path}`, { token })).status).toBe(403)
  })

  test('are no secret kept from themselves: who was refused them is an entry', async () => {
    await api.as('admin', 'GET', address)
    const [refusal] = await actionsOf('entry.list')
    expect(refusal).toMatchObject({ outcome: 'denied', subjectId: `GET ${address}` })
  })

  test('can be read one by one, with what proves them', async () => {
    const { status, body } = await api.as('auditor', 'GET', `${address}/${ids[7]}`)
    expect(status).toBe(200)
    if (!Value.Check(EntryView, body)) throw new Error('this is no entry')
    expect(body).toMatchObject({
      id: ids[7],
      index: null,
      underCheckpoint: false,
      parts: { purpose: { value: act.purpose } },
    })
    const { entry, salt, leaf } = body
    expect(sha256(Buffer.from(salt ?? '', 'hex'), canonical(Object(entry))).toString('hex')).toBe(leaf)
    expect((await api.as('auditor', 'GET', `${address}/${newId()}`)).status).toBe(404)
    const allowed = (await actionsOf('entry.read')).filter(({ outcome }) => outcome === 'allowed')
    expect(allowed.map(({ subjectId }) => subjectId)).toEqual([ids[7]])
  })

  test('are listed newest first, page by page, by what is asked', async () => {
    const query = `subject=${many}&actor=somebody&operation=consultation&outcome=allowed&limit=200`
    const first = await api.as('auditor', 'GET', `${address}?${query}`)
    expect(first.status).toBe(200)
    const page = Object(first.body)
    expect(page.items.map(({ id }: EntryView) => id)).toEqual(ids.slice(-200).reverse())
    const second = await api.as('auditor', 'GET', `${address}?${query}&cursor=${page.nextCursor}`)
    expect(Object(second.body).items.map(({ id }: EntryView) => id)).toEqual(ids.slice(-400, -200).reverse())
    for (const item of page.items) expect(Value.Check(EntryView, item)).toBe(true)
  })

  test.each([
    'operation=reading',
    'outcome=perhaps',
    'colour=red',
    'from=yesterday',
    'from=2026-02-30T00:00:00Z',
    'cursor=abc',
    'limit=201',
  ])('are not asked for by %s', async (query) => {
    expect((await api.as('auditor', 'GET', `${address}?${query}`)).status).toBe(400)
  })
})

describe('an export', () => {
  test('is complete and in order while entries are being written', async () => {
    let writing = true
    const writer = (async () => {
      let written = 0
      for (; writing; written++)
        await inTransaction(api.engines.db, async (tx) => await record(tx, api.engines.clock, act))
      return written
    })()
    const response = await fetched(`/export?subject=${many}`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/jsonl; charset=utf-8')
    const [exported] = await actionsOf('entries.exported')
    expect(response.headers.get('content-disposition')).toBe(`attachment; filename="entries-${exported?.id}.jsonl"`)
    const found = idsIn(await response.text())
    writing = false
    expect(await writer).toBeGreaterThan(0)
    expect(found.slice(0, ids.length)).toEqual(ids)
    expect(found).toEqual(found.toSorted())
    expect(new Set(found).size).toBe(found.length)
    ids = (
      await api.engines.db.selectFrom('entryBodies').select('id').where('subjectId', '=', many).orderBy('id').execute()
    ).map(({ id }) => id)
  })

  test('may be a table for a spreadsheet', async () => {
    const response = await fetched(`/export?format=csv&subject=${many}`)
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename="entries-[0-9a-f-]{36}\.csv"$/)
    const lines = (await response.text()).split('\r\n')
    expect(lines).toHaveLength(ids.length + 2)
    expect(lines.slice(1, -1).map((line) => line.slice(0, 36))).toEqual(ids)
  })

  test('is in no other form, and not asked for by HEAD', async () => {
    expect((await fetched('/export?format=xml')).status).toBe(400)
    expect((await fetched('/export?limit=5')).status).toBe(400)
    const before = await actionsOf('entries.exported')
    expect((await fetched('/export', { method: 'HEAD' })).status).toBe(404)
    expect(await actionsOf('entries.exported')).toEqual(before)
  })

  test('ends when the client hangs up', async () => {
    const gone = new AbortController()
    const response = await fetched('/export', { signal: gone.signal })
    const [exported] = await actionsOf('entries.exported')
    expect(response.headers.get('content-disposition')).toContain(exported?.id)
    gone.abort()
    const lastWord = () => logged.find((line) => line.includes(String(exported?.id)))
    await expect.poll(lastWord, { timeout: 20_000 }).toContain('broke off')
    const { complete, entries } = JSON.parse(lastWord() ?? '')
    expect(complete).toBe(false)
    expect(entries).toBeLessThan(ids.length)
    expect(logged.filter((line) => JSON.parse(line).level >= 50)).toEqual([])
  })

  test('that cannot go on breaks the connection: a part never looks like the whole', async () => {
    const response = await fetched('/export')
    expect(response.status).toBe(200)
    await asOwner('revoke select on entry_bodies from exhibit_app')
    try {
      await expect(response.text()).rejects.toThrow('terminated')
    } finally {
      await asOwner('grant select on entry_bodies to exhibit_app')
    }
    expect((await api.as('auditor', 'GET', address)).status).toBe(200)
  })

  test('that cannot begin is refused in order', async () => {
    await asOwner('revoke select on entry_bodies from exhibit_app')
    try {
      const response = await fetched('/export')
      expect(response.status).toBe(500)
      expect(response.headers.has('content-disposition')).toBe(false)
    } finally {
      await asOwner('grant select on entry_bodies to exhibit_app')
    }
  })
})
