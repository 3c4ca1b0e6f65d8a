import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestApi, type TestApi } from '../api.ts'

let test: TestApi

beforeAll(async () => {
  test = await startTestApi({ env: { RATE_DOCK: '8', RATE_PERSON: '4' } })
})
afterAll(async () => await test[Symbol.asyncDispose]())

/** How many of `count` requests at once were not told to wait. */
const served = async (token: string, count: number) => {
  const answers = await Promise.all(Array.from({ length: count }, () => test.ask('GET', '/api/v1/me', { token })))
  const waiting = answers.filter((answer) => answer.status === 429)
  for (const { headers, body } of waiting) {
    expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(body).toMatchObject({ code: 'too-many-requests' })
  }
  return count - waiting.length
}

describe('the rate limit', () => {
  it('counts the requests of a person, and tells them when to come again', async () => {
    const token = await test.issuer.tokenFor('investigator')
    const count = await served(token, 20)
    expect(count).toBeGreaterThanOrEqual(4)
    expect(count).toBeLessThanOrEqual(8)
  })

  it('counts the requests of a dock by its own limit, refused ones too', async () => {
    const { token } = await test.enrol()
    const count = await served(token, 40)
    expect(count).toBeGreaterThanOrEqual(8)
    expect(count).toBeLessThanOrEqual(16)
  })

  it('of one person is not another one’s', async () => {
    await served(await test.issuer.tokenFor('investigator', { sub: 'busy' }), 20)
    expect((await test.ask('GET', '/api/v1/me', { token: await test.issuer.tokenFor('disclosure') })).status).toBe(200)
  })

  it('does not count callers who need no token', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => test.ask('GET', '/healthz')))
    expect(answers.every((answer) => answer.status === 200)).toBe(true)
  })
})
