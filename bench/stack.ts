import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes, randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../src/engines/embedded/ports.ts'
import { tethered } from '../src/engines/embedded/programs.ts'
import { type StartedEngines, startEngines } from '../src/engines/embedded/stack.ts'

const mib = 1024 * 1024

/** How large the store may grow, and the file that uploads are pieces of. */
const diskGiB = 30
const contentMiB = 576

export type Started = { child: ChildProcess; pid: number; stop(): Promise<void> }

/** Real engines in a throw-away folder, and processes on top of them. */
export type Stack = AsyncDisposable & {
  engines: StartedEngines
  /** A folder that goes with the stack. */
  folder: string
  /** Starts a program of the project as a process that can be given messages; it ends with the bench. */
  start(program: URL, env: Record<string, string>): Started
  /** A port that nobody listens on. */
  port(): Promise<number>
  /** The sending process, see sender.ts. */
  sender: Started
}

const makeContent = (path: string): void => {
  const file = openSync(path, 'w')
  const block = Buffer.allocUnsafeSlow(mib)
  for (let at = 0; at < contentMiB; at++) writeSync(file, randomFillSync(block))
  closeSync(file)
}

const starter =
  (folder: string): Stack['start'] =>
  (program, env) => {
    const path = fileURLToPath(program)
    const name = `${basename(dirname(path))}-${basename(path)}`
    const log = openSync(join(folder, 'log', `${name}.${randomBytes(3).toString('hex')}.log`), 'a')
    const [command = process.execPath, ...args] = tethered('SIGTERM', [process.execPath, path])
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', log, log, 'ipc'] })
    closeSync(log)
    if (child.pid === undefined) throw new Error(`${program.pathname} could not be started`)
    return {
      child,
      pid: child.pid,
      stop: async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const ended = once(child, 'exit')
        child.kill('SIGTERM')
        await ended
      },
    }
  }

export const startStack = async (): Promise<Stack> => {
  const folder = await mkdtemp(join(tmpdir(), 'exhibit-bench-'))
  const engines = await startEngines({ dataDir: folder, log: () => undefined, diskGiB, endWithParent: true })
  const content = join(folder, 'content')
  makeContent(content)
  const start = starter(folder)
  const sender = start(new URL('sender.ts', import.meta.url), { BENCH_CONTENT: content })
  return {
    engines,
    folder,
    start,
    port: freePort,
    sender,
    [Symbol.asyncDispose]: async () => {
      await sender.stop()
      await engines.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
