import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '../../src/engines/embedded/ports.ts'
import { type Command, processesNaming, runCommand, startCommand } from '../command-line.ts'
import { longTest } from '../long.ts'

const folder = mkdtempSync(join(tmpdir(), 'exhibit-up-'))
const First = Type.Object({ url: Type.String(), dataDir: Type.String() })
let port: number
let running: Command

const pidOf = (name: string) => Number(readFileSync(join(folder, 'run', `${name}.pid`), 'utf8'))

/** Starts it, and waits for its first line. */
const up = async (): Promise<Command> => {
  const command = startCommand(['up', '--data', folder, '--port', String(port), '--disk', '4', '--json'])
  await Promise.race([once(command.child.stdout ?? command.child, 'data'), command.ended])
  expect(command.err()).not.toContain('does not start')
  const [line = ''] = command.out().split('\n')
  expect(Value.Parse(First, JSON.parse(line))).toEqual({ url: `http://127.0.0.1:${port}`, dataDir: folder })
  return command
}

const status = async (): Promise<unknown> => {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`)
    const report: unknown = await response.json()
    return Value.Check(Type.Object({ status: Type.String() }), report) ? report.status : undefined
  } catch {
    return undefined
  }
}

const asAdmin = async (method: string, path: string, body?: unknown): Promise<unknown> => {
  const { out } = await runCommand(['token', '--as', 'admin', '--data', folder])
  const response = await fetch(`http://127.0.0.1:${port}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${out.trim()}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  expect(response.ok).toBe(true)
  return await response.json()
}

const oneSentence = /^[^\n]{20,300}[.]\n$/

beforeAll(async () => {
  port = await freePort()
  running = await up()
})
afterAll(async () => {
  running.child.kill('SIGTERM')
  await running.ended
  await rm(folder, { recursive: true, force: true })
})

test('what is up is found by the other commands, and is well', async () => {
  expect(await status()).toBe('ready')
  await asAdmin('POST', '/cameras', { serial: 'CAM-1', model: 'X' })
  const { code, out } = await runCommand(['doctor', '--data', folder, '--json'])
  expect(JSON.parse(out)).toMatchObject({ ok: true })
  expect(out).toContain('a locked version resists deletion')
  expect(code).toBe(0)
})

test('a dock is enrolled with what is up by naming the folder alone', async () => {
  const key = join(folder, 'scratch', 'dock.json')
  const words = ['dock', 'enrol', '--name', 'Desk', '--site', 'Here', '--key', key, '--data', folder, '--json']
  const { code, out } = await runCommand(words)
  expect(code).toBe(0)
  expect(await asAdmin('GET', '/docks')).toMatchObject({ items: [{ id: JSON.parse(out).dock, name: 'Desk' }] })
})

test('keys and passwords are for their owner only', () => {
  const mode = (name: string) => statSync(join(folder, name)).mode & 0o777
  expect([mode('keys'), mode('settings')]).toEqual([0o700, 0o700])
  expect([mode('keys/receipt-key.json'), mode('settings/environment.json')]).toEqual([0o600, 0o600])
})

test('a second start in the same folder, or at a port that is taken, says so in one sentence and harms nothing', async () => {
  const same = await runCommand(['up', '--data', folder, '--port', String(await freePort())])
  expect(same).toMatchObject({ code: 1, out: '' })
  expect(same.err).toMatch(/^Exhibit is already running in /)
  expect(same.err).toMatch(oneSentence)

  const other = `${folder}-other`
  const taken = await runCommand(['up', '--data', other, '--port', String(port)])
  await rm(other, { recursive: true, force: true })
  expect(taken).toMatchObject({ code: 1, out: '' })
  expect(taken.err).toContain(`Port ${port} for the api is taken`)
  expect(taken.err).toMatch(oneSentence)
  expect(await status()).toBe('ready')
})

test('an api, a worker or an engine that dies is started again, and that is said', async () => {
  const before = { api: pidOf('api'), worker: pidOf('worker'), redis: pidOf('redis') }
  for (const pid of Object.values(before)) process.kill(pid, 'SIGKILL')
  const replaced = () => Object.entries(before).every(([name, pid]) => pidOf(name) !== pid)
  await expect.poll(replaced, { timeout: 30_000 }).toBe(true)
  await expect.poll(status, { timeout: 30_000 }).toBe('ready')
  for (const words of ['The api was ended by SIGKILL', 'The worker was ended by SIGKILL', 'Redis ended'])
    expect(running.err()).toContain(words)
})

test('after a kill of the supervisor its api and worker end by themselves, and the next start serves what was kept', async () => {
  running.child.kill('SIGKILL')
  await running.ended
  const left = () => processesNaming(folder).filter((line) => /src\/api\/main|workers\/main/.test(line))
  await expect.poll(left, { timeout: 15_000 }).toEqual([])
  running = await up()
  expect(await status()).toBe('ready')
  expect(await asAdmin('GET', '/cameras')).toMatchObject({ items: [{ serial: 'CAM-1' }] })
})

longTest('a start that follows a kill at once serves as well', async () => {
  running.child.kill('SIGKILL')
  running = await up()
  expect(await status()).toBe('ready')
})

test('SIGTERM ends everything, and a token can no longer be had', async () => {
  running.child.kill('SIGTERM')
  expect(await running.ended).toBe(0)
  expect(processesNaming(folder)).toEqual([])
  const { code, err } = await runCommand(['token', '--as', 'officer', '--data', folder])
  expect(code).toBe(1)
  expect(err).toMatch(/^No installation is up in /)
})

longTest('a SIGTERM to npm, which does not pass it on, ends everything as well', async () => {
  const words = ['run', 'exhibit', '--', 'up', '--data', folder, '--port', String(port), '--json']
  const npm = spawn('npm', words, { cwd: join(import.meta.dirname, '../..'), stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = once(npm, 'exit')
  for await (const text of npm.stdout) if (String(text).includes('"url"')) break
  expect(await status()).toBe('ready')
  npm.kill('SIGTERM')
  await ended
  await expect.poll(() => processesNaming(folder), { timeout: 15_000 }).toEqual([])
})
