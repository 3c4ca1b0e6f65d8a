import { rm } from 'node:fs/promises'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/base/checkpoint.ts'
import { sha256 } from '../../src/base/digest.ts'
import type { EntryId } from '../../src/base/ids.ts'
import { parseVkey, vkeyOf } from '../../src/base/note.ts'
import { parseProof, verifyProof } from '../../src/base/tlog-proof.ts'
import { cosignNewest } from '../../src/ledger/cosigning/witnesses.ts'
import type { Rotating, Step } from '../../src/ledger/keys/key-rotation.ts'
import { rotateLogKey } from '../../src/ledger/keys/log-rotation.ts'
import { newestCheckpoint, noteOf } from '../../src/ledger/log/checkpoints.ts'
import { allLogs, beginLog, logByNumber, logKeyOf, publicX, publishedLogs } from '../../src/ledger/log/log.ts'
import { placesOf, proofOf } from '../../src/ledger/log/proofs.ts'
import { halt, numberEntries, owedLeaves } from '../../src/ledger/log/queries.ts'
import { sequence, startSequencer } from '../../src/ledger/log/sequencer.ts'
import { cosigners, logOf, logVkey, withWitnesses } from '../cosigned.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { proveLog, writeEntries } from '../logged.ts'
import { asRotating, cutAfter, keyFileState } from '../rotated.ts'
import { startWitness, temporaryFolder } from '../witnessing.ts'

let engines: TestEngines
let owner: Rotating & AsyncDisposable
beforeEach(async () => {
  engines = await testEngines()
  owner = asRotating(engines)
  await beginLog(engines)
})
afterEach(async () => {
  await owner[Symbol.asyncDispose]()
  await engines[Symbol.asyncDispose]()
})

const asOwner = async (...statements: string[]) => {
  const client = new Client({ connectionString: engines.ownerUrl })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
const current = async () => await logOf(engines.db)
const published = async (count: number): Promise<EntryId[]> => {
  const entries = await writeEntries(engines, count)
  await sequence(engines)
  return entries
}

/** That an entry is in a log, by its proof alone and the key of that log. */
const proven = async (entry: EntryId) => {
  const answer = await proofOf(engines, entry)
  const proof = 'proof' in answer ? parseProof(answer.proof) : null
  const place = (await placesOf(engines.db, [entry])).get(entry)
  if (proof === null || place === undefined) throw new Error('there is no proof')
  const { leaf } = await engines.db
    .selectFrom('entries')
    .select('leaf')
    .where('id', '=', entry)
    .executeTakeFirstOrThrow()
  const key = logKeyOf(await logByNumber(engines.db, place.log))
  expect(verifyProof(proof, leaf, key)).toHaveProperty('head.origin', place.origin)
  return { log: place.log, index: place.index }
}

test('a rotation ends the log and begins another, whose first leaf names the last checkpoint of the old one', async () => {
  const [early] = await published(20)
  const first = await current()
  const last = await newestCheckpoint(engines.db, 1)
  const rotated = await rotateLogKey(owner)
  expect(rotated).toMatchObject({ number: 2, ended: false, left: { number: 1, origin: first.origin, size: 21 } })
  expect(rotated.origin).toMatch(/^exhibit\.local\/[0-9a-f]{16}$/)
  expect(rotated.origin).not.toBe(first.origin)
  expect(await keyFileState(engines.config.LOG_KEY_FILE)).toEqual({
    x: publicX(await current()),
    mode: 0o600,
    waiting: false,
  })

  const [oldLog, newLog] = await publishedLogs(engines.db)
  expect(oldLog).toMatchObject({ number: 1, to: newLog?.from })
  expect(newLog).toMatchObject({ number: 2, origin: rotated.origin, vkey: rotated.vkey })
  expect(newLog).not.toHaveProperty('to')
  const rotation = newLog?.rotation
  expect(Object.keys(rotation?.parts ?? {})).toEqual(['detail'])
  expect(rotation?.parts.detail?.value).toEqual({
    origin: first.origin,
    vkey: oldLog?.vkey,
    checkpoint: last?.note,
    next: { origin: rotated.origin, vkey: rotated.vkey },
  })
  // As an outsider checks it: the entry's leaf is leaf 0 of the new log, and the note is signed by the old key.
  const { entry } = await engines.db
    .selectFrom('leaves')
    .select('entry')
    .where('log', '=', 2)
    .where('index', '=', 0)
    .executeTakeFirstOrThrow()
  if (entry === null || early === undefined) throw new Error('a leaf without its entry')
  expect(await proven(entry)).toEqual({ log: 2, index: 0 })
  const proof = await proofOf(engines, entry)
  const said = await engines.db
    .selectFrom('entryBodies')
    .select('entry')
    .where('id', '=', entry)
    .executeTakeFirstOrThrow()
  expect(parseProof('proof' in proof ? proof.proof : '')?.extra).toEqual(
    sha256(Buffer.from(rotation?.salt ?? '', 'hex'), said.entry ?? ''),
  )
  const oldKey = parseVkey(oldLog?.vkey ?? '')
  if (oldKey === null) throw new Error('that is no key')
  expect(openCheckpoint(last?.note ?? '', oldKey)).toMatchObject({ origin: first.origin, size: 21 })

  const [late] = await published(3)
  expect(await proven(early)).toMatchObject({ log: 1 })
  expect(await proven(late ?? entry)).toMatchObject({ log: 2 })
  expect(await proveLog(engines)).toBe(4)
})

test('what was numbered is published in the old log first, and what waits becomes leaves of the new one', async () => {
  const numbered = await writeEntries(engines, 300)
  await numberEntries(engines.db, 200)
  const { left } = await rotateLogKey(owner)
  expect(left).toMatchObject({ size: 200 })
  await sequence(engines)
  expect(await owedLeaves(engines.db)).toBe(0)
  const logs = new Set<number>()
  for (const entry of [...numbered.slice(0, 3), ...numbered.slice(-3)]) logs.add((await proven(entry)).log)
  expect([...logs]).toEqual([1, 2])
  await proveLog(engines)
})

test.for<Step>(['key-made', 'written', 'in-force', 'in-place'])(
  'a rotation that is cut off after it was %s is ended by the next one, and in between the log goes on',
  async (step) => {
    const [early] = await published(5)
    await expect(rotateLogKey(owner, cutAfter(step))).rejects.toThrow('cut off')
    const [between] = await published(5)
    const { ended } = await rotateLogKey(owner)
    expect(ended).toBe(step === 'in-force')
    expect((await allLogs(engines.db)).length).toBe(step === 'in-place' ? 3 : 2)
    const log = await current()
    expect(await keyFileState(engines.config.LOG_KEY_FILE)).toEqual({ x: publicX(log), mode: 0o600, waiting: false })
    const [late] = await published(5)
    for (const entry of [early, between, late]) if (entry !== undefined) await proven(entry)
    await proveLog(engines)
  },
)

test('sequencers that run go on with the new log, and under load no entry is lost, doubled or left behind', async () => {
  const stopping = new AbortController()
  const others = Array.from({ length: 2 }, () => ({ ...engines }))
  const sequencing = others.map(async (each) => await startSequencer(each, stopping.signal))
  const entries: EntryId[] = []
  let writing = true
  const writer = (async () => {
    while (writing) entries.push(...(await writeEntries(engines, 17)))
  })()
  for (let n = 0; n < 3; n++) await rotateLogKey(owner)
  writing = false
  await writer
  while ((await owedLeaves(engines.db)) > 0) await sequence(engines)
  stopping.abort()
  await Promise.all(sequencing)
  await sequence(engines)
  await proveLog(engines)
  const places = await placesOf(engines.db, entries)
  expect(places.size).toBe(entries.length)
  const logs = await allLogs(engines.db)
  expect(logs.map(({ number, halted }) => [number, halted])).toEqual([1, 2, 3, 4].map((number) => [number, null]))
  for (const { number } of logs) {
    const there = entries.find((entry) => places.get(entry)?.log === number)
    if (there !== undefined) await proven(there)
  }
})

test('a halted log is not left by mistake; abandoned, its reason is in the entry, and what it never published is published in the new one', async () => {
  const [early] = await published(10)
  const unpublished = await writeEntries(engines, 4)
  await numberEntries(engines.db, 100)
  await halt(engines.db, 1, 'The store holds other bytes.')
  await expect(rotateLogKey(owner)).rejects.toThrow(/stands still: The store holds other bytes.*--abandon/)
  expect((await current()).number).toBe(1)
  await rotateLogKey(owner, { abandon: 'the bucket of the log was lost' })
  const [, newLog] = await publishedLogs(engines.db)
  expect(newLog?.rotation?.parts.detail?.value).toMatchObject({
    checkpoint: (await newestCheckpoint(engines.db, 1))?.note,
    abandoned: {
      because: 'the bucket of the log was lost',
      halted: 'The store holds other bytes.',
      unpublished: 4,
    },
  })
  await sequence(engines)
  for (const entry of unpublished) expect(await proven(entry)).toMatchObject({ log: 2 })
  if (early !== undefined) expect(await proven(early)).toMatchObject({ log: 1 })
  await proveLog(engines)
})

test('of a log whose tiles are lost nothing can be published; abandoned, the installation goes on with a new one', async () => {
  await published(300)
  for (const key of await engines.store.list('ledger', '1/')) await engines.store.delete('ledger', key)
  await writeEntries(engines, 3)
  await expect(sequence({ ...engines, store: { ...engines.store } })).rejects.toThrow(/has lost tile/)
  await expect(rotateLogKey({ ...owner, store: { ...owner.store } })).rejects.toThrow(/has lost tile/)
  await rotateLogKey(owner, { abandon: 'the tiles are lost' })
  const [late] = await published(1)
  if (late !== undefined) expect(await proven(late)).toMatchObject({ log: 2 })
})

test('a log whose private key is lost ends as it was published, and what it had not published is published in the new one', async () => {
  const file = engines.config.LOG_KEY_FILE
  const [early] = await published(3)
  const unpublished = await writeEntries(engines, 4)
  await numberEntries(engines.db, 100)
  await rm(file)
  await expect(rotateLogKey(owner)).rejects.toThrow(/does not hold the key that is in force.*--lost/)
  await rotateLogKey(owner, { lost: true })
  const [, newLog] = await publishedLogs(engines.db)
  expect(newLog?.rotation?.parts.detail?.value).toMatchObject({
    abandoned: { because: 'its private key is lost', unpublished: 4 },
  })
  await sequence(engines)
  for (const entry of unpublished) expect(await proven(entry)).toMatchObject({ log: 2 })
  if (early !== undefined) expect(await proven(early)).toMatchObject({ log: 1 })
  // Said of a key that is there, it changes nothing.
  await writeEntries(engines, 2)
  await numberEntries(engines.db, 100)
  await rotateLogKey(owner, { lost: true })
  expect((await publishedLogs(engines.db)).at(-1)?.rotation?.parts.detail?.value).not.toHaveProperty('abandoned')
  await proveLog(engines)
})

test('a database that is older than its log is found out, and nothing is rotated', async () => {
  await published(5)
  const older = [
    'alter table checkpoints disable trigger user',
    'alter table leaves disable trigger user',
    'delete from checkpoints',
    'delete from leaves where index > 2',
  ]
  await asOwner(...older, 'alter table checkpoints enable trigger user', 'alter table leaves enable trigger user')
  await expect(rotateLogKey(owner)).rejects.toThrow(/older one/)
  expect((await allLogs(engines.db)).length).toBe(1)
})

test('a log is named after the one before it, or as the operator says, and never as one that was there', async () => {
  await using named = await testEngines({ env: { LOG_ORIGIN: 'log.example.org/force' } })
  await using by = asRotating(named)
  await beginLog(named)
  expect((await rotateLogKey(by)).origin).toBe('log.example.org/force/2')
  expect((await rotateLogKey(by)).origin).toBe('log.example.org/force/3')
  for (const origin of ['log.example.org/force', 'with space', 'with+plus', ''])
    await expect(rotateLogKey(by, { origin }), origin).rejects.toThrow(/origin/)
  expect((await rotateLogKey(by, { origin: 'log.example.org/other' })).origin).toBe('log.example.org/other')
  expect((await rotateLogKey(by)).origin).toBe('log.example.org/other/5')
})

test('a number under which the store holds another log is passed over', async () => {
  const bytes = Buffer.from('of a log that this database has forgotten')
  await engines.store.put('ledger', '2/tile/0/000.p/1', bytes, sha256(bytes))
  expect(await rotateLogKey(owner)).toMatchObject({ number: 3 })
  const [late] = await published(1)
  if (late !== undefined) expect(await proven(late)).toMatchObject({ log: 3 })
})

test('nothing more is published of a log that was left, and what it published stays', async () => {
  await published(5)
  await rotateLogKey(owner)
  const root = Buffer.alloc(32)
  const late = { log: 1, size: 100, root, note: 'late', at: new Date() }
  await expect(engines.db.insertInto('checkpoints').values(late).execute()).rejects.toThrow(/log 1 has ended/)
  await expect(asOwner('delete from leaves where log = 1')).rejects.toThrow(/refused/)
  await expect(asOwner('delete from leaves where log = 2')).rejects.toThrow(/refused/)
  await expect(asOwner('update leaves set index = index + 1000')).rejects.toThrow(/refused/)
})

test('a log that never began is not rotated', async () => {
  await using fresh = await testEngines()
  await using by = asRotating(fresh)
  await expect(rotateLogKey(by)).rejects.toThrow(/has not begun/)
})

test('the witnesses are shown the last checkpoint before the log ends; of the new log they know nothing until they are told', async () => {
  await using place = await temporaryFolder()
  await using witness = await startWitness({ data: place.path, logs: [await logVkey(engines.db)] })
  const own = withWitnesses(engines, `${vkeyOf(witness.key)} ${witness.url}`)
  await published(7)
  const rotated = await rotateLogKey({ ...owner, config: own.config })
  expect(await cosigners(own, rotated.left?.size ?? 0)).toEqual([witness.key.name])
  const [, newLog] = await publishedLogs(engines.db)
  expect(newLog?.rotation?.parts.detail?.value).toMatchObject({ checkpoint: await noteOf(engines.db, 1, 8) })
  expect(await cosignNewest(own)).toBe(0)
  await using told = await startWitness({
    data: `${place.path}/told`,
    name: 'witness.example/w2',
    logs: [rotated.vkey],
  })
  expect(await cosignNewest(withWitnesses(engines, `${vkeyOf(told.key)} ${told.url}`))).toBe(1)
})
