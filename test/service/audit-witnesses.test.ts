import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkpointText } from '../../src/base/checkpoint.ts'
import { sha256 } from '../../src/base/digest.ts'
import { signNote } from '../../src/base/note.ts'
import { readKeyFile } from '../../src/engines/receipt-key.ts'
import type { ConfiguredWitness } from '../../src/engines/witness-list.ts'
import { currentLog, logKeyOf } from '../../src/ledger/log/log.ts'
import { auditOf, foundIn } from '../audited.ts'
import { found } from '../audited-log.ts'
import { type Answering, hostileWitness, lineBy, says, witnessKey } from '../hostile-witness.ts'
import { backedUp, letWitness, makeRestored, publishedSince, putBack, type Restored } from '../restored.ts'
import { makeNoteKey } from '../small-log.ts'

/** Database and bucket, both cut down to the time of a backup: each fits the other. */
let cut: Restored
let witnessed: Awaited<ReturnType<typeof letWitness>>
beforeAll(async () => {
  cut = await makeRestored()
  witnessed = await letWitness(cut)
  await putBack(cut.engines.store, cut.bucket)
}, 120_000)
afterAll(async () => {
  await witnessed[Symbol.asyncDispose]()
  await cut[Symbol.asyncDispose]()
})

const auditWith = async (witnesses: ConfiguredWitness[]) => {
  const { db, store } = cut.engines
  return await auditOf({ db, store, config: { LEDGER_WITNESSES: witnesses } })
}

const key = witnessKey('witness.example/hostile')
/** The audit, with something else than a witness under the address of one. */
const auditAgainst = async (answer: Answering) => {
  await using witness = await hostileWitness(answer, key)
  return await auditWith([{ key: key.key, vkey: key.vkey, url: witness.url }])
}

const theLog = async () => {
  const log = await currentLog(cut.engines.db)
  if (log === undefined) throw new Error('there is no log')
  return log
}

test('a witness that has seen more tells of leaves that went from database and bucket alike', async () => {
  expect(await auditWith([])).toMatchObject({ ok: true, unasked: [] })
  const report = await auditWith(witnessed.witnesses)
  const size = backedUp + publishedSince
  expect(foundIn(report)).toEqual([found('witnessed-ahead', { size, object: 'witness.example/w1' })])
  expect(report.unasked).toEqual([])
})

test('another history that the log signed, and a witness shows, is found in database and bucket', async () => {
  const log = await theLog()
  const { privateKey } = await readKeyFile(cut.engines.config.LOG_KEY_FILE)
  const text = checkpointText({ origin: log.origin, size: 200, root: sha256('another') })
  const report = await auditAgainst(says(200, signNote(text, logKeyOf(log), privateKey)))
  expect(foundIn(report)).toEqual([found('witnessed-root', { size: 200, object: key.key.name }, 2)])
})

test('a history that was signed anew with another key is found by the one that a witness cosigned', async () => {
  const { origin } = await theLog()
  const other = makeNoteKey(origin)
  const text = checkpointText({ origin, size: 200, root: sha256('another') })
  const note = `${signNote(text, other.key, other.privateKey)}${lineBy(key, text)}`
  expect(foundIn(await auditAgainst(says(200, note)))).toEqual([found('witnessed-unsigned', { object: key.key.name })])
})

test.each<[string, Answering]>([
  ['answers with a fault of its own', says(502, 'Bad gateway')],
  ['answers nonsense', says(200, 'It works!')],
  ['sends elsewhere', says(307, '', { location: 'http://127.0.0.1:9/checkpoint' })],
  ['breaks off', ({ path: _ }, response) => void response.destroy()],
])('a witness that %s is named, and is no finding', async (_what, answer) => {
  expect(await auditAgainst(answer)).toMatchObject({ ok: true, findings: [], unasked: [key.key.name] })
})

test('a witness that has seen nothing of the log says so, and is not named', async () => {
  expect(await auditAgainst(says(404, ''))).toMatchObject({ ok: true, findings: [], unasked: [] })
})
