import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { leftover } from '../../engines/embedded/processes.ts'
import { cleanEnv } from '../../engines/embedded/programs.ts'

/** A process of ours that the supervisor keeps running. */
export type ServiceWish = {
  name: 'api' | 'worker'
  /** Absolute; holds `log/<name>.log` and `run/<name>.pid`. */
  dataDir: string
  environment: Record<string, string>
  /** How long it may take after SIGTERM before it is killed. */
  stopSeconds: number
  log: (line: string) => void
}

export type Service = {
  /** How often it ended by itself. */
  ends(): number
  /** The end of what it wrote since it was last started, in one line. */
  lastWords(): string
  /** Ends it: by SIGTERM, then by SIGKILL to it and what it started. */
  stop(): Promise<void>
}

const root = join(import.meta.dirname, '../../..')
const mains = { api: join(root, 'src/api/main.ts'), worker: join(root, 'workers/main.ts') } as const
const tie = join(import.meta.dirname, 'end-with-supervisor.ts')

/** After a life of this long an end is no longer counted as one in a row. */
const soundMs = 60_000
const longestPauseSeconds = 30

const logFile = ({ dataDir, name }: Pick<ServiceWish, 'dataDir' | 'name'>) => join(dataDir, 'log', `${name}.log`)
const pidFile = ({ dataDir, name }: Pick<ServiceWish, 'dataDir' | 'name'>) => join(dataDir, 'run', `${name}.pid`)
/** Its process is known by this argument. */
const markerOf = ({ dataDir, name }: Pick<ServiceWish, 'dataDir' | 'name'>) => `--${name}-of=${dataDir}`

/** The process that a killed supervisor left, or nothing. It is stopping by itself, and may not be through with it. */
export const leftoverService = (name: ServiceWish['name'], dataDir: string) => {
  const marker = markerOf({ name, dataDir })
  const command = process.execPath
  return leftover({ dataDir, name, command, args: [marker], marker, cwd: root, stopSignal: 'SIGTERM', stopSeconds: 5 })
}

/** Where ffmpeg and its cage are found, however short the PATH that the supervisor was given. */
const path = (): string => [cleanEnv().PATH, '/usr/local/bin', '/usr/bin', '/bin'].join(delimiter)

/** In a session of its own, so that Ctrl-C at the terminal reaches the supervisor only, which stops all in order. */
const launch = (wish: ServiceWish): ChildProcess => {
  const out = openSync(logFile(wish), 'a', 0o600)
  const child = spawn(process.execPath, ['--import', tie, mains[wish.name], markerOf(wish)], {
    cwd: root,
    env: { ...cleanEnv(), PATH: path(), ...wish.environment },
    detached: true,
    stdio: ['ignore', out, out, 'ipc'],
  })
  closeSync(out)
  if (child.pid !== undefined) writeFileSync(pidFile(wish), String(child.pid))
  return child
}

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0

/** What was written for people; the log's own lines are for machines. */
const endOf = (text: string): string => {
  const words = text.split('\n').filter((line) => line !== '' && !line.startsWith('{'))
  return words.slice(-3).join(' / ').slice(-600)
}

const endInWords = (code: unknown, signal: unknown): string =>
  typeof signal === 'string' ? `was ended by ${signal}` : `ended with code ${code}`

const endIn = async (child: ChildProcess, seconds: number): Promise<boolean> => {
  if (child.exitCode !== null || child.signalCode !== null) return true
  try {
    await once(child, 'exit', { signal: AbortSignal.timeout(seconds * 1000) })
    return true
  } catch {
    return false
  }
}

const killGroup = (pid: number): void => {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It ended at this very moment.
  }
}

/** Starts it now, and again whenever it ends by itself, with longer and longer pauses. */
export const keepRunning = (wish: ServiceWish): Service => {
  const { name, log } = wish
  const stopping = new AbortController()
  let logFrom = sizeOf(logFile(wish))
  let child = launch(wish)
  let ends = 0
  const lastWords = () => endOf(readFileSync(logFile(wish)).subarray(logFrom).toString('utf8'))

  const lifetimes = async (): Promise<void> => {
    for (let inARow = 0; !stopping.signal.aborted; ) {
      const born = performance.now()
      const how = await once(child, 'exit').then(([code, signal]) => endInWords(code, signal), String)
      if (stopping.signal.aborted) return
      ends += 1
      inARow = performance.now() - born > soundMs ? 1 : inARow + 1
      const pause = Math.min(2 ** (inARow - 1), longestPauseSeconds)
      log(`The ${name} ${how} (${lastWords() || `see ${logFile(wish)}`}); it is started again in ${pause} s`)
      await delay(pause * 1000, undefined, { signal: stopping.signal }).catch(() => undefined)
      if (stopping.signal.aborted) return
      logFrom = sizeOf(logFile(wish))
      child = launch(wish)
    }
  }
  const over = lifetimes()

  return {
    ends: () => ends,
    lastWords,
    stop: async () => {
      stopping.abort()
      child.kill('SIGTERM')
      if (!(await endIn(child, wish.stopSeconds)) && child.pid !== undefined) {
        log(`The ${name} did not stop within ${wish.stopSeconds} s and is killed`)
        killGroup(child.pid)
      }
      await over
      rmSync(pidFile(wish), { force: true })
    },
  }
}
