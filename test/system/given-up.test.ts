import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestApi, type TestApi } from '../api.ts'
import { runCommand } from '../command-line.ts'
import { eventually } from '../system.ts'

let system: TestApi
beforeAll(async () => {
  // Without a worker: what is owed waits.
  system = await startTestApi()
})
afterAll(async () => await system[Symbol.asyncDispose]())

const giveUp = async (name: string) =>
  await eventually(`a job ${name}`, async () => {
    const { numUpdatedRows } = await system.engines.db
      .updateTable('jobs')
      .set({ state: 'failed', said: 'its workers fell silent again and again' })
      .where('name', '=', name)
      .executeTakeFirst()
    return numUpdatedRows > 0n ? true : undefined
  })

test('the command that simulates ends with words when the simulation gave up', async () => {
  const environment = { EXHIBIT_TOKEN: await system.issuer.tokenFor('retention'), EXHIBIT_URL: system.api.url }
  const running = runCommand(['retention', 'simulate', '--category', 'x', '--period', 'P1D'], environment)
  await giveUp('simulate-policy')
  const { code, out, err } = await running
  expect([code, out]).toEqual([1, ''])
  expect(err).toMatch(/^The simulation gave up: its workers fell silent again and again\. Nothing has changed\./)
}, 60_000)

test('a purge that gave up says so over HTTP, and starting one answers another', async () => {
  const started = await system.as('retention', 'POST', '/api/v1/retention/purges')
  await giveUp('purge')
  const id = started.body instanceof Object && 'id' in started.body ? started.body.id : ''
  const told = await system.as('supervisor', 'GET', `/api/v1/retention/purges/${id}`)
  expect(told.body).toMatchObject({ state: 'failed', said: expect.stringMatching(/^It gave up: .* start a purge/) })
  const again = await system.as('retention', 'POST', '/api/v1/retention/purges')
  expect(again).toMatchObject({ status: 202, body: { id: expect.not.stringMatching(String(id)) } })
})
