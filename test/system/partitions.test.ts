import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeMonths } from '../../src/ledger/entries/partitions.ts'
import { startTestApi, type TestApi } from '../api.ts'
import { runCommand } from '../command-line.ts'
import { eventually } from '../system.ts'

let api: TestApi
let owner: Client
beforeAll(async () => {
  api = await startTestApi()
  owner = new Client({ connectionString: api.engines.ownerUrl })
  await owner.connect()
  await makeMonths(api.engines)
})
afterAll(async () => {
  await owner.end()
  await api[Symbol.asyncDispose]()
})

const present = Temporal.Now.zonedDateTimeISO('UTC').toPlainDate().toPlainYearMonth()
const drop = async (first: number, last: number): Promise<void> => {
  for (let n = first; n <= last; n++)
    await owner.query(`drop table entries_${present.add({ months: n }).toString().replace('-', '_')}`)
}

/** What /readyz says by now, since it keeps its answer for a moment. */
const readiness = async (words: string) =>
  await eventually(`/readyz saying ${words}`, async () => {
    const { status: code, body } = await api.ask('GET', '/readyz')
    const { status, dependencies } = Object(body)
    const { ok, says } = dependencies.partitions
    return says.includes(words) ? { code, status, ok, says } : undefined
  })

const doctor = async () => {
  const { code, out } = await runCommand(['doctor', '--json'], api.engines.environment)
  const { state, says } = JSON.parse(out).findings.find(({ name }: { name: string }) => name === 'partitions')
  return { code, state, says }
}

test('all is well while there is a place for entries for years', async () => {
  const says = 'there is a place for entries for 120 months ahead'
  expect(await readiness('120 months')).toEqual({ code: 200, status: 'ready', ok: true, says })
  expect(await doctor()).toEqual({ code: 0, state: 'well', says })
})

test('fewer than twelve months ahead are an alarm while work goes on', async () => {
  await drop(12, 120)
  const says = expect.stringMatching(/^alarm: .* 11 months ahead/)
  expect(await readiness('11 months')).toEqual({ code: 200, status: 'degraded', ok: false, says })
  expect(await doctor()).toEqual({ code: 0, state: 'weak', says })
  await makeMonths(api.engines)
  expect(await readiness('120 months')).toMatchObject({ status: 'ready' })
})

test('a month that is missing in between is an alarm, however far it is', async () => {
  await drop(60, 60)
  const month = present.add({ months: 60 }).toString()
  const says = expect.stringMatching(new RegExp(`^alarm: .* ${month}`))
  expect(await readiness(month)).toEqual({ code: 200, status: 'degraded', ok: false, says })
  await makeMonths(api.engines)
})

test('when not even the next month has a place, the doctor finds the installation broken', async () => {
  await drop(1, 1)
  expect(await readiness('alarm')).toMatchObject({ code: 200, status: 'degraded', ok: false })
  expect(await doctor()).toMatchObject({ code: 1, state: 'broken', says: expect.stringMatching(/^alarm/) })
  await makeMonths(api.engines)
})
