import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { checkpointText } from '../../src/base/checkpoint.ts'
import { sha256 } from '../../src/base/digest.ts'
import { signNote } from '../../src/base/note.ts'
import { readKeyFile } from '../../src/engines/receipt-key.ts'
import { logKeyOf } from '../../src/ledger/log/log.ts'
import { copyOf, type Database, foundIn } from '../audited.ts'
import { type AuditedLog, found, foundOfAll, fullSize, makeAuditedLog, past } from '../audited-log.ts'
import { makeNoteKey } from '../small-log.ts'

let log: AuditedLog
let database: Database
beforeAll(async () => {
  log = await makeAuditedLog()
  database = await copyOf(log.engines)
}, 120_000)
afterAll(async () => {
  await database[Symbol.asyncDispose]()
  await log[Symbol.asyncDispose]()
})

/** What objects were before a test; null where there was none. */
const before = new Map<string, Buffer | null>()
afterEach(async () => {
  const { store } = log.engines
  for (const [key, bytes] of before)
    if (bytes === null) await store.delete('ledger', key)
    else await store.put('ledger', key, bytes, sha256(bytes))
  before.clear()
})

/** Changes an object until the end of the test; null deletes it. */
const change = async (key: string, to: (bytes: Buffer) => Buffer | null): Promise<void> => {
  const { store } = log.engines
  const bytes = await store.readWhole('ledger', key)
  if (!before.has(key)) before.set(key, bytes)
  const changed = to(Buffer.from(bytes ?? ''))
  if (changed === null) await store.delete('ledger', key)
  else await store.put('ledger', key, changed, sha256(changed))
}
const drop = async (key: string) => await change(key, () => null)
const flip = async (key: string, at: number) =>
  await change(key, (bytes) => {
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    return bytes
  })
const put = async (key: string, text: string) => await change(key, () => Buffer.from(text))

const findings = async (given: { object: string; note: string }[] = []) => foundIn(await log.audit(database, given))

/** As the log signs: with its own key, whatever is said. */
const signedByLog = async (size: number, root: Buffer): Promise<string> => {
  const { privateKey } = await readKeyFile(log.engines.config.LOG_KEY_FILE)
  const key = logKeyOf(log.log)
  return signNote(checkpointText({ origin: key.name, size, root }), key, privateKey)
}

const otherRoot = sha256('another history')

test('what is published and untouched has no finding, against checkpoints that outsiders kept since as well', async () => {
  const kept = await database.db.selectFrom('checkpoints').select(['note']).execute()
  expect(await findings(kept.map(({ note }, n) => ({ object: `kept ${n}`, note })))).toEqual([])
})

test('a hash tile that is gone is found, whole or partial', async () => {
  await drop('1/tile/0/001')
  await drop('1/tile/0/002.p/88')
  expect(await findings()).toEqual([found('tile-missing', { index: 256, object: '1/tile/0/001' }, 2)])
})

test('one bit of a hash tile is found with the leaf below it, on every level', async () => {
  await flip('1/tile/0/001', 32 * 7 + 3)
  await flip('1/tile/1/000.p/2', 32)
  expect(await findings()).toEqual([found('tile-differs', { index: 256 + 7, object: '1/tile/0/001' }, 2)])
})

test('one bit of a partial tile that was outgrown is found: who holds the checkpoint of then is still served it', async () => {
  await flip('1/tile/0/002.p/78', 32 * 77)
  expect(await findings()).toEqual([found('tile-differs', { index: 512 + 77, object: '1/tile/0/002.p/78' })])
})

test('an entry bundle that is gone is found, and one bit in one', async () => {
  await drop('1/tile/entries/000')
  expect(await findings()).toEqual([found('bundle-missing', { index: 0, object: '1/tile/entries/000' })])
  await flip('1/tile/entries/001', 34 * 9 + 2 + 31)
  await flip('1/tile/entries/002.p/88', 34 * 87 + 2)
  expect(await findings()).toEqual([
    found('bundle-missing', { index: 0, object: '1/tile/entries/000' }),
    found('bundle-differs', { index: 256 + 9, object: '1/tile/entries/001' }, 2),
  ])
})

test('a bundle that is no bundle, and one that is cut short, are found', async () => {
  await put('1/tile/entries/001', 'nothing')
  await change('1/tile/entries/002.p/88', (bytes) => bytes.subarray(0, 34 * 80))
  expect(await findings()).toEqual([found('bundle-differs', { index: 256, object: '1/tile/entries/001' }, 2)])
})

test('leaves that were changed in bundle and tiles alike are found: they are not what was signed, nor in the database', async () => {
  await flip('1/tile/entries/001', 34 * 9 + 2)
  await change('1/tile/0/001', (bytes) => {
    const leaf = Buffer.from(before.get('1/tile/entries/001')?.subarray(34 * 9 + 2, 34 * 10) ?? '')
    leaf.writeUInt8(leaf.readUInt8(0) ^ 1, 0)
    sha256(Buffer.of(0), leaf).copy(bytes, 32 * 9)
    return bytes
  })
  const all = await findings()
  expect(all).toContainEqual(found('leaves-differ', { index: 256 + 9 }))
  expect(all).toContainEqual(found('store-root', { size: 300, object: '1/checkpoint/0000000000000300' }, 4))
  expect(all).toContainEqual(found('witnessed-root', { size: fullSize, object: '1/witnessed/0000000000000600' }))
  expect(all).toContainEqual(found('tile-differs', { index: 256, object: '1/tile/1/000.p/2' }))
  expect(all).toHaveLength(4)
})

test('stored checkpoints that are gone or not signed are found', async () => {
  await drop('1/checkpoint/0000000000000600')
  expect(await findings()).toEqual([found('stored-checkpoint-missing', { size: fullSize })])
  await flip('1/checkpoint/0000000000000590', 200)
  expect(await findings()).toContainEqual(
    found('stored-checkpoint-unsigned', { object: '1/checkpoint/0000000000000590' }),
  )
})

test('a checkpoint that stands under another size than its own is found', async () => {
  const note = await log.engines.store.readWhole('ledger', '1/checkpoint/0000000000000300')
  await put('1/checkpoint/0000000000000590', note?.toString() ?? '')
  expect(await findings()).toEqual([found('stored-checkpoint-unsigned', { object: '1/checkpoint/0000000000000590' })])
})

test('two histories under the log’s own key are found, with the checkpoint that proves it', async () => {
  await put('1/checkpoint/0000000000000600', await signedByLog(fullSize, otherRoot))
  const object = '1/checkpoint/0000000000000600'
  expect(await findings()).toEqual([
    found('stored-checkpoint-root', { size: fullSize, object }),
    found('store-root', { size: fullSize, object }),
  ])
})

test('a database that is older than what the store was published as is found', async () => {
  await put('1/checkpoint/0000000000000700', await signedByLog(700, otherRoot))
  const all = await findings()
  expect(all).toContainEqual(
    found('database-behind', { index: fullSize, size: 700, says: 'the database has 600' }, 100),
  )
})

test('a witness that has seen more is found, by the store, by the database, and by a file of an outsider', async () => {
  const larger = await signedByLog(650, otherRoot)
  await put('1/witnessed/0000000000000650', larger)
  expect(await findings()).toEqual([found('witnessed-ahead', { size: 650, object: '1/witnessed/0000000000000650' })])
  expect(await findings([{ object: 'kept.txt', note: larger }])).toContainEqual(
    found('given-ahead', { size: 650, object: 'kept.txt' }),
  )
  await drop('1/witnessed/0000000000000650')
  await database.owner.query(`update witness_sizes set size = 640`)
  expect(await findings()).toEqual([
    found('witnessed-ahead', { size: 640, object: expect.stringMatching(/^witness.example\/w1\+/) }),
  ])
  await database.owner.query(`update witness_sizes set size = ${fullSize}`)
})

test('a history that a witness saw and that is another one is found', async () => {
  await put('1/witnessed/0000000000000600', await signedByLog(fullSize, otherRoot))
  expect(await findings()).toEqual([
    found('witnessed-root', { size: fullSize, object: '1/witnessed/0000000000000600' }, 2),
  ])
  await put('1/witnessed/0000000000000600', 'nothing')
  expect(await findings()).toEqual([found('witnessed-unsigned', { object: '1/witnessed/0000000000000600' })])
})

test('a checkpoint that an outsider kept is held against all there is; one of another log is no proof of anything', async () => {
  const forged = await signedByLog(300, otherRoot)
  const { key, privateKey } = makeNoteKey('elsewhere.example')
  const foreign = signNote(checkpointText({ origin: key.name, size: 5, root: otherRoot }), key, privateKey)
  const given = [
    { object: 'forged.txt', note: forged },
    { object: 'foreign.txt', note: foreign },
  ]
  expect(await findings(given)).toEqual([
    found('given-root', { size: 300, object: 'forged.txt' }, 2),
    foundOfAll('given-unsigned', { object: 'foreign.txt' }),
  ])
})

test('a checkpoint row that was replaced is found, signed by somebody else or by a stolen key', async () => {
  await using copy = await copyOf(log.engines)
  const row = (note: string) =>
    `update checkpoints set root = '\\x${otherRoot.toString('hex')}', note = '${note}' where size = 300`
  const { key, privateKey } = makeNoteKey(log.log.origin)
  await past(copy, 'checkpoints', [
    row(signNote(checkpointText({ origin: key.name, size: 300, root: otherRoot }), key, privateKey)),
  ])
  const wrong = found('checkpoint-root', { size: 300, object: 'checkpoints' })
  expect(foundIn(await log.audit(copy))).toEqual([found('checkpoint-unsigned', { size: 300 }), wrong])
  await past(copy, 'checkpoints', [row(await signedByLog(300, otherRoot))])
  expect(foundIn(await log.audit(copy))).toEqual([wrong])
})

test('a checkpoint row of a size that nobody signed does not lead the audit astray', async () => {
  await using copy = await copyOf(log.engines)
  await copy.owner.query(
    `insert into checkpoints select 1, 9007199254740000, root, note, at from checkpoints where size = ${fullSize}`,
  )
  expect(foundIn(await log.audit(copy))).toEqual([found('checkpoint-unsigned', { size: 9007199254740000 })])
})

test('a key of the log that was replaced makes every signature a wrong one', async () => {
  await using copy = await copyOf(log.engines)
  const { key } = makeNoteKey(log.log.origin)
  const x = key.publicKey.toString('base64url')
  await copy.owner.query(`update logs set jwk = jsonb_set(jwk, '{x}', '"${x}"')`)
  const all = foundIn(await log.audit(copy))
  expect(all).toContainEqual(found('checkpoint-unsigned', { size: fullSize }, 5))
  expect(all).toContainEqual(found('stored-checkpoint-unsigned', { object: '1/checkpoint/0000000000000300' }, 3))
  expect(all).toContainEqual(found('witnessed-unsigned', { object: '1/witnessed/0000000000000600' }))
})

test('a cosignature that is not its witness’s is found', async () => {
  await using copy = await copyOf(log.engines)
  const { rows } = await copy.owner.query<{ line: string }>('select line from cosignatures')
  const line = rows[0]?.line ?? ''
  await past(copy, 'cosignatures', [
    `update cosignatures set line = '${line.replace(/.(?=.{9}\n$)/, (one) => (one === 'A' ? 'B' : 'A'))}'`,
  ])
  expect(foundIn(await log.audit(copy))).toEqual([
    found('cosignature-wrong', { size: fullSize, object: expect.stringMatching(/^witness.example\/w1\+/) }),
  ])
})

test('what lies among the tiles and is none is found', async () => {
  await put('1/tile/0/1', 'x')
  expect(await findings()).toEqual([found('object-unknown', { object: '1/tile/0/1' })])
})

test('a log that only a newer database can have begun is found', async () => {
  await put('2/checkpoint/0000000000000001', 'x')
  expect(await findings()).toEqual([{ kind: 'log-unknown', log: 2, count: 1, object: '2/' }])
})

test('an empty bucket is found for what it is', async () => {
  const { store } = log.engines
  for (const key of await store.list('ledger', '1/')) await drop(key)
  const all = await findings()
  expect(all.map(({ kind, count }) => [kind, count]).toSorted()).toEqual([
    ['bundle-missing', 3],
    ['stored-checkpoint-missing', 1],
    ['tile-missing', 4],
  ])
})
