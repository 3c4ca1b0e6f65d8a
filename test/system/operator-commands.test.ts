import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DeleteBucketCommand } from '@aws-sdk/client-s3'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readKeyFile } from '../../src/engines/receipt-key.ts'
import { makeS3Client } from '../../src/engines/store.ts'
import { runCommand } from '../command-line.ts'
import { type TestEngines, testEngines } from '../engines.ts'
import { startIssuer, type TestIssuer } from '../tokens.ts'

let engines: TestEngines
let issuer: TestIssuer
let folder: string
let environment: Record<string, string>
beforeAll(async () => {
  issuer = await startIssuer()
  engines = await testEngines({ env: { OIDC_ISSUER: issuer.url, PUBLIC_URL: 'http://127.0.0.1:9' } })
  environment = { ...engines.environment, DATABASE_OWNER_URL: engines.ownerUrl }
  folder = await mkdtemp(join(tmpdir(), 'exhibit-operator-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await engines[Symbol.asyncDispose]()
  await issuer[Symbol.asyncDispose]()
})

const asOwner = async (statement: string): Promise<void> => {
  const client = new Client({ connectionString: engines.ownerUrl })
  await client.connect()
  await client.query(statement)
  await client.end()
}

type Finding = { name: string; state: string; says: string }
const doctor = async (over: Record<string, string> = {}) => {
  const { code, out } = await runCommand(['doctor', '--json'], { ...environment, ...over })
  const report: { ok: boolean; findings: Finding[] } = JSON.parse(out)
  const found = (name: string) => report.findings.find((finding) => finding.name === name)
  return { code, ok: report.ok, found }
}

test('the routes command prints one table of who may call what, without any server', async () => {
  const { code, out } = await runCommand(['routes'])
  expect(code).toBe(0)
  expect(out).toMatch(/^DELETE HEAD PATCH +\/api\/v1\/uploads\/:id +upload\.write +docks$/m)
  expect(out).toMatch(/^GET HEAD +\/readyz +health +anyone$/m)
  expect(out).toMatch(/^POST +\/api\/v1\/recordings\/:id\/downloads +recording\.download +investigator, supervisor$/m)
})

test('migrating again does nothing; a database that a newer release migrated is refused in words', async () => {
  expect(await runCommand(['migrate', '--json'], environment)).toMatchObject({ code: 0, out: '{"ran":[]}\n' })
  await asOwner(`insert into kysely_migration (name, timestamp) values ('9999-later', 'now')`)
  const { code, err } = await runCommand(['migrate'], environment)
  await asOwner(`delete from kysely_migration where name = '9999-later'`)
  expect(code).toBe(1)
  expect(err).toMatch(/^The database was migrated by a newer Exhibit[^\n]*\n$/)
})

test('migrating a database that does not answer, or refuses the password, says which it is', async () => {
  const gone = await runCommand(['migrate'], { DATABASE_OWNER_URL: 'postgres://a:b@127.0.0.1:9/exhibit' })
  expect(gone).toMatchObject({ code: 1, err: 'The database at DATABASE_OWNER_URL does not answer.\n' })
  const url = Object.assign(new URL(engines.ownerUrl), { password: 'wrong' }).href
  const refused = await runCommand(['migrate', '--wait', '20'], { DATABASE_OWNER_URL: url })
  expect(refused.code).toBe(1)
  expect(refused.err).toMatch(/refuses the user or password/)
})

test('the buckets command makes what is missing, once', async () => {
  const Bucket = `exhibit-derived-${randomBytes(4).toString('hex')}`
  const env = { ...environment, S3_DERIVED: Bucket }
  expect(JSON.parse((await runCommand(['buckets', '--json'], env)).out)).toEqual({ made: [Bucket] })
  expect((await runCommand(['buckets'], env)).out).toBe('All four buckets were there.\n')
  const client = makeS3Client(engines.config)
  await client.send(new DeleteBucketCommand({ Bucket }))
  client.destroy()
})

test('a key for receipts is made for its owner only, and never replaced', async () => {
  const file = join(folder, 'key.json')
  expect((await runCommand(['keys', 'make', file])).code).toBe(0)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const { kid } = await readKeyFile(file)
  expect((await runCommand(['keys', 'make', file])).code).toBe(1)
  const kept = await runCommand(['keys', 'make', file, '--if-missing', '--json'])
  expect(JSON.parse(kept.out)).toMatchObject({ kid })
})

test('the doctor finds a whole installation well, and says in words what the store enforces', async () => {
  const { code, ok, found } = await doctor()
  expect({ code, ok }).toEqual({ code: 0, ok: true })
  for (const name of ['database', 'schema', 'issuer', 'clock']) expect(found(name)).toMatchObject({ state: 'well' })
  expect(found('store')?.says).toContain('versions are kept')
  expect(found('ffmpeg')?.says).toMatch(/^version .*; ffmpeg /)
  expect(found('receipt key')?.says).toContain('not published yet')
  expect(found('api')).toMatchObject({ state: 'weak' })
})

test('the doctor ends with 1 when something needed is broken, names it, and tells no secret', async () => {
  const without = { REDIS_URL: 'redis://:a-secret@127.0.0.1:9', OIDC_ISSUER: 'http://127.0.0.1:9/none' }
  const { code, ok, found } = await doctor({ ...without, S3_ORIGINALS: 'exhibit-there-is-none' })
  expect({ code, ok }).toEqual({ code: 1, ok: false })
  expect(found('redis')).toMatchObject({ state: 'broken' })
  expect(found('issuer')).toMatchObject({ state: 'broken' })
  expect(found('store')?.says).toContain('run `exhibit buckets`')
  expect(found('database')).toMatchObject({ state: 'well' })
  const { out } = await runCommand(['doctor'], { ...environment, ...without })
  expect(out).not.toContain('a-secret')
})

test('the doctor sees a key file that others may read, and a database that was not migrated', async () => {
  const file = environment.RECEIPT_KEY_FILE ?? ''
  await chmod(file, 0o644)
  const open = await doctor()
  await chmod(file, 0o600)
  expect(open.found('receipt key')?.says).toContain('chmod 600')
  await asOwner(`update schema_needs set oldest_code = 999 where migration = '0001-ledger'`)
  const newer = await doctor()
  await asOwner(`update schema_needs set oldest_code = 1 where migration = '0001-ledger'`)
  expect(newer.code).toBe(1)
  expect(newer.found('schema')?.says).toContain('migrated by newer code')
})
