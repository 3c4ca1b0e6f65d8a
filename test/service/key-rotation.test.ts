import { randomBytes } from 'node:crypto'
import { copyFile, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { decodeProtectedHeader } from 'jose'
import { Kysely, PostgresDialect } from 'kysely'
import { Client, Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { up } from '../../migrations/0019-one-receipt-key.ts'
import { uploadReceipt } from '../../src/custody/receipts.ts'
import { verifyReceipt } from '../../src/custody/verify-receipt.ts'
import { inTransaction } from '../../src/engines/postgres.ts'
import { makeKeyFile, readKeyFile } from '../../src/engines/receipt-key.ts'
import { nextFileOf } from '../../src/engines/signing-key.ts'
import { NotRotated, type Rotating, rotateReceiptKey, type Step } from '../../src/ledger/keys/key-rotation.ts'
import { publishedKeys, registerReceiptKey, signingKey } from '../../src/ledger/keys/receipt-keys.ts'
import type { Uploader } from '../../src/uploads/actions.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { actionsOn, aDock, sendFile, take } from '../footsteps.ts'
import { movedClock } from '../retained.ts'
import { asRotating, cutAfter, isFileThere, keyFileState, keyInForce } from '../rotated.ts'
import { eventually } from '../system.ts'

const clock = movedClock()
let engines: TestEngines
let owner: Rotating & AsyncDisposable
let dock: Uploader
let file: string
beforeAll(async () => {
  engines = await testEngines({ clock })
  owner = asRotating(engines)
  file = engines.config.RECEIPT_KEY_FILE
  await registerReceiptKey(engines)
  dock = await aDock(engines)
})
afterAll(async () => {
  await owner[Symbol.asyncDispose]()
  await engines[Symbol.asyncDispose]()
})
/** The file holds the key in force, which is not the one that these engines started with, and nothing waits beside it. */
beforeEach(async () => {
  clock.ahead = 0
  for (const path of [file, nextFileOf(file)]) await rm(path, { force: true })
  await rotateReceiptKey(owner, { lost: true })
})

/** The receipt of a file that is taken into custody now. */
const receipt = async (): Promise<string> => {
  const { upload, recording } = await sendFile(engines, dock, randomBytes(500))
  await take(engines, recording)
  const answer = await uploadReceipt(engines, { kind: 'dock', dock }, upload)
  if (!('jws' in answer)) throw new Error('there is no receipt')
  return answer.jws
}
const signerOf = (jws: string) => decodeProtectedHeader(jws).kid
const verified = async (jws: string) => await verifyReceipt(jws, await publishedKeys(engines.db))
/** Who signs at this moment, with a private key that this machine really has. */
const signer = async (by = engines): Promise<string> =>
  await inTransaction(by.db, async (tx) => {
    const { kid, privateKey } = await signingKey(tx, by)
    expect(privateKey.type).toBe('private')
    return kid
  })
const count = async () => (await publishedKeys(engines.db)).length

test('a rotation retires the key in force, puts a new one in force and in its place, and is an entry', async () => {
  const before = await receipt()
  const { kid: old } = await keyInForce(engines)
  const rotated = await rotateReceiptKey(owner)
  expect(rotated).toMatchObject({ file, retired: old, ended: false })
  expect(rotated.kid).not.toBe(old)
  const keys = (await publishedKeys(engines.db)).slice(-2)
  expect(keys.map(({ kid, to }) => [kid, to !== undefined])).toEqual([
    [old, true],
    [rotated.kid, false],
  ])
  expect(await keyFileState(file)).toEqual({ x: keys[1]?.x, mode: 0o600, waiting: false })
  expect(await actionsOn(engines, rotated.kid)).toEqual(['key.rotated'])
  const entry = await engines.db
    .selectFrom('entryBodies')
    .select('parts')
    .where('subjectId', '=', rotated.kid)
    .executeTakeFirstOrThrow()
  expect(entry.parts).toMatchObject({
    actor: { value: { kind: 'operator' } },
    detail: { value: { use: 'receipts', retired: old, to: keys[0]?.to } },
  })
  await expect(verified(before)).resolves.toBeDefined()
})

test('a process that runs signs with the new key, without being started again', async () => {
  const kids: unknown[] = [await signer()]
  for (let n = 0; n < 2; n++) {
    const { kid } = await rotateReceiptKey(owner)
    const jws = await receipt()
    expect(signerOf(jws)).toBe(kid)
    await expect(verified(jws)).resolves.toBeDefined()
    kids.push(kid)
  }
  expect(new Set(kids).size).toBe(3)
})

test('a rotation waits for whoever signs at that moment, and whoever comes after it signs with the new key', async () => {
  const [holds, go] = [Promise.withResolvers<string>(), Promise.withResolvers<void>()]
  const signing = inTransaction(engines.db, async (tx) => {
    holds.resolve((await signingKey(tx, engines)).kid)
    await go.promise
  })
  const old = await holds.promise
  const rotating = rotateReceiptKey(owner)
  await eventually('that the rotation waits', async () => {
    const { rows } = await ask(`select from pg_locks where locktype = 'advisory' and not granted`)
    return rows.length > 0 ? true : undefined
  })
  const after = signer()
  expect((await keyInForce(engines)).kid).toBe(old)
  go.resolve()
  await signing
  const { kid } = await rotating
  expect(await after).toBe(kid)
})

test('what a clock that is ahead has signed is not later than the end of its key', async () => {
  clock.ahead = 3_600_000
  const jws = await receipt()
  clock.ahead = 0
  await rotateReceiptKey(owner)
  const claims = await verified(jws)
  const retired = (await publishedKeys(engines.db)).at(-2)
  expect(Date.parse(retired?.to ?? '')).toBeGreaterThanOrEqual(claims.iat * 1000)
})

test.for<Step>(['key-made', 'written', 'in-force', 'in-place'])(
  'a rotation that is cut off after it was %s is ended by the next one, and in between receipts are signed',
  async (step) => {
    const [old, before] = [await readKeyFile(file), await count()]
    await expect(rotateReceiptKey(owner, cutAfter(step))).rejects.toThrow('cut off')
    expect(await signer()).toBe((await keyInForce(engines)).kid)
    const again = await rotateReceiptKey(owner)
    // After the last step nothing was left to end: that is another rotation.
    expect(await count()).toBe(before + (step === 'in-place' ? 2 : 1))
    expect(again.ended).toBe(step === 'in-force')
    expect(await keyFileState(file)).toEqual({ x: (await keyInForce(engines)).x, mode: 0o600, waiting: false })
    expect((await readKeyFile(file)).kid).not.toBe(old.kid)
    expect(await signer()).toBe(again.kid)
  },
)

test('the old private key is destroyed, or kept under its own name where that is asked for', async () => {
  const first = await readKeyFile(file)
  await rotateReceiptKey(owner)
  expect(await isFileThere(`${file}.${first.kid}`)).toBe(false)
  const second = await readKeyFile(file)
  const { kept } = await rotateReceiptKey(owner, { keepOld: true })
  expect(kept).toBe(`${file}.${second.kid}`)
  expect((await readKeyFile(kept ?? '')).kid).toBe(second.kid)
})

test('a key that an operator laid beside the old one is the next, so that several machines can have it first', async () => {
  const before = await count()
  const { kid } = await makeKeyFile(nextFileOf(file))
  const elsewhere = `${file}-of-another-machine`
  await copyFile(file, elsewhere)
  await copyFile(nextFileOf(file), nextFileOf(elsewhere))
  expect(await rotateReceiptKey(owner)).toMatchObject({ kid, ended: false })
  const other = { ...engines, config: { ...engines.config, RECEIPT_KEY_FILE: elsewhere } }
  expect(await signer(other)).toBe(kid)
  expect(await rotateReceiptKey({ ...owner, config: other.config })).toMatchObject({ kid, ended: true })
  expect(await keyFileState(elsewhere)).toMatchObject({ x: (await keyInForce(engines)).x, waiting: false })
  expect(await count()).toBe(before + 1)
})

test('a machine without the key in force rotates nothing, unless the key is lost', async () => {
  const old = await keyInForce(engines)
  await rename(file, `${file}.away`)
  await expect(rotateReceiptKey(owner)).rejects.toThrow(/does not hold the key that is in force.*--lost/)
  expect(await isFileThere(nextFileOf(file))).toBe(false)
  const { kid, retired } = await rotateReceiptKey(owner, { lost: true })
  expect(retired).toBe(old.kid)
  expect(await signer()).toBe(kid)
})

test('a key that this database does not know is never destroyed: where the one in force is lost it takes its place', async () => {
  await rm(file)
  const { kid, publicJwk } = await makeKeyFile(file)
  await expect(rotateReceiptKey(owner)).rejects.toThrow(NotRotated)
  expect(await keyFileState(file)).toMatchObject({ x: publicJwk.x, waiting: false })
  expect(await rotateReceiptKey(owner, { lost: true })).toMatchObject({ kid, ended: false })
  expect(await keyFileState(file)).toMatchObject({ x: publicJwk.x, waiting: false })
  expect(await signer()).toBe(kid)
})

test('a retired key never comes back, whichever file holds it', async () => {
  await copyFile(file, `${file}.old`)
  await rotateReceiptKey(owner)
  const before = await count()
  await rename(`${file}.old`, nextFileOf(file))
  await expect(rotateReceiptKey(owner)).rejects.toThrow(/holds a key that is retired/)
  expect(await count()).toBe(before)
})

test('a file that holds no key is left as it is', async () => {
  const before = await count()
  await writeFile(nextFileOf(file), 'half a k')
  await expect(rotateReceiptKey(owner)).rejects.toThrow(/cannot be read as a private Ed25519 JWK/)
  expect(await readFile(nextFileOf(file), 'utf8')).toBe('half a k')
  expect(await count()).toBe(before)
})

test('of two rotations at one moment one is refused', async () => {
  const before = await count()
  const results = await Promise.allSettled([rotateReceiptKey(owner), rotateReceiptKey(owner)])
  expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(await count()).toBe(before + 1)
  expect(await signer()).toBe((await keyInForce(engines)).kid)
})

test('nothing is rotated before a first key was published, nor where both keys are in one file', async () => {
  await using fresh = await testEngines()
  await using freshOwner = asRotating(fresh)
  await expect(rotateReceiptKey(freshOwner)).rejects.toThrow(/No key was ever published/)
  const config = { ...owner.config, LOG_KEY_FILE: owner.config.RECEIPT_KEY_FILE }
  await expect(rotateReceiptKey({ ...owner, config })).rejects.toThrow(/one file/)
})

test('a process with a key that is not in force starts, says so, publishes nothing and signs nothing', async () => {
  const before = await count()
  const stranger = await makeKeyFile(`${file}.stranger`)
  const said: string[] = []
  const config = { ...engines.config, RECEIPT_KEY_FILE: `${file}.stranger` }
  const other = { ...engines, config, receiptKey: stranger }
  const log = Object.assign(Object.create(engines.log), { error: (words: string) => said.push(words) })
  await registerReceiptKey({ ...other, log })
  expect(said).toEqual([expect.stringMatching(/No receipt can be signed here.*does not hold the key that is in force/)])
  expect(await count()).toBe(before)
  const { recording } = await sendFile(other, dock, randomBytes(100))
  await expect(take(other, recording)).rejects.toThrow(/Give this machine the new file/)
  expect(await take(engines, recording)).toMatchObject({ outcome: 'done' })
})

test('of many processes that start at once on a new database one publishes its key', async () => {
  await using fresh = await testEngines()
  const keys = await Promise.all(
    Array.from({ length: 6 }, async (_, n) => await makeKeyFile(`${fresh.config.RECEIPT_KEY_FILE}.${n}`)),
  )
  await Promise.all(keys.map(async (receiptKey) => await registerReceiptKey({ ...fresh, receiptKey })))
  expect(await publishedKeys(fresh.db)).toHaveLength(1)
})

const ask = async (...statements: string[]) => {
  const client = new Client({ connectionString: engines.ownerUrl })
  await client.connect()
  try {
    let answer = await client.query('select')
    for (const statement of statements) answer = await client.query(statement)
    return answer
  } finally {
    await client.end()
  }
}

test('neither the application nor the owner of the database can bring a key back, change it or delete it', async () => {
  await rotateReceiptKey(owner)
  for (const statement of [
    'update receipt_keys set to_at = null',
    "update receipt_keys set to_at = now() + interval '1 day' where to_at is not null",
    "update receipt_keys set kid = 'other', to_at = now() where to_at is null",
    'delete from receipt_keys',
    'truncate receipt_keys',
  ])
    await expect(ask(statement), statement).rejects.toThrow(/refused/)
  await expect(engines.db.updateTable('receiptKeys').set({ toAt: new Date() }).execute()).rejects.toThrow(
    /permission denied/,
  )
  const second = { kid: 'second', jwk: '{}', fromAt: new Date() }
  await expect(engines.db.insertInto('receiptKeys').values(second).execute()).rejects.toThrow(/receipt_keys_current/)
})

test('of a database in which several keys were in force all but the newest are retired, each with an entry', async () => {
  const asBefore = [
    'drop index receipts_signed, erasures_signed, receipt_keys_current',
    'drop trigger guarded on receipt_keys',
    'drop trigger no_truncate on receipt_keys',
    'drop trigger append_only on leaves',
    'create trigger append_only before update or delete on leaves for each row execute function refuse_change()',
    'drop function guard_receipt_key, guard_leaf',
    'grant update (to_at) on receipt_keys to exhibit_app',
  ]
  const { kid } = await keyInForce(engines)
  await ask(...asBefore)
  const { iat } = await verified(await receipt())
  await ask(
    `insert into receipt_keys values ('older', '{}', now() - interval '1 day'), ('newest', '{}', now() + interval '1 day')`,
  )
  const pool = new Pool({ connectionString: engines.ownerUrl })
  const database = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  await database.transaction().execute(up)
  await database.destroy()
  const open = await engines.db.selectFrom('receiptKeys').select('kid').where('toAt', 'is', null).execute()
  expect(open).toEqual([{ kid: 'newest' }])
  const { toAt } = await engines.db
    .selectFrom('receiptKeys')
    .select('toAt')
    .where('kid', '=', kid)
    .executeTakeFirstOrThrow()
  expect(toAt?.getTime()).toBeGreaterThanOrEqual(iat * 1000)
  expect(await actionsOn(engines, 'older')).toEqual(['key.retired'])
  expect(await actionsOn(engines, kid)).toEqual(['key.rotated', 'key.retired'])
})
