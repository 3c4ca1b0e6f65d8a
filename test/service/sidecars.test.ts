import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { canonical } from '../../src/base/canonical.ts'
import { type EntryId, newId, type PurgeId, type RecordingId } from '../../src/base/ids.ts'
import { parseProof } from '../../src/base/tlog-proof.ts'
import { approveDiscardOf, askDiscard, clearRecording } from '../../src/custody/disputes.ts'
import { keepSidecar } from '../../src/custody/keep-sidecar.ts'
import { oweSidecars } from '../../src/custody/owe-sidecars.ts'
import { entriesInPart, sidecarKey } from '../../src/custody/sidecar.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { TakenOver } from '../../src/jobs/job.ts'
import { rotateReceiptKey } from '../../src/ledger/keys/key-rotation.ts'
import { rotateLogKey } from '../../src/ledger/keys/log-rotation.ts'
import { publishedKeys, registerReceiptKey } from '../../src/ledger/keys/receipt-keys.ts'
import { beginLog, currentLog } from '../../src/ledger/log/log.ts'
import { proofOf } from '../../src/ledger/log/proofs.ts'
import { sequence } from '../../src/ledger/log/sequencer.ts'
import { eraseFromEntry } from '../../src/ledger/record.ts'
import { kept } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { aDock, aPerson, digestOf, runOf, sendFile, take } from '../footsteps.ts'
import { longTest } from '../long.ts'
import { caseWith, movedClock } from '../retained.ts'
import { asRotating } from '../rotated.ts'
import { besides, keepOwed, owed, readSidecar, runOwed, soundSidecar, tell } from '../sidecars.ts'
import { eventually } from '../system.ts'

const clock = movedClock()
let engines: TestEngines
beforeAll(async () => {
  engines = await testEngines({ clock })
  await registerReceiptKey(engines)
  await beginLog(engines)
})
afterAll(async () => await engines[Symbol.asyncDispose]())
beforeEach(async () => {
  clock.ahead = 0
  await keepOwed(engines)
})

const erasePart = async (entry: Parameters<typeof eraseFromEntry>[2], part: 'purpose' | 'actor' | 'body') =>
  await inTransaction(
    engines.db,
    async (tx) =>
      await eraseFromEntry(tx, clock, entry, part, {
        action: 'entry.part-erased',
        actor: { kind: 'service', id: 'exhibit' },
      }),
  )
const actionsIn = (entries: readonly { entry?: unknown }[]) =>
  entries.map(({ entry }) => (entry as { action: string } | undefined)?.action)

describe('what a sidecar holds', () => {
  test('is all that the catalogue and the ledger say of a recording, signed, each entry with its leaf', async () => {
    const dock = await aDock(engines)
    const { recording, upload, sha256 } = await sendFile(engines, dock, randomBytes(900), { number: 7 })
    await take(engines, recording)
    expect(await keepOwed(engines)).toEqual(['done'])
    expect(await besides(engines, recording)).toEqual([`recordings/${recording}.sidecar.jws`])
    const { claims, receipt, leaves } = await soundSidecar(engines, recording)
    expect(claims).toMatchObject({
      recordingId: recording,
      recording: {
        dock: dock.id,
        camera: 'CAM-1',
        sha256,
        size: 900,
        status: 'active',
        number: 7,
        flags: ['unplayable'],
      },
      upload: { id: upload, state: 'verified', declared: { filename: 'BWC_0001.MP4', number: '7' } },
      clips: [],
      exhibits: [],
      earlier: [],
    })
    expect(receipt).toMatchObject({ uploadId: upload, recordingId: recording, sha256 })
    expect(actionsIn(claims.entries)).toEqual([
      'upload.created',
      'upload.stored',
      'recording.verified',
      'recording.examined',
    ])
    const { origin } = (await currentLog(engines.db)) ?? {}
    for (const [id, { log, index, leaf }] of leaves) {
      const answer = await proofOf(engines, id)
      const proof = 'proof' in answer ? parseProof(answer.proof) : null
      expect([proof?.index, proof?.extra?.toString('hex'), log]).toEqual([index, leaf, origin])
    }
  })

  test('grows with what happens to the recording, and each recording is owed once, however much it is', async () => {
    const [id, other] = [await kept(engines, randomBytes(10)), await kept(engines, randomBytes(10))]
    await tell(engines, id, 30)
    await tell(engines, other)
    expect((await owed(engines)).sort()).toEqual([id, other].sort())
    await tell(engines, id, 5)
    expect(await owed(engines)).toHaveLength(2)
    expect(await keepOwed(engines)).toEqual(['done', 'done'])
    expect((await soundSidecar(engines, id)).leaves.size).toBe(35)
    expect(await owed(engines)).toEqual([])
    await tell(engines, id)
    expect(await owed(engines)).toEqual([id])
    await keepOwed(engines)
    expect((await soundSidecar(engines, id)).leaves.size).toBe(36)
    expect((await soundSidecar(engines, other)).leaves.size).toBe(1)
  })

  test('stays as it is while the log is halted, since it may know what an older database does not, and is kept after that', async () => {
    const id = await kept(engines, randomBytes(10))
    await tell(engines, id, 3)
    await keepOwed(engines)
    const before = await readSidecar(engines, id)
    await tell(engines, id)
    expect(await owed(engines)).toEqual([id])
    const halted = async (why: string | null) => await engines.db.updateTable('logs').set({ halted: why }).execute()
    await halted('This database is an older one.')
    expect(await runOwed(engines)).toEqual(['skipped'])
    expect(await readSidecar(engines, id)).toEqual(before)
    expect(await owed(engines)).toEqual([id])
    await halted(null)
    await engines.db
      .updateTable('jobs')
      .set({ dueAt: new Date(0) })
      .where('state', '=', 'owed')
      .execute()
    expect(await keepOwed(engines)).toEqual(['done'])
    expect((await soundSidecar(engines, id)).leaves.size).toBe(4)
  })

  test('names the exhibits and clips by their ids alone', async () => {
    const id = await kept(engines, randomBytes(10))
    await caseWith(engines, await aPerson(engines, 'investigator'), [id])
    const exhibit = await engines.db.selectFrom('exhibits').select('id').where('recording', '=', id).executeTakeFirst()
    await tell(engines, id, 1, { subject: { type: 'exhibit', id: exhibit?.id ?? '' } })
    expect(await owed(engines)).toEqual([id])
    expect(await keepOwed(engines)).toEqual(['again'])
    await tell(engines, id)
    await engines.db
      .updateTable('jobs')
      .set({ dueAt: new Date(0) })
      .where('state', '=', 'owed')
      .execute()
    await keepOwed(engines)
    expect((await soundSidecar(engines, id)).claims.exhibits).toEqual([exhibit?.id])
  })

  test('no longer has what was erased of an entry, nor a body that is gone', async () => {
    const id = await kept(engines, randomBytes(10))
    const [first, second, third] = await tell(engines, id, 3, { purpose: 'for my own ends' })
    if (first === undefined || second === undefined || third === undefined) throw new Error('three entries')
    await keepOwed(engines)
    const before = await soundSidecar(engines, id)
    expect(canonical(before.claims.entries as never)).toContain('for my own ends')
    const erasures = [
      await erasePart(first, 'purpose'),
      await erasePart(second, 'body'),
      await erasePart(third, 'purpose'),
    ]
    expect(await owed(engines)).toEqual([id])
    await keepOwed(engines)
    const { claims, leaves } = await soundSidecar(engines, id)
    const raw = (await engines.store.readWhole('derived', sidecarKey(id)))?.toString() ?? ''
    const payload = Buffer.from(raw.split('.')[1] ?? '', 'base64url').toString()
    expect(payload).not.toContain('for my own ends')
    expect(claims.entries).toHaveLength(6)
    const told = (id: EntryId) => claims.entries.find((entry) => entry.id === id)
    expect([first, second, third].map((id) => told(id)?.erased)).toEqual([
      { purpose: erasures[0] },
      { body: erasures[1] },
      { purpose: erasures[2] },
    ])
    expect(told(second)).not.toHaveProperty('salt')
    expect(leaves.get(second)).toEqual(before.leaves.get(second))
  })

  test('an entry erased before its sidecar was ever written is in it as it is', async () => {
    const id = await kept(engines, randomBytes(10))
    const [only] = await tell(engines, id)
    if (only !== undefined) await erasePart(only, 'body')
    expect(await owed(engines)).toEqual([id])
    await keepOwed(engines)
    expect((await soundSidecar(engines, id)).leaves.size).toBe(2)
  })

  test('a footage that is not in custody yet has none; a quarantined one has, until it is discarded', async () => {
    const dock = await aDock(engines)
    const bytes = randomBytes(300)
    const { recording } = await sendFile(engines, dock, bytes, { declared: digestOf(randomBytes(1)) })
    expect(await owed(engines)).toEqual([])
    await take(engines, recording)
    expect(await keepOwed(engines)).toEqual(['done'])
    const { claims, receipt } = await soundSidecar(engines, recording)
    expect([claims.recording.status, receipt]).toEqual(['quarantined', undefined])
    const [asker, other] = [await aPerson(engines, 'supervisor'), await aPerson(engines, 'supervisor')]
    await askDiscard(engines, asker, recording, 'test footage')
    await approveDiscardOf(engines, other, recording, 'test footage')
    await clearRecording(engines, recording)
    expect(await besides(engines, recording)).toEqual([])
    expect(await keepOwed(engines)).toEqual(['skipped'])
    expect(await besides(engines, recording)).toEqual([])
  })
})

describe('a long story', () => {
  test('is kept in objects of so many entries, of which only the last is written anew, and every one is signed', async () => {
    const id = await kept(engines, randomBytes(10))
    const entries = await tell(engines, id, 2 * entriesInPart + 5)
    await keepOwed(engines)
    const first = await besides(engines, id)
    expect(first).toHaveLength(3)
    const before = await soundSidecar(engines, id)
    expect(before.leaves.size).toBe(entries.length)
    expect(before.claims.entries).toHaveLength(5)

    const written: string[] = []
    const { store } = engines
    const put: typeof store.put = async (bucket, key, ...rest) => {
      written.push(key)
      await store.put(bucket, key, ...rest)
    }
    await tell(engines, id)
    await owed(engines)
    await keepOwed({ ...engines, store: { ...store, put } })
    expect(written).toEqual([sidecarKey(id)])
    expect((await soundSidecar(engines, id)).leaves.size).toBe(entries.length + 1)

    // An erasure in the first object gives another first object, and the old one goes.
    if (entries[3] !== undefined) await erasePart(entries[3], 'purpose')
    await keepOwed(engines)
    const after = await besides(engines, id)
    expect(after).toHaveLength(3)
    expect(after.filter((key) => first.includes(key))).toHaveLength(2)
    expect((await soundSidecar(engines, id)).leaves.size).toBe(entries.length + 2)

    const [part = ''] = after.filter((key) => key.endsWith('.json'))
    await store.delete('derived', part)
    expect((await readSidecar(engines, id)).faults).toContain(`${part} is missing.`)
  })
})

describe('while keys are rotated', () => {
  test('what was signed stays good, the sidecar of a recording goes on in the next log, and no key ends before it signed', async () => {
    await using owner = asRotating(engines)
    const id = await kept(engines, randomBytes(10))
    await tell(engines, id)
    clock.ahead = 3_600_000
    await keepOwed(engines)
    clock.ahead = 0
    const { claims } = await soundSidecar(engines, id)
    await rotateReceiptKey(owner)
    const [retired] = (await publishedKeys(engines.db)).slice(-2)
    expect(Date.parse(retired?.to ?? '')).toBeGreaterThanOrEqual(claims.iat * 1000)
    await soundSidecar(engines, id)
    await rotateLogKey(owner)
    await tell(engines, id)
    await keepOwed(engines)
    const logs = [...(await soundSidecar(engines, id)).leaves.values()].map(({ log }) => log)
    expect(new Set(logs).size).toBe(2)
  })
})

describe('an attempt', () => {
  test('that was overtaken notes nothing, and what it leaves is whole', async () => {
    const id = await kept(engines, randomBytes(10))
    await tell(engines, id)
    await owed(engines)
    const run = runOf({
      fence: async () => {
        throw new TakenOver()
      },
    })
    await expect(keepSidecar(engines, id, run)).rejects.toThrow(TakenOver)
    const noted = await engines.db.selectFrom('sidecars').selectAll().where('recording', '=', id).execute()
    expect(noted).toMatchObject([{ owed: true, index: null }])
    await soundSidecar(engines, id)
    expect(await keepOwed(engines)).toEqual(['done'])
  })

  test('on a machine without the key in force says so, and is made again', async () => {
    const id = await kept(engines, randomBytes(10))
    await tell(engines, id)
    const config = { ...engines.config, RECEIPT_KEY_FILE: '/none' }
    await owed(engines)
    const receiptKey = { ...engines.receiptKey, kid: 'another' }
    expect(await keepOwed({ ...engines, config, receiptKey })).toEqual(['again'])
    await engines.db
      .updateTable('jobs')
      .set({ dueAt: new Date(0) })
      .where('state', '=', 'owed')
      .execute()
    expect(await keepOwed(engines)).toEqual(['done'])
  })
})

describe('owing', () => {
  test('passes over what is about nothing that is known, and walks a log from its beginning where that was never done', async () => {
    await tell(engines, newId<RecordingId>(), 2)
    await tell(engines, newId<RecordingId>(), 1, { subject: { type: 'recording', id: 'recording-7' } })
    await tell(engines, newId<RecordingId>(), 1, { subject: { type: 'purge', id: newId<PurgeId>() } })
    expect(await owed(engines)).toEqual([])
    const owner = new Client({ connectionString: engines.ownerUrl })
    await owner.connect()
    await owner.query('delete from sidecar_positions')
    await owner.end()
    const again = await owed(engines)
    const known = await engines.db.selectFrom('sidecars').select('recording').execute()
    expect([...again].sort()).toEqual(known.map(({ recording }) => recording).sort())
    const ends = await keepOwed(engines)
    expect(new Set(ends)).toEqual(new Set(['done', 'skipped']))
  })

  longTest('waits while much is owed already, and ends when it is asked to', async () => {
    const ids: RecordingId[] = []
    for (let n = 0; n < 110; n++) {
      const id = await kept(engines, randomBytes(10))
      await tell(engines, id, 3)
      ids.push(id)
    }
    await sequence(engines)
    const stopping = new AbortController()
    const owing = oweSidecars(engines, stopping.signal)
    const count = async () =>
      (
        await engines.db
          .selectFrom('jobs')
          .select('id')
          .where('name', '=', 'keep-sidecar')
          .where('state', '=', 'owed')
          .execute()
      ).length
    await eventually('that much is owed', async () => ((await count()) >= 100 ? true : undefined))
    stopping.abort()
    expect(await owing).toBeLessThanOrEqual(ids.length)
    expect(await count()).toBeLessThan(170)
    await runOwed(engines)
    await keepOwed(engines)
    for (const id of ids) expect((await soundSidecar(engines, id)).leaves.size).toBe(3)
  })
})
