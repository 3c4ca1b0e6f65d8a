import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { Redis } from 'ioredis'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startGateway } from '../../src/engines/embedded/gateway.ts'
import { startIdentityProvider } from '../../src/engines/embedded/identity-provider.ts'
import { issueToken } from '../../src/engines/embedded/issue-token.ts'
import { freePort } from '../../src/engines/embedded/ports.ts'
import { startPostgres } from '../../src/engines/embedded/postgres.ts'
import { needProgram } from '../../src/engines/embedded/programs.ts'
import { startRedis } from '../../src/engines/embedded/redis.ts'
import { SetupError } from '../../src/engines/embedded/setup-error.ts'
import { type StartedEngines, startEngines } from '../../src/engines/embedded/stack.ts'
import { longTest } from '../long.ts'

const limit = { timeout: 60_000 }
const silent = () => {}
const place = mkdtempSync(join(tmpdir(), 'embedded-test-'))
const dataDir = join(place, 'data')
const start = { dataDir, log: silent, endWithParent: true }
let engines: StartedEngines

const commandLine = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

const kill = async (pid: number): Promise<void> => {
  process.kill(pid, 'SIGKILL')
  await expect.poll(() => commandLine(pid)).toBe('')
}

/** All processes whose command line names the folder. */
const processesOf = (folder: string): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && commandLine(pid).includes(folder))

/** The inodes of the sockets that a process of ours holds. */
const socketsOf = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/fd`).flatMap((descriptor) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.slice(1) ?? []
    } catch {
      return []
    }
  })

const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(SetupError)
  const message = error instanceof SetupError ? error.message : ''
  expect(message).toMatch(/^[A-Z][^\n]+[.)]$/)
  return message
}

const query = async (url: string, statement: string): Promise<unknown[]> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}

const redis = async <T>(work: (client: Redis) => Promise<T>): Promise<T> => {
  const client = new Redis(engines.redis.url, { lazyConnect: true })
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

const store = () => {
  const { endpoint, region, accessKey, secretKey } = engines.gateway
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId: accessKey, secretAccessKey: secretKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
}

const fetched = async (): Promise<string | undefined> => {
  const { Body } = await store().send(new GetObjectCommand({ Bucket: 'kept', Key: 'note' }))
  return await Body?.transformToString()
}

/** A supervisor in a process of its own, which says `ready` and then waits to be killed. */
const supervisor = (
  folder: string,
  command: readonly string[] = [],
  options: { diskGiB?: number; endWithParent?: boolean } = { diskGiB: 4 },
): ChildProcess => {
  const wish = { dataDir: folder, ...options }
  const source = `
    import { startEngines } from ${JSON.stringify(join(import.meta.dirname, '../../src/engines/embedded/stack.ts'))}
    await startEngines({ ...${JSON.stringify(wish)}, log: () => {} })
    console.log('ready')
    setInterval(() => {}, 60_000)`
  const [program = process.execPath, ...args] = [...command, process.execPath, '--input-type=module', '-e', source]
  return spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' })
}

const firstWords = async (child: ChildProcess): Promise<string> => {
  const said = await Promise.race([
    ...[child.stdout, child.stderr].map(async (stream) =>
      stream === null ? '' : String((await once(stream, 'data'))[0]),
    ),
    once(child, 'exit').then(([code]) => `ended with ${code}`),
  ])
  return said.trim()
}

beforeAll(async () => {
  engines = await startEngines({ ...start, diskGiB: 10 })
}, 60_000)

afterAll(async () => {
  await engines.stop()
  rmSync(place, { recursive: true, force: true })
}, 60_000)

describe('the embedded engines', limit, () => {
  test('serve real requests', async () => {
    const { postgres } = engines
    await postgres.createDatabase('exhibit')
    await query(postgres.ownerUrl('exhibit'), 'create table note (body text); grant select on note to exhibit_app')
    await query(postgres.ownerUrl('exhibit'), `insert into note values ('kept')`)
    await redis(async (client) => await client.set('note', 'kept'))
    await store().send(new CreateBucketCommand({ Bucket: 'kept' }))
    await store().send(new PutObjectCommand({ Bucket: 'kept', Key: 'note', Body: 'kept' }))
    expect(await fetched()).toBe('kept')
  })

  test('listen on loopback only', () => {
    const sockets = new Set(processesOf(dataDir).flatMap(socketsOf))
    const rows = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/net/${name}`, 'utf8').split('\n'))
    const columns = rows.map((row) => row.trim().split(/\s+/))
    const listening = columns.filter(([, , , state, , , , , , inode]) => state === '0A' && sockets.has(inode ?? ''))
    expect(listening.length).toBeGreaterThan(6)
    for (const [, address] of listening) expect(address).toMatch(/^0100007F:/)
  })

  test('keep passwords and keys from other users of the machine', () => {
    for (const folder of ['keys', 'settings', 'gateway', 'postgres', 'redis', 'log']) {
      expect(statSync(join(dataDir, folder)).mode & 0o077, folder).toBe(0)
    }
    for (const pid of processesOf(dataDir)) expect(commandLine(pid)).not.toContain(new URL(engines.redis.url).password)
  })

  test('give the owner what migrations need and the application no more than it is granted', async () => {
    const { postgres } = engines
    const extensions = ['btree_gist', 'pg_trgm', 'cube', 'earthdistance']
    for (const name of extensions) await query(postgres.ownerUrl('exhibit'), `create extension if not exists ${name}`)
    expect(await query(postgres.appUrl('exhibit'), 'select body from note')).toEqual([{ body: 'kept' }])
    const app = postgres.appUrl('exhibit')
    for (const forbidden of [`insert into note values ('x')`, 'create table other ()', 'create database other']) {
      await expect(query(app, forbidden)).rejects.toThrow('permission denied')
    }
    await query(postgres.adminUrl('postgres'), `create role stranger login password 'stranger'`)
    const stranger = Object.assign(new URL(app), { username: 'stranger', password: 'stranger' })
    await expect(query(stranger.href, 'select 1')).rejects.toThrow('permission denied for database')
    await expect(query(Object.assign(new URL(app), { password: 'wrong' }).href, 'select 1')).rejects.toThrow('password')
  })

  test('copy a database from a template', async () => {
    const { postgres } = engines
    await postgres.createDatabase('copied', 'exhibit')
    expect(await query(postgres.appUrl('copied'), 'select body from note')).toEqual([{ body: 'kept' }])
    await postgres.dropDatabase('copied')
    await expect(query(postgres.appUrl('copied'), 'select 1')).rejects.toThrow('does not exist')
  })

  test('are refused a second time in the same folder', async () => {
    expect(await refusal(startEngines(start))).toContain(`already running in ${dataDir} (process ${process.pid})`)
  })

  test('start again one by one after kill -9, with what they held', async () => {
    await kill(engines.postgres.pid)
    const postgres = await startPostgres(start)
    expect(await query(postgres.appUrl('exhibit'), 'select body from note')).toEqual([{ body: 'kept' }])

    await kill(engines.redis.pid)
    const again = await startRedis(start)
    expect(again.url).toBe(engines.redis.url)
    expect(await redis(async (client) => await client.get('note'))).toBe('kept')

    for (const part of ['mon', 'osd', 'rgw'] as const) {
      const { pids } = await startGateway(start)
      await kill(pids[part])
      const after = await startGateway(start)
      expect(after.endpoint).toBe(engines.gateway.endpoint)
      expect(after.pids[part]).not.toBe(pids[part])
      expect(await fetched(), part).toBe('kept')
    }

    await kill(engines.identityProvider.pid)
    expect((await startIdentityProvider(start)).issuer).toBe(engines.identityProvider.issuer)
  })

  longTest('start again after kill -9 of all at once', async () => {
    for (const pid of processesOf(dataDir)) if (pid !== process.pid) process.kill(pid, 'SIGKILL')
    const began = performance.now()
    await Promise.all([startPostgres(start), startRedis(start), startGateway(start), startIdentityProvider(start)])
    expect(performance.now() - began).toBeLessThan(20_000)
    expect(await query(engines.postgres.appUrl('exhibit'), 'select body from note')).toEqual([{ body: 'kept' }])
    expect(await redis(async (client) => await client.get('note'))).toBe('kept')
    expect(await fetched()).toBe('kept')
  })

  test('never end a process that only has the number of one of theirs', async () => {
    const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 60_000)'], { stdio: 'ignore' })
    await kill((await startRedis(start)).pid)
    writeFileSync(join(dataDir, 'run/redis.pid'), String(stranger.pid))
    await startRedis(start)
    expect(stranger.exitCode).toBe(null)
    expect(commandLine(stranger.pid ?? 0)).toContain('setInterval')
    stranger.kill('SIGKILL')
  })

  test('leave Redis empty and working when its data are wiped', async () => {
    await kill((await startRedis(start)).pid)
    rmSync(join(dataDir, 'redis'), { recursive: true })
    await startRedis(start)
    expect(await redis(async (client) => await client.get('note'))).toBe(null)
  })
})

describe('the embedded identity provider', limit, () => {
  const verified = async (token: string, keys: ReturnType<typeof createRemoteJWKSet>) =>
    await jwtVerify(token, keys, { issuer: engines.identityProvider.issuer, audience: 'exhibit', typ: 'at+jwt' })
  const published = () => createRemoteJWKSet(new URL(`${engines.identityProvider.issuer}/jwks`))

  test('signs in two people for each role', async () => {
    const { issuer } = engines.identityProvider
    const roles = ['officer', 'investigator', 'disclosure', 'supervisor', 'retention', 'auditor', 'admin'] as const
    for (const role of roles) {
      for (const which of [1, 2]) {
        const { payload } = await verified(await issueToken({ issuer, role, which }), published())
        expect(payload).toMatchObject({ sub: `${role}-${which}`, roles: [role], name: expect.any(String) })
        if (role === 'officer') expect(payload.collar_number).toBe(`PC100${which}`)
        expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3600)
      }
    }
    await expect(issueToken({ issuer, role: 'officer', which: 3 })).rejects.toThrow(SetupError)
  })

  test('asks a person without a hint who they are', async () => {
    const { issuer, clientId } = engines.identityProvider
    const query = new URLSearchParams({ client_id: clientId, response_type: 'code', scope: 'openid' })
    query.set('redirect_uri', 'http://127.0.0.1:40000/callback')
    query.set('code_challenge', 'x'.repeat(43))
    query.set('code_challenge_method', 'S256')
    const first = await fetch(`${issuer}/auth?${query}`, { redirect: 'manual' })
    const cookie = first.headers
      .getSetCookie()
      .map((line) => line.split(';')[0])
      .join('; ')
    const form = await fetch(new URL(first.headers.get('location') ?? '', issuer), { headers: { cookie } })
    expect(await form.text()).toContain('value="auditor-2"')
  })

  test('changes its key, and older tokens hold until the older keys are forgotten', async () => {
    const provider = await startIdentityProvider(start)
    const before = await issueToken({ issuer: provider.issuer, role: 'admin' })
    const kid = await provider.rotateKeys()
    const after = await issueToken({ issuer: provider.issuer, role: 'admin' })
    expect((await verified(after, published())).protectedHeader.kid).toBe(kid)
    expect((await verified(before, published())).protectedHeader.kid).not.toBe(kid)
    await provider.rotateKeys({ forgetOlder: true })
    await expect(verified(before, published())).rejects.toThrow('no applicable key')
  })
})

describe('a supervisor', limit, () => {
  test('that was killed leaves nothing that blocks the next start', async () => {
    const folder = join(place, 'killed')
    const child = supervisor(folder)
    expect(await firstWords(child)).toBe('ready')
    const left = new Set(processesOf(folder))
    child.kill('SIGKILL')
    await once(child, 'exit')
    const next = await startEngines({ ...start, dataDir: folder })
    expect(left).toContain(next.postgres.pid)
    expect(left).toContain(next.gateway.pids.osd)
    await next.stop()
    expect(processesOf(folder)).toEqual([])
  })

  longTest('that was killed in the midst of its first start leaves nothing that blocks the next', async () => {
    const folder = join(place, 'unfinished')
    const child = supervisor(folder)
    await expect.poll(() => processesOf(folder).length, limit).toBeGreaterThan(2)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const next = await startEngines({ ...start, dataDir: folder, diskGiB: 4 })
    await next.stop()
    expect(processesOf(folder)).toEqual([])
  })

  longTest('takes the engines with it when they are tied to it', async () => {
    const folder = join(place, 'tied')
    const child = supervisor(folder, [], { diskGiB: 4, endWithParent: true })
    expect(await firstWords(child)).toBe('ready')
    expect(processesOf(folder).length).toBeGreaterThan(6)
    child.kill('SIGKILL')
    await expect.poll(() => processesOf(folder), limit).toEqual([])
  })

  test.runIf(process.getuid?.() === 0)('runs as an ordinary user', async () => {
    const home = mkdtempSync(join(tmpdir(), 'embedded-user-'))
    chownSync(home, 2, 2)
    const child = supervisor(join(home, 'data'), ['setpriv', '--reuid=2', '--regid=2', '--clear-groups'])
    expect(await firstWords(child)).toBe('ready')
    expect(statSync(join(home, 'data/postgres')).uid).toBe(2)
    const pids = processesOf(home)
    expect(pids.length).toBeGreaterThan(6)
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    await expect.poll(() => processesOf(home), limit).toEqual([])
    rmSync(home, { recursive: true, force: true })
  })
})

describe('one clear sentence is given for', limit, () => {
  test('a data folder of a newer version', async () => {
    const folder = mkdtempSync(join(place, 'newer-'))
    writeFileSync(join(folder, 'VERSION'), '2\n')
    expect(await refusal(startEngines({ ...start, dataDir: folder }))).toContain('a newer Exhibit wrote')
  })

  test('a data folder that cannot be written', async () => {
    const file = join(place, 'file')
    writeFileSync(file, '')
    for (const dataDir of [join(file, 'data'), '/proc/exhibit/data'])
      expect(await refusal(startEngines({ ...start, dataDir }))).toContain('cannot be written')
  })

  test('a taken port, and what did start is stopped', async () => {
    const port = await freePort()
    const other = createServer().listen(port, '127.0.0.1')
    await once(other, 'listening')
    const folder = join(place, 'taken')
    const wish = { ...start, dataDir: folder, only: ['redis', 'postgres'] as const, ports: { postgres: port } }
    expect(await refusal(startEngines(wish))).toBe(
      `Port ${port} for Postgres is taken by another program: end that program or choose another port.`,
    )
    expect(processesOf(folder)).toEqual([])
    other.close()
  })

  test('a missing program', async () => {
    const missing = async () => needProgram(['no-such-program'], 'its-package')
    expect(await refusal(missing())).toContain('install its-package')
  })

  test('a disk that is too small', async () => {
    const wish = { ...start, dataDir: join(place, 'small'), only: ['gateway'] as const, diskGiB: 1_000_000 }
    expect(await refusal(startEngines(wish))).toContain('GiB to spare')
  })
})
