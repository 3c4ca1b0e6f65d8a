import { afterAll, beforeAll, expect, test } from 'vitest'
import { rotateLogKey } from '../../src/ledger/keys/log-rotation.ts'
import { beginLog } from '../../src/ledger/log/log.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { startTestApi, type TestApi } from '../api.ts'
import { writeEntries } from '../logged.ts'
import { asRotating } from '../rotated.ts'

let system: TestApi
/** What was served at these addresses before the log’s key was changed. */
const earlier = new Map<string, string>()
const unnumbered = ['checkpoint', 'tile/0/000', 'tile/entries/000', 'keys']

const ask = async (path: string) => {
  const answer = await fetch(`${system.api.url}/api/v1/ledger/${path}`)
  const bytes = Buffer.from(await answer.arrayBuffer())
  return { status: answer.status, caching: answer.headers.get('cache-control'), bytes: bytes.toString('base64') }
}

beforeAll(async () => {
  system = await startTestApi()
  await beginLog(system.engines)
  await writeEntries(system.engines, 300)
  await sequence(system.engines)
  for (const path of unnumbered) earlier.set(path, (await ask(path)).bytes)
  await using owner = asRotating(system.engines)
  await rotateLogKey(owner)
  await writeEntries(system.engines, 300)
  await sequence(system.engines)
})
afterAll(async () => await system[Symbol.asyncDispose]())

test.each(unnumbered)(
  'what means another log after a change of its key is asked for anew each time: %s',
  async (path) => {
    const { status, caching, bytes } = await ask(path)
    expect({ status, caching }).toEqual({ status: 200, caching: 'no-cache' })
    expect(bytes).not.toBe(earlier.get(path))
  },
)

test.each(['tile/0/000', 'tile/entries/000'])(
  'a tile of a log by its number is kept for as long as anyone likes: %s',
  async (path) => {
    const immutable = { status: 200, caching: 'public, max-age=31536000, immutable' }
    expect(await ask(`logs/1/${path}`)).toMatchObject(immutable)
    expect(await ask(`logs/2/${path}`)).toMatchObject(immutable)
    expect((await ask(`logs/1/${path}`)).bytes).toBe(earlier.get(path))
  },
)

test('the head of a log by its number is asked for anew: it may grow, and get cosignatures', async () => {
  for (const number of [1, 2]) expect((await ask(`logs/${number}/checkpoint`)).caching).toBe('no-cache')
})
