import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { readJson } from '../../src/api/json-body.ts'
import { forLog, toDocument, toProblem } from '../../src/api/problems.ts'
import { Problem } from '../../src/base/problem.ts'
import { joined, problems } from '../../src/base/problem-schema.ts'

describe('an error', () => {
  it('that is a problem stays what it is', () => {
    const problem = new Problem('conflict', 'Because.', { retryAfter: 3 })
    expect(toProblem(problem)).toBe(problem)
  })

  it('that means the database is away asks to come again', () => {
    const away = Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:5432'), { code: 'ECONNREFUSED' })
    expect(toProblem(away)).toMatchObject({ code: 'database-unavailable', retryAfter: 5 })
  })

  it('that nobody foresaw tells nothing of itself', () => {
    const document = toDocument(toProblem(new Error('select secret from /etc/passwd')), 'the-id')
    expect(document).toMatchObject({ status: 500, code: 'internal', requestId: 'the-id' })
    expect(JSON.stringify(document)).not.toMatch(/secret|passwd/)
  })

  it('of the database is logged by its constraint, without the values it quotes', () => {
    const error = Object.assign(new pg.DatabaseError('duplicate key value: collar 4217', 1, 'error'), {
      severity: 'ERROR',
      code: '23505',
      constraint: 'officers_pkey',
      table: 'officers',
      detail: 'Key (collar)=(4217) already exists.',
    })
    const line = forLog(new Problem('internal', undefined, { cause: error }))
    expect(line).toMatchObject({ cause: { code: '23505', constraint: 'officers_pkey', table: 'officers' } })
    expect(JSON.stringify(line)).not.toContain('4217')
  })
})

describe('a problem document', () => {
  it('carries further facts, which never replace what every document says', () => {
    const problem = new Problem('clock-skew', 'Late.', { extra: { serverTime: '2026-11-25T00:00:00.000Z', code: 'x' } })
    expect(toDocument(problem, 'id')).toMatchObject({ serverTime: '2026-11-25T00:00:00.000Z', code: 'clock-skew' })
  })

  it('is described once for each status, with all its codes', () => {
    const described = problems('conflict', 'not-ready', 'not-found')
    expect(Object.keys(described)).toEqual(['404', '409'])
    expect(described[409]?.description).toMatch(/`conflict`.*`not-ready`/)
    const [one, two] = [problems('too-many-uploads')[429], problems('too-many-requests')[429]]
    if (one === undefined || two === undefined) throw new Error('both are 429')
    expect(joined(one, two)).toMatchObject({
      description: expect.stringMatching(/too-many-uploads.*too-many-requests/),
    })
    expect(joined({ type: 'object' }, two)).toEqual({ type: 'object' })
  })
})

describe('reading a JSON body', () => {
  const read = async (text: string | Buffer, limit = 100) =>
    await readJson(Readable.from([Buffer.from(text)]), undefined, limit)

  it('gives the value, and nothing for an empty body', async () => {
    expect(await read('{"a":[1,"ü",null]}')).toEqual({ a: [1, 'ü', null] })
    expect(await read('')).toBeUndefined()
  })

  it('stops at the limit, by the announced length or by what comes', async () => {
    const large = expect.objectContaining({ code: 'too-large' })
    await expect(readJson(Readable.from([]), 101, 100)).rejects.toEqual(large)
    const endless = createReadStream('/dev/zero')
    await expect(readJson(endless, undefined, 1000)).rejects.toEqual(large)
    expect(endless.destroyed).toBe(false)
    endless.destroy()
  })

  it.each([
    ['is not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['holds a number beyond all numbers', '[1e999]'],
    ['is seventeen levels deep', `${'['.repeat(17)}${']'.repeat(17)}`],
    ['has a member name with NUL', '{"a\\u0000":1}'],
  ])('refuses one that %s', async (_what, text) => {
    await expect(read(text)).rejects.toEqual(expect.objectContaining({ code: 'bad-request' }))
  })

  it('takes sixteen levels', async () => {
    expect(await read(`${'['.repeat(16)}${']'.repeat(16)}`)).toBeInstanceOf(Array)
  })
})
