import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path, { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/base/digest.ts'
import { type BundleId, type CaseId, type ExhibitId, newId, type RecordingId } from '../../src/base/ids.ts'
import { type NoteKey, vkeyOf } from '../../src/base/note.ts'
import { tilePath } from '../../src/base/tiles.ts'
import { readBundle, requestBundle } from '../../src/bundles/actions.ts'
import { chosenCheckpoints } from '../../src/bundles/queries.ts'
import { verifyBundle } from '../../src/bundles/verify.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { cosignNewest } from '../../src/ledger/cosigning/witnesses.ts'
import { keyDocument } from '../../src/ledger/keys/key-document.ts'
import { rotateLogKey } from '../../src/ledger/keys/log-rotation.ts'
import { registerReceiptKey } from '../../src/ledger/keys/receipt-keys.ts'
import { newestCheckpoint } from '../../src/ledger/log/checkpoints.ts'
import { beginLog } from '../../src/ledger/log/log.ts'
import { placesOf } from '../../src/ledger/log/proofs.ts'
import { halt } from '../../src/ledger/log/queries.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { tileBytes } from '../../src/ledger/log/tree.ts'
import { logKeysIn } from '../../src/ledger/log/verify-proof.ts'
import { record } from '../../src/ledger/record.ts'
import type { Person } from '../../src/people/person.ts'
import { expireUploads, keepUpload } from '../../src/uploads/worklist.ts'
import {
  askBundle,
  bundleRow,
  checkedBag,
  jsonIn,
  makeNow,
  published,
  put,
  readable,
  unpacked,
  words,
  zipIn,
} from '../bundled.ts'
import { aCase } from '../case-files.ts'
import { someone } from '../catalogued.ts'
import { logVkey, withWitnesses } from '../cosigned.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { aDock, sendFile, take } from '../footsteps.ts'
import { writeEntries } from '../logged.ts'
import { movedClock } from '../retained.ts'
import { asRotating } from '../rotated.ts'
import { storyOf } from '../stories.ts'
import { startWitness } from '../witnessing.ts'

let engines: TestEngines
let clock: ReturnType<typeof movedClock>
let folder: string
let asha: Person
let dora: Person
let caseId: CaseId
let recording: RecordingId
let exhibit: ExhibitId

beforeEach(async () => {
  clock = movedClock()
  engines = await testEngines({ clock })
  folder = await mkdtemp(path.join(tmpdir(), 'exhibit-proven-'))
  await registerReceiptKey(engines)
  asha = await someone(engines, ['investigator'])
  dora = await someone(engines, ['disclosure'])
  caseId = await aCase(engines, asha, [[dora, 'disclosure']])
  recording = await taken(50_000)
  exhibit = await put(engines, asha, caseId, 'AB/1', { recordingId: recording })
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
  await engines[Symbol.asyncDispose]()
})

/** A recording in custody, with its receipt. */
const taken = async (size: number): Promise<RecordingId> => {
  const dock = await aDock(engines)
  const sent = await sendFile(engines, dock, randomBytes(size), { camera: `CAM-${newId()}` })
  await take(engines, sent.recording)
  return sent.recording
}

/** Asks, and nothing of it is under a signed head. */
const askOnly = async (): Promise<BundleId> =>
  (await requestBundle(engines, dora, caseId, { ...words, exhibitIds: [exhibit] })).id
const ask = async (): Promise<BundleId> => await askBundle(engines, dora, caseId, [exhibit])
const told = async (id: BundleId) => await readBundle(engines, dora, id)
const dueIn = async (id: BundleId): Promise<number> => {
  const { job } = await bundleRow(engines, id)
  const query = engines.db.selectFrom('jobs').select('dueAt').where('id', '=', job)
  return (await query.executeTakeFirstOrThrow()).dueAt.getTime() - clock.now().getTime()
}
/** Verified with the keys that are published now, and got elsewhere. */
const verified = async (id: BundleId, witnesses: NoteKey[] = []) => {
  const { keys, logs } = await keyDocument(engines.db)
  const top = await unpacked(engines, id, folder)
  const verdict = await verifyBundle(top, { keys, logKeys: logKeysIn({ logs }, ''), witnesses })
  expect(verdict.findings).toEqual([])
  return { top, verdict }
}
/** An act that would be told in a bundle, and one that never is. */
const happens = async (): Promise<void> => {
  const subject = { type: 'recording', id: recording } as const
  const actor = { kind: 'person', id: asha.id, role: 'investigator' } as const
  await inTransaction(engines.db, async (tx) => {
    await record(tx, clock, { operation: 'collection', action: 'recording.examined', subject, actor, detail: {} })
    await record(tx, clock, { operation: 'consultation', action: 'recording.viewing', subject, actor, purpose: 'Why' })
  })
}

describe('a bundle', () => {
  test('waits until what it discloses is under a signed head, says so, and proves all of it then', async () => {
    const id = await askOnly()
    const before = await bundleRow(engines, id)
    await makeNow(engines, id)
    const waiting = await bundleRow(engines, id)
    expect(waiting.state).toBe('owed')
    expect(waiting.job).not.toBe(before.job)
    expect(await dueIn(id)).toBeLessThan(1100)
    expect((await told(id)).waitsFor).toMatch(/not under a signed checkpoint of the log yet\. Nothing is lost/)
    await beginLog(engines)
    await makeNow(engines, id)
    expect(await told(id)).toMatchObject({ state: 'owed', waitsFor: expect.any(String) })
    await published(engines)
    expect(await makeNow(engines, id)).toMatchObject({ state: 'ready', waitsFor: null })
    const { verdict } = await verified(id)
    expect(verdict.entries).toBeGreaterThan(1)
    expect(verdict.proofs).toMatchObject({ carried: true, proven: verdict.entries })
  })

  test('does not fail where the log stands still: it says what for, looks less often, and is made when it goes on', async () => {
    await published(engines)
    const id = await askOnly()
    await halt(engines.db, 1, 'Two checkpoints of 7 leaves differ. Run exhibit ledger audit.')
    await makeNow(engines, id)
    expect((await told(id)).waitsFor).toMatch(
      /^The log, by which .* stands still until an administrator sets it going: Two checkpoints of 7 leaves differ\..* made by itself/,
    )
    clock.ahead = 3 * 86_400_000
    await makeNow(engines, id)
    expect(await told(id)).toMatchObject({ state: 'owed', failure: null })
    expect(await dueIn(id)).toBeGreaterThan(59_000)
    expect(await dueIn(id)).toBeLessThanOrEqual(60_000)
    await engines.db.updateTable('logs').set({ halted: null }).execute()
    await makeNow(engines, id)
    expect((await told(id)).waitsFor).toMatch(/It has taken since \d{4}-.*: tell an administrator/)
    await published(engines)
    expect((await makeNow(engines, id)).state).toBe('ready')
    await verified(id)
  })

  test('is made of a log that stands still, where all that it discloses was published before', async () => {
    const id = await ask()
    await halt(engines.db, 1, 'It stands still.')
    expect((await makeNow(engines, id)).state).toBe('ready')
    await verified(id)
  })

  test('stands on the head that was chosen first, and is the same bytes, whatever is written and published meanwhile', async () => {
    const id = await ask()
    let calls = 0
    const lost = makeNow(engines, id, {
      fence: async () => {
        calls += 1
        if (calls === 4) throw new Error('killed')
      },
    })
    await expect(lost).rejects.toThrow('killed')
    const first = await zipIn(engines, id)
    const chosen = await engines.db.selectFrom('bundleCheckpoints').selectAll().where('bundle', '=', id).execute()
    await happens()
    await published(engines)
    const newest = await newestCheckpoint(engines.db, 1)
    expect(newest?.size).toBeGreaterThan(chosen[0]?.size ?? Number.POSITIVE_INFINITY)
    expect((await makeNow(engines, id, { attempt: 2 })).state).toBe('ready')
    expect((await zipIn(engines, id))?.equals(first ?? Buffer.alloc(0))).toBe(true)
    const { top } = await verified(id)
    expect(await readFile(path.join(top, 'proofs/checkpoint'), 'utf8')).toBe(chosen[0]?.note)
    const change = engines.db.updateTable('bundleCheckpoints').set({ size: 1 }).execute()
    await expect(change).rejects.toThrow('permission denied')
  })

  test('goes out with no proof that does not hold: the job fails, and says what to do', async () => {
    const id = await ask()
    const size = (await newestCheckpoint(engines.db, 1))?.size ?? 0
    const tile = { kind: 'hashes', level: 0, index: 0, width: size } as const
    const right = await tileBytes(engines.store, 1, tile)
    const wrong = Buffer.from(right ?? '').fill(7)
    const store = async (bytes: Buffer) =>
      await engines.store.put('ledger', `1/${tilePath(tile)}`, bytes, sha256(bytes))
    await store(wrong)
    await expect(makeNow(engines, id)).rejects.toThrow(/does not prove entry .* run exhibit ledger audit/)
    expect(await zipIn(engines, id)).toBeNull()
    await store(right ?? Buffer.alloc(0))
    expect((await makeNow(engines, id, { attempt: 2 })).state).toBe('ready')
  })
})

test('of entries in a log that was left, the proofs stand on the last head of that one', async () => {
  const second = await put(engines, asha, caseId, 'AB/2', { recordingId: await taken(20_000) })
  await published(engines)
  await using owner = asRotating(engines)
  await rotateLogKey(owner)
  const id = await askBundle(engines, dora, caseId, [exhibit, second])
  expect((await makeNow(engines, id)).failure).toBeNull()
  const { top, verdict } = await verified(id)
  const { files } = await checkedBag(top)
  expect(files.filter((name) => name.startsWith('proofs/checkpoint'))).toEqual([
    'proofs/checkpoint',
    'proofs/checkpoint-1',
  ])
  expect(verdict).toMatchObject({ receipts: 2, leaves: 2, proofs: { proven: verdict.entries } })
  expect(await readable(top, 'README.txt')).toContain('same bytes as proofs/checkpoint or proofs/checkpoint-1.')
  const keys = await jsonIn(top, 'proofs/keys.json')
  expect(keys).toEqual(JSON.parse(JSON.stringify(await keyDocument(engines.db))))
  expect(keys.logs).toMatchObject([
    { number: 1, to: expect.any(String) },
    { number: 2, vkey: keys.log.vkey },
  ])
  const heads = new Map(verdict.proofs.heads.map(({ path: at, origin }) => [at, origin]))
  expect(heads.get('proofs/checkpoint')).toBe(keys.logs[1].origin)
  expect(heads.get('proofs/checkpoint-1')).toBe(keys.logs[0].origin)
  // The log that was left proves what stands in it to whoever has its key, and not to whoever has the other alone.
  const alone = await verifyBundle(top, { logKeys: logKeysIn({ logs: [keys.logs[1]] }, '') })
  expect(alone.findings.map(({ kind, path: at }) => `${kind} ${at}`)).toEqual(['checkpoint proofs/checkpoint-1'])
})

/** Acts that no bundle ever tells, as leaves of the log that grows now. */
const watchedTimes = async (times: number): Promise<void> => {
  const subject = { type: 'recording', id: recording } as const
  const actor = { kind: 'person', id: asha.id, role: 'investigator' } as const
  const viewed = { operation: 'consultation', action: 'recording.viewing', subject, actor, purpose: 'Why' } as const
  for (let time = 0; time < times; time++)
    await inTransaction(engines.db, async (tx) => await record(tx, clock, viewed))
  await published(engines)
}

/** The acts that the statement of AB/1 lists of each log, by their places, and how many it says there are. */
const listed = async (top: string) => {
  const text = await readable(top, 'data/exhibits/AB_1/continuity.pdf')
  const places = [...text.matchAll(/In the log: place (\d+) of (\S+), under the signed head above/g)]
  const acts = Number(/End of the list: (\d+) acts\./.exec(text)?.[1])
  return { acts, places: places.map(([, index, origin]) => `${index} of ${origin}`) }
}

/** The statement of AB/1 as the store has it now, by way of a folder of its own. */
const statementOf = async (id: BundleId, name: string): Promise<Buffer> => {
  const into = await mkdtemp(path.join(folder, name))
  return await readFile(path.join(await unpacked(engines, id, into), 'data/exhibits/AB_1/continuity.pdf'))
}

describe('of footage over whose life the key of the log was rotated twice', () => {
  test('a statement lists every act, also those of a log in which nothing that is disclosed stands', async () => {
    const sue = await someone(engines, ['supervisor'])
    await published(engines)
    await using owner = asRotating(engines)
    await rotateLogKey(owner)
    await watchedTimes(5)
    await rotateLogKey(owner)
    await watchedTimes(2)
    const id = await ask()
    expect((await makeNow(engines, id)).failure).toBeNull()
    const { top, verdict } = await verified(id)
    const logs = await engines.db.selectFrom('logs').selectAll().orderBy('number', 'desc').execute()
    expect(verdict.proofs.heads.map(({ path: at, origin }) => [at, origin]).sort()).toEqual([
      ['proofs/checkpoint', logs[0]?.origin],
      ['proofs/checkpoint-1', logs[2]?.origin],
      ['proofs/checkpoint-2', logs[1]?.origin],
    ])
    const entries = (await checkedBag(top)).files.filter((name) => name.endsWith('.tlog-proof'))
    for (const name of entries) expect(await readable(top, name)).not.toContain(`\n\n${logs[1]?.origin}\n`)
    const chosen = await chosenCheckpoints(engines.db, id)
    const story = await storyOf(engines, sue, { type: 'recording', id: recording })
    const under = story.filter(({ origin, index }) =>
      chosen.some((head) => head.origin === origin && index !== null && index < head.size),
    )
    expect(under.filter(({ origin }) => origin === logs[1]?.origin)).toHaveLength(5)
    const { acts, places } = await listed(top)
    expect(places).toEqual(under.map(({ origin, index }) => `${index} of ${origin}`))
    expect(acts).toBe(under.length)
  })

  test('one of a bundle that was begun before is the same bytes, and leaves out what came after its head', async () => {
    const id = await ask()
    let calls = 0
    const lost = makeNow(engines, id, {
      fence: async () => {
        calls += 1
        if (calls === 4) throw new Error('killed')
      },
    })
    await expect(lost).rejects.toThrow('killed')
    const first = await statementOf(id, 'first')
    await watchedTimes(3)
    await using owner = asRotating(engines)
    await rotateLogKey(owner)
    await watchedTimes(3)
    await rotateLogKey(owner)
    await watchedTimes(3)
    expect((await makeNow(engines, id, { attempt: 2 })).state).toBe('ready')
    expect((await statementOf(id, 'second')).equals(first)).toBe(true)
    await verified(id)
  })

  test('a statement is not made under heads that leave out a log between', async () => {
    await published(engines)
    await using owner = asRotating(engines)
    await rotateLogKey(owner)
    await watchedTimes(1)
    await rotateLogKey(owner)
    const id = await ask()
    for (const log of [1, 3]) {
      const head = await newestCheckpoint(engines.db, log)
      if (head === undefined) throw new Error('no head')
      const { size, note } = head
      await engines.db.insertInto('bundleCheckpoints').values({ bundle: id, log, size, note }).execute()
    }
    await expect(makeNow(engines, id)).rejects.toThrow(
      /^the act at place \d+ of \S+ is under no head .* ask for a new one$/,
    )
    expect(await zipIn(engines, id)).toBeNull()
  })
})

test('of a recording of which only a part came into custody there is no receipt, and an entry speaks for it', async () => {
  const dock = await aDock(engines)
  const sent = await sendFile(engines, dock, randomBytes(50_000), { camera: `CAM-${newId()}`, upTo: 20_000 })
  clock.ahead = 169 * 3_600_000
  expect(await expireUploads(engines)).toBe(1)
  await keepUpload(engines, { kind: 'person', id: 'supervisor' }, sent.upload, 'the camera was destroyed')
  await take(engines, sent.recording)
  const part = await put(engines, asha, caseId, 'AB/2', { recordingId: sent.recording })
  const id = await askBundle(engines, dora, caseId, [exhibit, part])
  expect((await makeNow(engines, id)).failure).toBeNull()
  const { verdict } = await verified(id)
  expect(verdict).toMatchObject({ exhibits: 2, receipts: 1, withoutReceipt: ['AB/2'], alone: [] })
})

/** A witness that watches the log of these engines, from now on asked by them. */
const watched = async () => {
  await beginLog(engines)
  const vkey = await logVkey(engines.db)
  const witness = await startWitness({ data: join(folder, 'w1'), logs: [vkey] })
  engines = withWitnesses(engines, `${vkeyOf(witness.key)} ${witness.url}`)
  return witness
}

describe('where the log has witnesses', () => {
  test('a bundle waits for their cosignatures, and carries them', async () => {
    await using witness = await watched()
    const id = await ask()
    await makeNow(engines, id)
    expect(await told(id)).toMatchObject({
      state: 'owed',
      waitsFor: expect.stringMatching(/^The witnesses of the log/),
    })
    expect(await cosignNewest(engines)).toBe(1)
    // The log goes on meanwhile; the head that a witness saw is the better one.
    await writeEntries(engines, 3)
    await sequence(engines)
    expect((await makeNow(engines, id)).state).toBe('ready')
    const { verdict } = await verified(id, [witness.key])
    expect(verdict.proofs.heads).toMatchObject([{ witnessed: [{ witness: 'witness.example/w1' }] }])
  })

  test('and none of them answers, it is made without them after a minute', async () => {
    await using witness = await watched()
    const id = await ask()
    await makeNow(engines, id)
    expect((await bundleRow(engines, id)).state).toBe('owed')
    clock.ahead = 61_000
    expect((await makeNow(engines, id)).state).toBe('ready')
    const { top } = await verified(id)
    const strict = await verifyBundle(top, { witnesses: [witness.key] })
    expect(strict.findings.map(({ kind, path: at }) => `${kind} ${at}`)).toEqual(['checkpoint proofs/checkpoint'])
  })
})

test('every entry that is proven is at the place that the log gave it', async () => {
  await happens()
  const id = await ask()
  await makeNow(engines, id)
  const { top } = await verified(id)
  const names = (await checkedBag(top)).files.filter((name) => name.endsWith('.entry.json'))
  expect(names.length).toBeGreaterThan(2)
  for (const name of names) {
    const { entry } = await jsonIn(top, name)
    const proof = await readFile(path.join(top, name.replace('.entry.json', '.tlog-proof')), 'utf8')
    const place = (await placesOf(engines.db, [entry.id])).get(entry.id)
    expect(proof).toContain(`\nindex ${place?.index}\n`)
  }
})
