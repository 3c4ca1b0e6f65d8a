import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Type } from 'typebox'
import { type EngineStart, keep, openDataFolder, password, readKept, writePrivate } from './data-folder.ts'
import { choosePort } from './ports.ts'
import { keepUp, leftover, type Program, stopProgram } from './processes.ts'
import { needProgram, run } from './programs.ts'
import { SetupError } from './setup-error.ts'

export type EmbeddedRedis = { url: string; port: number; pid: number; stop(): Promise<void> }

const Kept = Type.Object({ port: Type.Integer(), password: Type.String() })

const configuration = (port: number, secret: string): string =>
  [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${secret}`,
    'dir .',
    'appendonly yes',
    'appendfsync everysec',
    'save ""',
    'maxmemory-policy noeviction',
    'daemonize no',
    // Its process is known by its command line, which it would otherwise write over.
    'set-proc-title no',
    '',
  ].join('\n')

/** Whether it lets us in and has read its data. */
const isReady = async (port: number, secret: string): Promise<boolean> => {
  const socket = connect({ host: '127.0.0.1', port, timeout: 2000 })
  socket.on('timeout', () => socket.destroy())
  try {
    await once(socket, 'connect')
    socket.end(`AUTH ${secret}\r\nPING\r\nQUIT\r\n`)
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    return answer.includes('+PONG')
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

const needRedis = async (cwd: string): Promise<string> => {
  const command = needProgram(['redis-server', 'valkey-server'], 'redis-server')
  const version = /v=(\d+)\.(\d+)/.exec(await run('Asking Redis for its version', command, ['--version'], { cwd }))
  if (version !== null && Number(version[1]) * 100 + Number(version[2]) < 602) {
    throw new SetupError(
      `Redis 6.2 or newer is needed, and ${command} is ${version[1]}.${version[2]}: install a newer one.`,
    )
  }
  return command
}

/** Redis on loopback with its data in `<dataDir>/redis`, which may be wiped while it is down. A running one is taken over. */
export const startRedis = async ({ dataDir, port, log, endWithParent }: EngineStart): Promise<EmbeddedRedis> => {
  const folder = openDataFolder(dataDir)
  const command = await needRedis(folder.path)
  const data = join(folder.path, 'redis')
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const file = join(folder.settings, 'redis.json')
  const before = readKept(file, Kept)
  const marker = join(folder.settings, 'redis.conf')
  const program: Program = {
    dataDir: folder.path,
    name: 'redis',
    command,
    args: [marker],
    marker,
    cwd: data,
    stopSignal: 'SIGTERM',
    stopSeconds: 10,
    endWithParent,
  }
  const inUse = leftover(program) !== undefined
  const chosen = await choosePort({ what: 'Redis', wanted: port, kept: before?.port, inUse })
  const secret = before?.password ?? password()
  keep(file, { port: chosen, password: secret })
  const changed = writePrivate(marker, configuration(chosen, secret))

  const readiness = { ready: () => isReady(chosen, secret), seconds: 60 }
  const running = await keepUp(program, readiness, !changed)
  log(running.adopted ? 'Redis: was still running' : `Redis: ready on port ${chosen}`)
  return {
    url: `redis://:${secret}@127.0.0.1:${chosen}`,
    port: chosen,
    pid: running.pid,
    stop: async () => await stopProgram(program),
  }
}
