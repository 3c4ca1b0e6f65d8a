import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EntryId } from '../../src/base/ids.ts'
import { beginLog } from '../../src/ledger/log/log.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { recoverLedger } from '../../src/ledger/recover/recover.ts'
import { startTestApi, type TestApi } from '../api.ts'
import { asRecovering } from '../audited.ts'
import { writeEntries } from '../logged.ts'

let system: TestApi
let entries: EntryId[]
/** All that the newest tree, of 302 leaves, is stored with. */
const lost = ['tile/0/000', 'tile/entries/000', 'tile/0/001.p/46', 'tile/entries/001.p/46', 'tile/1/000.p/1']

beforeAll(async () => {
  system = await startTestApi()
  await beginLog(system.engines)
  entries = await writeEntries(system.engines, 300)
  expect(await sequence(system.engines)).toBe(302)
  for (const path of lost) await system.engines.store.delete('ledger', `1/${path}`)
})
afterAll(async () => await system[Symbol.asyncDispose]())

const get = async (path: string) => await system.ask('GET', `/api/v1/ledger/${path}`)

/** In words that take the reader for no fool, and an administrator to the command. */
const damaged = (path: string) => ({
  code: 'log-damaged',
  title: 'The log is damaged where it is stored',
  detail: expect.stringMatching(new RegExp(`lost ${path}.*administrator has to run exhibit ledger recover`)),
  next: expect.stringMatching(/no mistake of yours.*kept in the database/),
})

test.each([...lost, 'tile/0/000.p/5', 'tile/entries/000.p/255'])(
  'a tile that the signed head stands on and the store has lost is a loss of ours: %s',
  async (path) => {
    for (const address of [path, `logs/1/${path}`]) {
      const { status, headers, body } = await get(address)
      expect({ status, caching: headers.get('cache-control') }).toEqual({ status: 500, caching: 'no-store' })
      expect(body).toMatchObject(damaged(path.replace('.', '\\.')))
    }
  },
)

test.each(['tile/0/001.p/3', 'tile/entries/001.p/45', 'tile/0/001.p/47', 'tile/0/001', 'tile/1/000'])(
  'a tile that the tree has not stays one that is not found: %s',
  async (path) => {
    const { status, body } = await get(path)
    expect(status).toBe(404)
    expect(body).toMatchObject({ code: 'not-found' })
  },
)

test('a proof that needs such a tile is answered in the same words, and the OpenAPI document has them', async () => {
  const { status, body } = await get(`proofs/${entries[9]}`)
  expect(status).toBe(500)
  expect(body).toMatchObject(damaged('tile/\\d'))
  const { paths } = Object((await system.ask('GET', '/api/openapi.json')).body)
  for (const path of ['tile/{*}', 'logs/{number}/tile/{*}', 'proofs/{entryId}']) {
    const described = Object(paths[`/api/v1/ledger/${path}`]).get?.responses[500]
    expect(JSON.stringify(described), path).toContain('log-damaged')
  }
})

test('after `exhibit ledger recover` all of it is there again', async () => {
  const { engines } = system
  await using recovering = asRecovering(engines, engines.ownerUrl)
  await recoverLedger(recovering, { write: true })
  for (const path of [...lost, `proofs/${entries[9]}`]) expect((await get(path)).status, path).toBe(200)
})
