import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const programs = {
  api: { main: 'src/api/main.ts', ready: 'the api is ready' },
  worker: { main: 'workers/main.ts', ready: 'the worker is at work' },
}
const { NODE_COMPILE_CACHE } = process.env
/** Where a program is compiled to, of the run of tests. */
export const compiled = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }
/** Ends the process when the test's own ends, however that ends. */
const tie = join(root, 'src/cli/up/end-with-supervisor.ts')

/** The api or a worker in a process of its own, as it runs in production. */
export type TestProcess = AsyncDisposable & {
  /** kill -9. Answers when the process is gone. */
  kill(): Promise<void>
  /** SIGTERM. Answers its exit code, null when a signal ended it, and how long it took. */
  stop(): Promise<{ code: number | null; ms: number }>
  /** Waits until its log says so; throws when it ends first. */
  says(words: string): Promise<void>
}

/** Starts the program with nothing but `environment`, and waits until it says that it is ready. */
export const startProcess = async (
  name: keyof typeof programs,
  environment: Record<string, string>,
): Promise<TestProcess> => {
  const { main, ready } = programs[name]
  const child = spawn(process.execPath, ['--import', tie, main], {
    cwd: root,
    env: { ...compiled, PATH: process.env.PATH, ...environment, LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const ended = once(child, 'exit')
  let said = ''
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      for (const listener of listeners) listener()
    })
  }
  const running = () => child.exitCode === null && child.signalCode === null

  const says = async (words: string): Promise<void> =>
    await new Promise((resolve, reject) => {
      const look = () => {
        if (!said.includes(words) && running()) return
        listeners.delete(look)
        child.off('exit', look)
        if (said.includes(words)) resolve()
        else reject(new Error(`the ${name} ended without saying "${words}": ${said.slice(-2000)}`))
      }
      listeners.add(look)
      child.on('exit', look)
      look()
    })
  const kill = async () => {
    if (running()) child.kill('SIGKILL')
    await ended
  }
  await says(ready)
  return {
    kill,
    says,
    stop: async () => {
      const began = performance.now()
      child.kill('SIGTERM')
      const [code] = await ended
      return { code: typeof code === 'number' ? code : null, ms: performance.now() - began }
    },
    [Symbol.asyncDispose]: kill,
  }
}
