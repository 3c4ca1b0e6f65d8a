import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EntryId } from '../../src/base/ids.ts'
import { vkeyOf } from '../../src/base/note.ts'
import { rotateLogKey } from '../../src/ledger/keys/log-rotation.ts'
import { allLogs, beginLog, logKeyOf } from '../../src/ledger/log/log.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { startTestApi, type TestApi } from '../api.ts'
import { writeEntries } from '../logged.ts'
import { outsiderProgram } from '../outsider.ts'
import { asRotating } from '../rotated.ts'

const run = promisify(execFile)

let system: TestApi
let entries: { before: EntryId[]; after: EntryId[] }
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
  const before = await writeEntries(system.engines, 300)
  await sequence(system.engines)
  for (const path of unnumbered) earlier.set(path, (await ask(path)).bytes)
  await using owner = asRotating(system.engines)
  await rotateLogKey(owner)
  entries = { before, after: await writeEntries(system.engines, 300) }
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
    const kept = { status: 200, caching: 'public, max-age=3600' }
    expect(await ask(`logs/1/${path}`)).toMatchObject(kept)
    expect(await ask(`logs/2/${path}`)).toMatchObject(kept)
    expect((await ask(`logs/1/${path}`)).bytes).toBe(earlier.get(path))
  },
)

test('the head of a log by its number is asked for anew: it may grow, and get cosignatures', async () => {
  for (const number of [1, 2]) expect((await ask(`logs/${number}/checkpoint`)).caching).toBe('no-cache')
})

test('an outsider with the program of docs/verify.md verifies an entry of either log, each with the key of its own', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'exhibit-outsider-'))
  try {
    await writeFile(join(folder, 'log.py'), await outsiderProgram())
    await writeFile(join(folder, 'kept'), Buffer.from(earlier.get('checkpoint') ?? '', 'base64'))
    await writeFile(join(folder, 'newest'), Buffer.from((await ask('checkpoint')).bytes, 'base64'))
    const [old = '', growing = ''] = (await allLogs(system.engines.db)).map((log) => vkeyOf(logKeyOf(log)))
    const base = `${system.api.url}/api/v1/ledger`
    const check = async (vkey: string, entry: EntryId | undefined, kept: string) =>
      (await run('python3', [join(folder, 'log.py'), base, vkey, entry ?? '', join(folder, kept)])).stdout
    // The log began with an entry of its own, and its end is one more.
    expect(await check(old, entries.before[7], 'kept')).toMatch(
      /^leaf \d+ is [0-9a-f]{64}: in the tree of \d+ leaves that the log signed\nthe tree of \d+ leaves continues the one of 30\d\n$/,
    )
    expect(await check(growing, entries.after[7], 'newest')).toMatch(
      /\nthe tree of (\d+) leaves continues the one of \1\n$/,
    )
    const another = /a checkpoint of another log: it takes the key of that one/
    await expect(check(growing, entries.before[7], 'newest')).rejects.toThrow(another)
    await expect(check(old, entries.before[7], 'newest')).rejects.toThrow(another)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
