import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import type { CameraSerial, RecordingId } from '../../src/base/ids.ts'
import { readBundle } from '../../src/bundles/actions.ts'
import { bundleKey } from '../../src/bundles/bundle.ts'
import { acceptRecording, clearRecording } from '../../src/custody/disputes.ts'
import { listShortfall, takeManifest } from '../../src/custody/manifest.ts'
import { uploadReceipt } from '../../src/custody/receipts.ts'
import { requestDownload } from '../../src/downloads/actions.ts'
import { explainDate, readErasure } from '../../src/retention/dates.ts'
import { approveDeletion, askDeletion, readmit, restore, withdrawDeletion } from '../../src/retention/decisions.ts'
import { runPurge } from '../../src/retention/purge.ts'
import { readPurge, startPurge } from '../../src/retention/purges.ts'
import { originalKey } from '../../src/uploads/upload.ts'
import { aBundleOf } from '../case-files.ts'
import { entriesAbout, kept, someone } from '../catalogued.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { type Fault, type FaultyStore, faultyStore, refuses } from '../faulty-store.ts'
import { actionsOn, aDock, codeOf, digestOf, runOf, sendFile, take } from '../footsteps.ts'
import {
  caseWith,
  derived,
  inForce,
  type Keepers,
  keepers,
  locksOver,
  movedClock,
  purged,
  ran,
  setCase,
  statusOf,
  stored,
} from '../retained.ts'

const clock = movedClock()
const day = 86_400_000
let store: FaultyStore
let engines: TestEngines
let people: Keepers
beforeAll(async () => {
  store = await faultyStore(inject('prepared').s3.endpoint)
  const env = { PURGE_CLOCK_MINUTES: '99999999', RETENTION_LOCK_SECONDS: '1', S3_ENDPOINT: store.endpoint }
  engines = await testEngines({ clock, env: { ...env, S3_TIMEOUT_SECONDS: '2' } })
  people = await keepers(engines)
  await inForce(engines, people, { category: null, trigger: 'recorded', period: 'P1D' })
})
afterAll(async () => {
  await engines[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
})
beforeEach(() => {
  clock.ahead = 0
})
afterEach(() => store.heal())

const onlyWhere =
  (applies: (method: string, url: string) => boolean, fault: Fault): Fault =>
  (exchange) => {
    const { method = '', url = '' } = exchange.request
    return applies(method, url) ? fault(exchange) : exchange.pass()
  }
const isDelete = (method: string) => method === 'DELETE'
/** Says yes and keeps the object. */
const lies: Fault = ({ request, response }) => {
  request.resume()
  response.writeHead(204).end()
}

/** A recording whose grace is over. */
const overdue = async (): Promise<RecordingId> => {
  const id = await kept(engines, randomBytes(64), { recordedAt: new Date(clock.now().getTime() - 9 * day) })
  await derived(engines, id)
  expect(await purged(engines)).toMatchObject({ hidden: 1, failed: 0 })
  clock.ahead = 40 * day
  await locksOver(engines)
  return id
}

const itemOf = async (id: RecordingId) =>
  await engines.db.selectFrom('purgeItems').selectAll().where('recording', '=', id).executeTakeFirstOrThrow()
/** With a lock that is not over by the time at which the store refuses it. */
const lasting = () => ({ ...engines, config: { ...engines.config, RETENTION_LOCK_SECONDS: 600 } })
const alarms = async () => (await engines.metrics.erasuresFailed.get()).values[0]?.value ?? 0

test('an erasure takes our copies of the bundles that hold the footage, and leads to them end', async () => {
  const [investigator, disclosure] = [await someone(engines, ['investigator']), await someone(engines, ['disclosure'])]
  const id = await kept(engines, randomBytes(64), { recordedAt: new Date(clock.now().getTime() - 9 * day) })
  const bundle = await aBundleOf(engines, [investigator, disclosure], id, 'ready', randomBytes(50))
  // What a worker that was killed left of it.
  await engines.store.startMultipart('derived', bundleKey(bundle), 'application/zip')
  const inCases = engines.db.selectFrom('exhibits').select('case').where('recording', '=', id)
  const { case: caseId } = await inCases.executeTakeFirstOrThrow()
  await setCase(engines, caseId, 'closed')
  expect(await purged(engines)).toMatchObject({ hidden: 1, failed: 0 })
  clock.ahead = 40 * day
  await locksOver(engines)
  expect(await purged(engines)).toMatchObject({ erased: 1, failed: 0 })
  expect(await engines.store.facts('derived', bundleKey(bundle))).toBeNull()
  expect(await engines.store.multiparts('derived', bundleKey(bundle))).toEqual([])
  const ask = requestDownload(engines, disclosure, { type: 'bundle', id: bundle }, 'to send it once more')
  expect(await codeOf(ask)).toBe('erased')
  expect((await readBundle(engines, disclosure, bundle)).gone).toMatch(/^The footage of .+ was erased, and this copy/)
})

describe('an erasure that the store does not carry out', () => {
  test.for([
    ['refuses it', isDelete, refuses(403, 'AccessDenied'), /^The store refused to delete it \(AccessDenied\)\.$/],
    ['says yes and keeps it', isDelete, lies, /still has/],
    [
      'says yes and keeps the original',
      (m: string, url: string) => isDelete(m) && url.includes('versionId'),
      lies,
      /still has/,
    ],
    [
      'says yes and keeps a clip',
      (m: string, url: string) => isDelete(m) && url.includes('/clips/'),
      lies,
      /still has/,
    ],
  ] as const)('since it %s is an alarm, and is tried again by the next purge', async ([, applies, fault, why]) => {
    const id = await overdue()
    const before = await alarms()
    store.on('other', onlyWhere(applies, fault))
    expect(await purged(engines)).toMatchObject({ state: 'done', erased: 0, failed: 1 })
    expect(await statusOf(engines, id)).toBe('grace')
    expect((await itemOf(id)).said).toMatch(why)
    expect(await alarms()).toBe(before + 1)
    expect((await entriesAbout(engines, id)).at(-1)).toMatchObject({
      operation: 'erasure',
      action: 'recording.erasure-failed',
      outcome: 'failed',
      detail: { why: expect.stringMatching(why) },
    })
    // Whatever is left of it is neither served nor restored.
    expect(await codeOf(restore(engines, people.supervisor, id, 'a mistake'))).toBe('conflict')
    expect((await explainDate(engines, people.investigator, id)).grace).toMatchObject({
      restorable: false,
      said: expect.stringMatching(why),
    })
    store.heal()
    expect(await purged(engines)).toMatchObject({ erased: 1, failed: 0 })
    expect([await statusOf(engines, id), await stored(engines, id)]).toEqual(['erased', []])
    const proof = JSON.parse(
      Buffer.from((await readErasure(engines, people.investigator, id)).split('.')[1] ?? '', 'base64url').toString(),
    )
    expect(proof.objects).toBe(4)
  })

  test('as the store still protects the original leaves it in grace, to be restored or tried again', async () => {
    const id = await overdue()
    const version = (await engines.store.facts('originals', originalKey(id)))?.version ?? ''
    const until = new Date(Date.now() + 3000)
    await engines.store.lock(originalKey(id), version, until)
    await expect(engines.store.delete('originals', originalKey(id), version)).rejects.toThrow()
    expect(await purged(engines)).toMatchObject({ erased: 0, failed: 1 })
    expect(await itemOf(id)).toMatchObject({
      state: 'grace',
      said: expect.stringMatching(/^The store protects it until /),
    })
    expect(await stored(engines, id)).toHaveLength(4)
    expect(await codeOf(restore(engines, people.supervisor, id, 'it is needed'))).toBe('accepted')
  })

  test('as the store is away goes on when it is back', async () => {
    const id = await overdue()
    const purge = await startPurge(engines, null)
    const trap = store.on('other', onlyWhere(isDelete, refuses(503)))
    expect(await codeOf(runPurge(engines, purge, runOf()))).toBe('store-unavailable')
    expect(await readPurge(engines, purge)).toMatchObject({ state: 'running', erased: 0 })
    trap.lift()
    expect(await ran(engines, purge)).toMatchObject({ state: 'done', erased: 1, failed: 0 })
    expect(await statusOf(engines, id)).toBe('erased')
  })

  test('hides all the same where the store refuses to protect it, and protects it later', async () => {
    const id = await kept(engines, randomBytes(64), { recordedAt: new Date(Date.now() - 9 * day) })
    await engines.enforced.learn()
    store.on(
      'put',
      onlyWhere((_method, url) => url.includes('retention'), refuses(403, 'AccessDenied')),
    )
    expect(await purged(lasting())).toMatchObject({ hidden: 1, failed: 1 })
    expect([await statusOf(engines, id), (await itemOf(id)).state]).toEqual(['grace', 'hiding'])
    store.heal()
    expect(await purged(engines)).toMatchObject({ hidden: 0, failed: 0 })
    expect(await itemOf(id)).toMatchObject({ state: 'grace', lockedUntil: expect.any(Date) })
  })

  test('brings back what the store refuses to protect, once its case is opened again or its request is over', async () => {
    const footage = async (category: string | null) =>
      await kept(engines, randomBytes(64), { category, recordedAt: new Date(Date.now() - 9 * day) })
    const [exhibit, asked, later] = [await footage(null), await footage('unasked'), await footage(null)]
    const of = await caseWith(engines, people.investigator, [exhibit])
    await askDeletion(engines, people.drafter, asked, 'recorded in a changing room')
    await approveDeletion(engines, people.approver, asked, undefined)
    await engines.enforced.learn()
    const ofLock = (_method: string, url: string) => url.includes('retention')
    for (const wanted of ['put', 'read'] as const) store.on(wanted, onlyWhere(ofLock, refuses(403, 'AccessDenied')))
    expect(await purged(lasting())).toMatchObject({ hidden: 3, failed: 3 })
    await setCase(engines, of, 'open')
    await withdrawDeletion(engines, people.approver, asked, 'a slip of the pen')
    expect(await purged(lasting())).toMatchObject({ hidden: 0, failed: 3 })
    const statuses = async () => await Promise.all([exhibit, asked, later].map((id) => statusOf(engines, id)))
    expect(await statuses()).toEqual(['active', 'active', 'grace'])
    expect((await actionsOn(engines, asked)).at(-1)).toBe('recording.restored')
    // With its grace over it is looked at too, and not erased before the store was told to protect it.
    clock.ahead = 31 * day
    expect(await purged(lasting())).toMatchObject({ erased: 0 })
    expect((await itemOf(later)).state).toBe('hiding')
  })
})

test('where the store enforces no locks, grace is kept all the same, and ends as everywhere', async () => {
  const promises = { versions: true, lock: false, digests: true, once: true }
  const unlocked = { ...engines, enforced: { known: () => promises, learn: async () => promises } }
  const id = await kept(engines, randomBytes(64), { recordedAt: new Date(Date.now() - 9 * day) })
  await purged(unlocked)
  expect(await itemOf(id)).toMatchObject({ state: 'grace', lockedUntil: null })
  clock.ahead = 29 * day
  await purged(unlocked)
  expect(await statusOf(engines, id)).toBe('grace')
  clock.ahead = 31 * day
  await purged(unlocked)
  expect(await statusOf(engines, id)).toBe('erased')
})

describe('a file that was erased', () => {
  const camera = 'CAM-ERASED' as CameraSerial
  const announced = async (bytes: Buffer, dock: Awaited<ReturnType<typeof aDock>>, declared = digestOf(bytes)) => {
    const file = {
      name: 'a.mp4',
      size: bytes.length,
      sha256: declared,
      recordedAt: new Date(),
      number: null,
      sequence: null,
    }
    const [state] = await takeManifest(engines, dock, { camera, files: [file] })
    return state?.state
  }

  test('does not come back by any dock, until a supervisor re-admits it, and then as a recording of its own', async () => {
    const dock = await aDock(engines)
    const bytes = randomBytes(200_000)
    const first = await sendFile(engines, dock, bytes, { camera })
    await take(engines, first.recording)
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    expect(await announced(bytes, dock)).toBe('held')
    clock.ahead = 40 * day
    await locksOver(engines)
    await purged(engines)
    expect(await statusOf(engines, first.recording)).toBe('erased')
    expect(await announced(bytes, dock)).toBe('erased')
    expect(await codeOf(sendFile(engines, dock, bytes, { camera }))).toBe('erased')
    const undeclared = await sendFile(engines, dock, bytes, { camera, declared: null })
    expect(await take(engines, undeclared.recording)).toMatchObject({ said: 'erased' })
    expect(await codeOf(uploadReceipt(engines, { kind: 'dock', dock }, undeclared.upload))).toBe('erased')
    expect(await clearRecording(engines, undeclared.recording)).toBe(true)
    expect(await stored(engines, undeclared.recording)).toEqual([])
    expect(await actionsOn(engines, first.recording)).toContain('recording.erased-file-refused')
    const byDock = { kind: 'dock', id: dock.id } as const
    expect(await listShortfall(engines, byDock, camera, undefined, 10)).toEqual([])

    expect(await codeOf(readmit(engines, people.supervisor, first.recording, 'A court asks for it'))).toBe('accepted')
    expect(await codeOf(readmit(engines, people.supervisor, first.recording, 'A court asks for it'))).toBe('conflict')
    expect(await announced(bytes, dock)).toBe('owed')
    expect(await listShortfall(engines, byDock, camera, undefined, 10)).toHaveLength(1)
    const second = await sendFile(engines, dock, bytes, { camera })
    await take(engines, second.recording)
    expect(await announced(bytes, dock)).toBe('held')
    expect([await statusOf(engines, first.recording), await statusOf(engines, second.recording)]).toEqual([
      'erased',
      'active',
    ])
    expect(await readErasure(engines, people.investigator, first.recording)).toMatch(/^ey/)

    // Its own time comes too.
    expect(await purged(engines)).toMatchObject({ hidden: 1 })
    clock.ahead = 80 * day
    await locksOver(engines)
    await purged(engines)
    expect(await announced(bytes, dock)).toBe('erased')
    expect(await codeOf(readmit(engines, people.supervisor, second.recording, 'once more'))).toBe('accepted')
    expect(await announced(bytes, dock)).toBe('owed')
  })

  test('does not come back under the digest that its camera declares wrongly either', async () => {
    const dock = await aDock(engines)
    const [bytes, declared] = [randomBytes(200_000), digestOf(randomBytes(1))]
    const send = async () => await sendFile(engines, dock, bytes, { camera, declared })
    const accepted = async () => {
      const sent = await send()
      await take(engines, sent.recording)
      expect(await announced(bytes, dock, declared)).toBe('owed')
      await acceptRecording(engines, people.supervisor, sent.recording, 'The camera computes digests wrongly')
      await take(engines, sent.recording)
      expect(await announced(bytes, dock, declared)).toBe('held')
      return sent
    }
    const first = await accepted()
    // A client that asks nobody sends it once more, and has begun so before the erasure.
    const second = await send()
    expect(await take(engines, second.recording)).toMatchObject({ said: 'duplicate' })
    const late = await send()
    clock.ahead += 31 * day
    await purged(engines)
    clock.ahead += 31 * day
    await locksOver(engines)
    await purged(engines)
    expect(await statusOf(engines, first.recording)).toBe('erased')

    expect(await announced(bytes, dock, declared)).toBe('erased')
    expect(await codeOf(send())).toBe('erased')
    expect(await take(engines, late.recording)).toMatchObject({ said: 'erased' })
    expect(await clearRecording(engines, late.recording)).toBe(true)
    expect(await stored(engines, late.recording)).toEqual([])
    expect(await actionsOn(engines, first.recording)).toContain('recording.erased-file-refused')

    expect(await codeOf(readmit(engines, people.supervisor, first.recording, 'A court asks for it'))).toBe('accepted')
    expect(await announced(bytes, dock, declared)).toBe('owed')
    const again = await accepted()
    expect(await statusOf(engines, again.recording)).toBe('active')
  })

  test('is re-admitted only where it was erased', async () => {
    const id = await kept(engines, randomBytes(64))
    expect(await codeOf(readmit(engines, people.supervisor, id, 'by mistake'))).toBe('conflict')
  })
})
