import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RouteLine, routeTable } from '../../src/api/route-table.ts'
import { newId } from '../../src/base/ids.ts'
import { mayAnyone, mayDock, mayPerson } from '../../src/people/permissions.ts'
import { roles } from '../../src/people/role.ts'
import { type Answer, startTestApi, type TestApi } from '../api.ts'
import { dockToken, makeDockKey, unsigned } from '../tokens.ts'

let test: TestApi
let guarded: RouteLine[]
let open: RouteLine[]

beforeAll(async () => {
  test = await startTestApi()
  const table = routeTable(test.api.app)
  guarded = table.filter((line) => !mayAnyone(line.may))
  open = table.filter((line) => mayAnyone(line.may))
})
afterAll(async () => await test[Symbol.asyncDispose]())

const addressOf = ({ path }: RouteLine): string =>
  path.replaceAll(/:(\w+)/g, (_all, name) => (name === 'id' ? newId() : 'NONE-1')).replace('*', 'none')

const call = async (line: RouteLine, token?: string): Promise<Answer> =>
  await test.ask(line.method, addressOf(line), token === undefined ? {} : { token })

/** The code of a refusal; a HEAD answer has no body, so its status stands for it. */
const codeOf = (line: RouteLine, answer: Answer): unknown =>
  line.method === 'HEAD'
    ? answer.status
    : answer.body instanceof Object && 'code' in answer.body
      ? answer.body.code
      : undefined

const expectRefusal = async (token: string | undefined, status: number, code: string): Promise<void> => {
  for (const line of guarded) {
    const answer = await call(line, token)
    const where = `${line.method} ${line.path}`
    expect({ where, status: answer.status, code: codeOf(line, answer) }).toEqual({
      where,
      status,
      code: line.method === 'HEAD' ? status : code,
    })
    if (line.method !== 'HEAD') expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
  }
}

const expectAsTheTableSays = async (token: string, may: (line: RouteLine) => boolean): Promise<void> => {
  for (const line of guarded) {
    const { status } = await call(line, token)
    const where = `${line.method} ${line.path}`
    if (may(line)) expect([401, 403], where).not.toContain(status)
    else expect({ where, status }).toEqual({ where, status: 403 })
  }
}

describe('every route', () => {
  it('is in the table with who may call it', () => {
    expect(guarded.length).toBeGreaterThan(10)
    expect(guarded.map((line) => `${line.method} ${line.path}`)).toContain('POST /api/v1/docks')
  })

  it('that needs no token asks for none', async () => {
    for (const line of open) {
      const { status } = await call(line)
      expect([401, 403], `${line.method} ${line.path}`).not.toContain(status)
    }
  })

  it('refuses a call without a token', async () => {
    await expectRefusal(undefined, 401, 'token-needed')
  })

  it('refuses what is no token', async () => {
    await expectRefusal('not.a.token', 401, 'token-invalid')
    await expectRefusal('eyJhbGciOiJub25lIn0', 401, 'token-invalid')
  })

  it('refuses an expired token', async () => {
    await expectRefusal(await test.issuer.tokenFor('admin', {}, { lifetime: -60 }), 401, 'token-invalid')
  })

  it('refuses a token for another audience', async () => {
    await expectRefusal(await test.issuer.tokenFor('admin', {}, { audience: 'elsewhere' }), 401, 'token-invalid')
  })

  it('refuses a token of another issuer', async () => {
    await expectRefusal(await test.issuer.tokenFor('admin', {}, { issuer: 'http://127.0.0.1:1' }), 401, 'token-invalid')
  })

  it('refuses a token signed by another key', async () => {
    const { privateKey: key } = makeDockKey()
    await expectRefusal(await test.issuer.tokenFor('admin', {}, { alg: 'EdDSA', key }), 401, 'token-invalid')
  })

  it('refuses a token with alg none', async () => {
    const exp = Math.floor(Date.now() / 1000) + 300
    const claims = { iss: test.issuer.url, aud: 'exhibit', sub: 'admin', roles: ['admin'], exp }
    await expectRefusal(unsigned(claims), 401, 'token-invalid')
  })

  it('refuses a token of another type', async () => {
    await expectRefusal(await test.issuer.tokenFor('admin', {}, { typ: 'logout+jwt' }), 401, 'token-invalid')
  })

  it.each(roles)('lets the role %s in exactly where the table says', async (role) => {
    await expectAsTheTableSays(await test.issuer.tokenFor(role), (line) => mayPerson([role], line.may))
  })

  it('lets a person without a role do what any person may, and nothing else', async () => {
    const token = await test.issuer.token({ sub: 'nobody', roles: ['janitor', 'ADMIN', 7] })
    await expectAsTheTableSays(token, (line) => line.may === 'me.read')
  })

  it('lets a dock in exactly where the table says, and never on a route of people', async () => {
    const { token } = await test.enrol()
    await expectAsTheTableSays(token, (line) => mayDock(line.may))
  })

  it('refuses a dock that signs with another key than it enrolled', async () => {
    const { id } = await test.enrol()
    await expectRefusal(await dockToken(id, makeDockKey()), 401, 'token-invalid')
  })

  it('refuses a dock that never enrolled', async () => {
    await expectRefusal(await dockToken(newId(), makeDockKey()), 401, 'token-invalid')
  })

  it('refuses a suspended person everywhere', async () => {
    const token = await test.issuer.tokenFor('supervisor', { sub: 'suspended-supervisor' })
    const { body } = await test.ask('GET', '/api/v1/me', { token })
    expect(body).toMatchObject({ id: expect.any(String) })
    const id = body instanceof Object && 'id' in body ? body.id : ''
    expect((await test.as('admin', 'POST', `/api/v1/people/${id}/suspension`)).status).toBe(204)
    await expectRefusal(token, 403, 'suspended')
    expect((await test.as('admin', 'DELETE', `/api/v1/people/${id}/suspension`)).status).toBe(204)
    expect((await test.ask('GET', '/api/v1/me', { token })).status).toBe(200)
  })

  it('refuses a suspended dock everywhere', async () => {
    const { id, token } = await test.enrol()
    expect((await test.as('admin', 'POST', `/api/v1/docks/${id}/suspension`, { reason: 'stolen' })).status).toBe(204)
    await expectRefusal(token, 403, 'suspended')
  })
})

describe('the issuer', () => {
  it.each(['RS256', 'PS256', 'ES256', 'EdDSA'] as const)('may sign with %s', async (alg) => {
    const token = await test.issuer.tokenFor('investigator', {}, { alg, typ: 'JWT' })
    expect((await test.ask('GET', '/api/v1/me', { token })).status).toBe(200)
  })

  it('may rotate its keys: new tokens count at once, those of the old keys no more', async () => {
    const old = await test.issuer.tokenFor('investigator')
    expect((await test.ask('GET', '/api/v1/me', { token: old })).status).toBe(200)
    test.issuer.rotate()
    expect((await test.as('investigator', 'GET', '/api/v1/me')).status).toBe(200)
    expect((await test.ask('GET', '/api/v1/me', { token: old })).status).toBe(401)
  })

  it('is not asked again for each of a flood of unknown keys', async () => {
    const before = test.issuer.fetches()
    const flood = Array.from({ length: 40 }, (_, n) => test.issuer.tokenFor('admin', {}, { kid: `unknown-${n}` }))
    for (const token of await Promise.all(flood)) {
      expect((await test.ask('GET', '/api/v1/me', { token })).status).toBe(401)
    }
    expect(test.issuer.fetches() - before).toBeLessThanOrEqual(7)
  })
})

describe('a token of a dock', () => {
  const probe = async (token: string) => await test.ask('GET', `/api/v1/docks`, { token })

  it.each([
    ['has expired', { iat: -400, exp: -100 }],
    ['lives longer than ten minutes', { exp: 601 }],
    ['comes from the future', { iat: 300, exp: 600 }],
    ['ends before it begins', { iat: 10, exp: 5 }],
  ])('that %s is told the time here', async (_what, times) => {
    const { id, key } = await test.enrol()
    const { status, body } = await probe(await dockToken(id, key, times))
    expect(status).toBe(401)
    expect(body).toMatchObject({ code: 'clock-skew', serverTime: expect.stringMatching(/^\d{4}-.*Z$/) })
    const serverTime = body instanceof Object && 'serverTime' in body ? String(body.serverTime) : ''
    expect(Math.abs(Date.parse(serverTime) - Date.now())).toBeLessThan(10_000)
  })

  it.each([
    ['for another audience', { aud: 'elsewhere' }],
    ['in the name of another dock', { iss: newId() }],
  ])('%s is refused', async (_what, claims) => {
    const { id, key } = await test.enrol()
    expect(await probe(await dockToken(id, key, claims))).toMatchObject({
      status: 401,
      body: { code: 'token-invalid' },
    })
  })

  it('counts no more from the moment its key was replaced', async () => {
    const { id, token } = await test.enrol()
    const next = makeDockKey()
    expect((await probe(token)).status).toBe(403)
    const put = await test.as('admin', 'PUT', `/api/v1/docks/${id}/key`, { publicKey: next.publicKey })
    expect(put.status).toBe(200)
    expect(await probe(token)).toMatchObject({ status: 401, body: { code: 'token-invalid' } })
    expect((await probe(await dockToken(id, next))).status).toBe(403)
  })

  it('counts no more from the moment the dock was suspended, and again when that ends', async () => {
    const { id, token } = await test.enrol()
    await test.as('admin', 'POST', `/api/v1/docks/${id}/suspension`)
    expect(await probe(token)).toMatchObject({ status: 403, body: { code: 'suspended' } })
    await test.as('admin', 'DELETE', `/api/v1/docks/${id}/suspension`)
    expect(await probe(token)).toMatchObject({ status: 403, body: { code: 'not-allowed' } })
  })
})

describe('refusals', () => {
  const entriesOf = async (actor: string) => {
    const rows = await test.engines.db.selectFrom('entryBodies').select(['entry', 'parts']).execute()
    return rows.filter((row) => JSON.stringify(row.parts).includes(actor))
  }

  it('of a known actor are an entry, the first at once and the rest counted', async () => {
    const { id, token } = await test.enrol()
    for (let n = 0; n < 5; n += 1) await test.ask('GET', '/api/v1/people', { token })
    const denied = (await entriesOf(id)).filter((row) => row.entry?.includes('"outcome":"denied"'))
    expect(denied).toHaveLength(1)
    expect(JSON.parse(denied[0]?.entry ?? '')).toMatchObject({
      action: 'person.list',
      subject: { type: 'route', id: 'GET /api/v1/people' },
    })
    const counted = await test.engines.db
      .selectFrom('refusals')
      .select('repeats')
      .where('actor', '=', `dock:${id}`)
      .execute()
    expect(counted).toEqual([{ repeats: 4 }])
  })

  it('of strangers are counted in a metric and are no entry', async () => {
    const count = async () => (await test.engines.metrics.strangers.get()).values[0]?.value ?? 0
    const entries = async () => (await test.engines.db.selectFrom('entries').select('id').execute()).length
    const before = [await count(), await entries()]
    for (let n = 0; n < 3; n += 1) await test.ask('GET', '/api/v1/me', { token: 'no.token.here' })
    expect([await count(), await entries()]).toEqual([Number(before[0]) + 3, before[1]])
  })
})
