import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RecordingId } from '../../src/base/ids.ts'
import { listDue } from '../../src/retention/dates.ts'
import { placeHold } from '../../src/retention/holds.ts'
import { catalogued } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { problemOf } from '../footsteps.ts'
import { inForce, type Keepers, keepers } from '../retained.ts'

const day = 86_400_000
const category = 'traffic'
const daysAgo = (days: number) => new Date(Date.now() - days * day)
let engines: TestEngines
let people: Keepers
beforeAll(async () => {
  engines = await testEngines()
  people = await keepers(engines)
})
afterAll(async () => await engines[Symbol.asyncDispose]())

describe('the list of what is due', () => {
  test('shows what would be due by the end of a day, page by page, and nothing that is kept', async () => {
    await inForce(engines, people, { category, trigger: 'recorded', period: 'P31D' })
    const ids = new Set<RecordingId>()
    for (let n = 0; n < 5; n++) ids.add(await catalogued(engines, { category, recordedAt: daysAgo(40) }))
    const held = await catalogued(engines, { category, recordedAt: daysAgo(40) })
    const later = await catalogued(engines, { category, recordedAt: daysAgo(29) })
    await placeHold(engines, people.investigator, held, { kind: 'other', reason: 'to look at it' })
    const all = async (on: string | undefined) => {
      const found: RecordingId[] = []
      for (let cursor: string | undefined; ; ) {
        const page = await listDue(engines, people.drafter, { on, limit: 2, cursor })
        expect(page.items.length).toBeLessThanOrEqual(2)
        found.push(...page.items.filter((item) => item.category === category).map((item) => item.recordingId))
        if (page.nextCursor === null) return found
        cursor = page.nextCursor
      }
    }
    const now = await all(undefined)
    expect([now.length, new Set(now)]).toEqual([5, ids])
    const on = new Date(Date.now() + 2 * day).toISOString().slice(0, 10)
    expect(new Set(await all(on))).toEqual(new Set([...ids, later]))
    for (const [wrong, cursor] of [
      ['2026-02-30', undefined],
      [undefined, 'nonsense'],
      [undefined, Buffer.from('["of x","2026","x"]').toString('base64url')],
    ] as const)
      expect((await problemOf(listDue(engines, people.drafter, { on: wrong, limit: 2, cursor })))?.code).toBe(
        'bad-request',
      )
  })

  test('is for a day of these times, also where a policy counts from an event of a case', async () => {
    await inForce(engines, people, { category: 'arrest', trigger: 'convicted', period: 'P200Y' })
    const codeFor = async (on: string) =>
      (await problemOf(listDue(engines, people.drafter, { on, limit: 2, cursor: undefined })))?.code
    for (const on of ['0001-01-01', '1899-12-31', '2400-01-01', '9999-12-31'])
      expect(await codeFor(on), on).toBe('bad-request')
    for (const on of ['1900-01-01', '2399-12-31']) expect(await codeFor(on), on).toBeUndefined()
  })

  test('finds its recordings by an index, however many others there are', async () => {
    const { rows } = await sql<Record<string, string>>`
      explain select id from recordings r
      where r.duplicate_of is null and r.status in ('verified', 'active') and r.category = 'traffic'
        and retention_start(r.flags, r.corrected_at, r.received_at) <= now()
      order by retention_start(r.flags, r.corrected_at, r.received_at), r.id limit 500`.execute(engines.db)
    expect(JSON.stringify(rows)).toContain('recordings_retention')
  })
})
