import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkpointText, openCheckpoint } from '../../src/base/checkpoint.ts'
import type { EntryId } from '../../src/base/ids.ts'
import { leafHash, rootOf } from '../../src/base/merkle.ts'
import { parseVkey, signNote } from '../../src/base/note.ts'
import { parseEntryBundle } from '../../src/base/tiles.ts'
import { parseProof, verifyProof } from '../../src/base/tlog-proof.ts'
import { readKeyFile } from '../../src/engines/receipt-key.ts'
import { beginLog } from '../../src/ledger/log/log.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { startTestApi, type TestApi } from '../api.ts'
import { writeEntries } from '../logged.ts'
import { outsiderProgram } from '../outsider.ts'

const run = promisify(execFile)

let system: TestApi
let entries: EntryId[]
let earlier: string
beforeAll(async () => {
  system = await startTestApi()
  expect((await system.ask('GET', '/api/v1/ledger/checkpoint')).status).toBe(404)
  await beginLog(system.engines)
  entries = await writeEntries(system.engines, 300)
  await sequence(system.engines)
  earlier = (await system.ask('GET', '/api/v1/ledger/checkpoint')).text
  entries.push(...(await writeEntries(system.engines, 400)))
  await sequence(system.engines)
})
afterAll(async () => await system[Symbol.asyncDispose]())

const get = async (path: string) => await system.ask('GET', `/api/v1/ledger/${path}`)
const bytes = async (path: string) =>
  Buffer.from(await (await fetch(`${system.api.url}/api/v1/ledger/${path}`)).arrayBuffer())

const Keys = Type.Object({ log: Type.Object({ origin: Type.String(), vkey: Type.String() }) })
const theLog = async () => Value.Parse(Keys, (await get('keys')).body).log
const theKey = async () => {
  const key = parseVkey((await theLog()).vkey)
  if (key === null) throw new Error('the vkey cannot be read')
  return key
}

test('anyone reads the checkpoint, and the log’s key verifies it', async () => {
  const { status, headers, text } = await get('checkpoint')
  expect([status, headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8'])
  expect(headers.get('cache-control')).toBe('no-cache')
  expect(openCheckpoint(text, await theKey())).toMatchObject({ size: 702 })
})

test('the keys name the log that grows, and every log there was', async () => {
  const { body } = await get('keys')
  const { origin, vkey } = await theLog()
  expect(body).toMatchObject({ logs: [{ number: 1, origin, vkey, from: expect.any(String) }] })
})

test('anyone reads tiles and entry bundles, full and partial', async () => {
  const tile = await fetch(`${system.api.url}/api/v1/ledger/tile/0/000`)
  expect(tile.headers.get('content-type')).toBe('application/octet-stream')
  const hashes = Buffer.from(await tile.arrayBuffer())
  const leaves = parseEntryBundle(await bytes('tile/entries/000')) ?? []
  expect(hashes.length).toBe(8192)
  expect(leaves).toHaveLength(256)
  expect(Buffer.concat(leaves.map(leafHash))).toEqual(hashes)
  expect(parseEntryBundle(await bytes('tile/entries/002.p/190'))).toHaveLength(190)
  expect(await bytes('logs/1/tile/0/000')).toEqual(hashes)
  expect((await get('logs/1/checkpoint')).text).toBe((await get('checkpoint')).text)
})

test('a partial tile that was published before the tile was full is still served', async () => {
  expect(openCheckpoint(earlier, await theKey())).toMatchObject({ size: 302 })
  const partial = await bytes('tile/0/001.p/46')
  expect(partial).toEqual((await bytes('tile/0/001')).subarray(0, 46 * 32))
  expect(parseEntryBundle(await bytes('tile/entries/001.p/46'))).toHaveLength(46)
})

test.each([
  'tile/0/3',
  'tile/0/0000',
  'tile/00/000',
  'tile/0/000.p/0',
  'tile/0/000.p/256',
  'tile/0/000.p/07',
  'tile/64/000',
  'tile/-1/000',
  'tile/0/x000/000',
  'tile/0/000/',
  'tile/0/000%2Ep/5',
  'tile/0%2F000',
  'tile/0/..%2f..%2fcheckpoint',
  'tile/data/000',
  'tile/0/002',
  'tile/0/002.p/191',
  'tile/0/002.p/188',
  'tile/0/003.p/1',
  'tile/1/000.p/3',
  'tile/2/000.p/1',
  'logs/2/checkpoint',
  'logs/2/tile/0/000',
])('what is no tile of the published tree is not found: %s', async (path) => {
  const { status, body } = await system.ask('GET', `/api/v1/ledger/${path}`)
  expect(status).toBe(404)
  expect(body).toMatchObject({ code: 'not-found' })
})

test('a proof is there when the entry is under a checkpoint, is owed before, and unknown for what nobody wrote', async () => {
  const entry = entries[299]
  const { status, headers, text } = await get(`proofs/${entry}`)
  expect([status, headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8'])
  const proof = parseProof(text)
  if (proof?.extra == null) throw new Error('the proof cannot be read')
  expect(verifyProof(proof, proof.extra, await theKey())).toMatchObject({ head: { size: 702 } })

  const [owed] = await writeEntries(system.engines, 1)
  const early = await get(`proofs/${owed}`)
  expect([early.status, early.headers.get('retry-after'), early.body]).toEqual([202, '1', { state: 'owed' }])
  expect((await get('proofs/01a2107f-f878-7b43-9c50-4fa401b6f2b1')).status).toBe(404)
  expect((await get('proofs/not-an-id')).status).toBe(404)
})

/** The api as it is, but for what is answered to some paths. */
const answering = async (instead: ReadonlyMap<string, Buffer>) => {
  const server = createServer(async ({ url = '' }, response) => {
    const path = url.slice(1)
    response.end(instead.get(path) ?? (await bytes(path)))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no address')
  return {
    url: `http://127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

/**
 * A tree that the log's key signed as well, of as many leaves, in which the entry's leaf is another one: its checkpoint and
 * its tiles, but for the bundle, which has the leaf that is looked for.
 */
const secondHistory = async (entry: string) => {
  const proof = parseProof((await get(`proofs/${entry}`)).text)
  if (proof === null) throw new Error('the proof cannot be read')
  const bundles = [
    await bytes('tile/entries/000'),
    await bytes('tile/entries/001'),
    await bytes('tile/entries/002.p/190'),
  ]
  const leaves = bundles.flatMap((bundle) => parseEntryBundle(bundle) ?? []).map(leafHash)
  leaves[proof.index] = leafHash(Buffer.alloc(32))
  const { origin } = await theLog()
  const { privateKey } = await readKeyFile(system.engines.config.LOG_KEY_FILE)
  const text = checkpointText({ origin, size: leaves.length, root: rootOf(leaves) })
  const full = [leaves.slice(0, 256), leaves.slice(256, 512)]
  return [
    ['logs/1/checkpoint', Buffer.from(signNote(text, await theKey(), privateKey))],
    ['logs/1/tile/0/000', Buffer.concat(full[0] ?? [])],
    ['logs/1/tile/0/001', Buffer.concat(full[1] ?? [])],
    ['logs/1/tile/0/002.p/190', Buffer.concat(leaves.slice(512))],
    ['logs/1/tile/1/000.p/2', Buffer.concat(full.map(rootOf))],
  ] as const
}

test('an outsider with curl, openssl and the hundred lines of docs/verify.md verifies a proof and the growth of the log', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'exhibit-outsider-'))
  try {
    await writeFile(join(folder, 'log.py'), await outsiderProgram())
    await writeFile(join(folder, 'earlier'), earlier)
    const { vkey } = await theLog()
    const base = `${system.api.url}/api/v1/ledger`
    const check = async (key: string, old: string, of = entries[280], at = base) =>
      await run('python3', [join(folder, 'log.py'), at, key, of ?? '', join(folder, old)])
    const { stdout } = await check(vkey, 'earlier')
    expect(stdout).toMatch(/^leaf 28\d is [0-9a-f]{64}: in the tree of 702 leaves that the log signed\n/)
    expect(stdout).toMatch(/the tree of 702 leaves continues the one of 302\n$/)

    await writeFile(join(folder, 'forged'), earlier.replace('\n302\n', '\n303\n'))
    await expect(check(vkey, 'forged')).rejects.toThrow(/not signed by this key/)
    const other = `${vkey.slice(0, -4)}AAAA`
    await expect(check(other, 'earlier')).rejects.toThrow(/no Ed25519 vkey/)

    // What the server may answer instead: a tile, a bundle or a path with one bit changed, and a second history.
    const flipped = (of: Buffer, at: number) => Buffer.from(of.map((byte, n) => (n === at ? byte ^ 1 : byte)))
    const changed = async (path: string, change: (of: Buffer) => Buffer) => [path, change(await bytes(path))] as const
    const proof = `proofs/${entries[500]}`
    const lies: [readonly (readonly [string, Buffer])[], RegExp][] = [
      [[await changed('logs/1/tile/0/002.p/190', (of) => flipped(of, 5))], /tiles are not those of the checkpoint/],
      [[await changed('logs/1/tile/entries/001', (of) => flipped(of, 34 * (503 - 256) - 1))], /another leaf/],
      // Its low bits are those of the leaf's: the same path leads up from it.
      [
        [await changed(proof, (of) => Buffer.from(of.toString().replace('\nindex 502\n', `\nindex ${502 + 1024}\n`)))],
        /the tree has no such leaf/,
      ],
      [
        [
          await changed(proof, (of) =>
            Buffer.from(of.toString().replace(/\n[^ \n]{44}\n\n/, `\n${'A'.repeat(43)}=\n\n`)),
          ),
        ],
        /proof is wrong/,
      ],
      [await secondHistory(entries[500] ?? ''), /of another tree than the checkpoint/],
    ]
    for (const [answers, said] of lies) {
      await using server = await answering(new Map(answers))
      await expect(check(vkey, 'earlier', entries[500], server.url)).rejects.toThrow(said)
    }
    expect((await check(vkey, 'earlier', entries[500])).stdout).toMatch(/^leaf 502 is/)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
