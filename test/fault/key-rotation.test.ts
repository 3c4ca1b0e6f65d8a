import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { verifyReceipt } from '../../src/custody/verify-receipt.ts'
import { rotateReceiptKey } from '../../src/ledger/keys/key-rotation.ts'
import { publishedKeys } from '../../src/ledger/keys/receipt-keys.ts'
import { allLogs } from '../../src/ledger/log/log.ts'
import { isSequencingOwed } from '../../src/ledger/log/sequencer.ts'
import { runCommand } from '../command-line.ts'
import type { DockDriver, Footage } from '../dock-driver.ts'
import { type TestInstallation, testInstallation } from '../installation.ts'
import { proveLog } from '../logged.ts'
import { someOf } from '../long.ts'
import { asRotating, keyFileState, keyInForce } from '../rotated.ts'
import { eventually } from '../system.ts'

let house: TestInstallation
let dock: DockDriver
beforeAll(async () => {
  house = await testInstallation(inject('prepared'))
  await house.startApi()
  await house.startWorker()
  dock = await house.enrol()
})
afterAll(async () => {
  await house[Symbol.asyncDispose]()
})

const environment = () => ({ ...house.engines.environment, DATABASE_OWNER_URL: house.engines.ownerUrl })
const rotate = async (use: 'receipts' | 'log') => {
  const { code, out, err } = await runCommand(['keys', 'rotate', '--use', use, '--yes', '--json'], environment())
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return JSON.parse(out)
}

/** A file that its dock has brought, and whose receipt may still be owed. */
const sent = async (): Promise<Footage> => {
  const footage = await dock.create(randomBytes(2000))
  await dock.finish(footage)
  return footage
}

const signers = async (): Promise<Set<unknown>> => {
  const { db } = house.engines
  const keys = await publishedKeys(db)
  const receipts = await db.selectFrom('receipts').select('jws').execute()
  for (const { jws } of receipts) {
    const { iat } = await verifyReceipt(jws, keys)
    const key = keys.find(({ kid }) => kid === decodeProtectedHeader(jws).kid)
    if (key?.to !== undefined) expect(iat * 1000).toBeLessThanOrEqual(Date.parse(key.to))
  }
  return new Set(receipts.map(({ jws }) => decodeProtectedHeader(jws).kid))
}

test('while a worker takes recordings into custody the keys are rotated five times, and every receipt is by a key that was in force', async () => {
  const { db } = house.engines
  await using owner = asRotating(house.engines)
  const footage: Footage[] = []
  const signed = async () => (await db.selectFrom('receipts').select('upload').execute()).length
  let sending = true
  // A dock that never waits would bring far more than is taken into custody meanwhile.
  const bringing = (async () => {
    while (sending) {
      footage.push(await sent())
      await eventually('some receipts', async () => (footage.length - (await signed()) < 4 ? true : undefined), 60)
    }
  })()
  for (let n = 0; n < 5; n++) {
    const before = await signed()
    await eventually('more receipts', async () => ((await signed()) > before + 1 ? true : undefined), 60)
    await rotateReceiptKey(owner)
  }
  sending = false
  await bringing
  for (const each of footage) await dock.receipt(each)
  expect((await publishedKeys(db)).length).toBe(6)
  expect((await signers()).size).toBeGreaterThanOrEqual(5)
  const failed = await db.selectFrom('jobs').select('said').where('state', '=', 'failed').execute()
  expect(failed).toEqual([])
})

const killed = async (use: string, step: string) => {
  const child = spawn(process.execPath, [new URL('./rotation-process.ts', import.meta.url).pathname, use, step], {
    env: { PATH: process.env.PATH, ...environment() },
    stdio: 'ignore',
  })
  expect((await once(child, 'exit'))[1]).toBe('SIGKILL')
}

test.for(someOf(1, ['written', 'key-made', 'in-force']))(
  'kill -9 of a rotation of the receipts’ key after it was %s leaves receipts signed, and the command ends it',
  async (step) => {
    const { config, db } = house.engines
    const before = (await publishedKeys(db)).length
    await killed('receipts', step)
    await dock.receipt(await sent())
    expect((await rotate('receipts')).ended).toBe(step === 'in-force')
    expect(await publishedKeys(db)).toHaveLength(before + 1)
    const { x } = await keyInForce(house.engines)
    expect(await keyFileState(config.RECEIPT_KEY_FILE)).toEqual({ x, mode: 0o600, waiting: false })
    await dock.receipt(await sent())
    await signers()
  },
)

test.for(someOf(1, ['written', 'key-made', 'in-force']))(
  'kill -9 of a rotation of the log’s key after it was %s leaves a log that goes on, and the command ends it',
  async (step) => {
    const { config, db } = house.engines
    const before = (await allLogs(db)).length
    await killed('log', step)
    await dock.receipt(await sent())
    expect((await rotate('log')).ended).toBe(step === 'in-force')
    expect(await allLogs(db)).toHaveLength(before + 1)
    expect((await keyFileState(config.LOG_KEY_FILE)).waiting).toBe(false)
    await dock.receipt(await sent())
    await eventually('that nothing waits', async () => ((await isSequencingOwed(house.engines)) ? undefined : true))
    await proveLog(house.engines)
  },
)
