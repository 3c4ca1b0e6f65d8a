import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { cleanEnv, tethered } from './programs.ts'
import { SetupError } from './setup-error.ts'

/** A long-running program of one data folder. */
export type Program = {
  /** Absolute; holds `log/<name>.log` and `run/<name>.pid`. */
  dataDir: string
  /** Names its files, and itself in messages. */
  name: string
  command: string
  args: readonly string[]
  /** One of `args`, and one that only this program of this data folder carries: its process is known by it. */
  marker: string
  /** Words put before the command, for programs that replace themselves by it (`unshare …`). */
  through?: readonly string[]
  cwd: string
  /** Beside what every engine has. */
  env?: Readonly<Record<string, string>>
  uid?: number | undefined
  gid?: number | undefined
  stopSignal: NodeJS.Signals
  /** How long it may take after the stop signal before it is killed. */
  stopSeconds: number
  /** Let the kernel stop it when the process that started it ends, however that ends (Linux; else ignored). */
  endWithParent?: boolean | undefined
  /** By this signal then, in place of the stop signal. */
  orphanSignal?: NodeJS.Signals
}

export type Running = {
  pid: number
  /** It was found running from an earlier start. */
  adopted: boolean
  /** It runs, and is that program. */
  alive(): boolean
  /** It is gone, with all that it held. */
  ended(): boolean
  /** The end of what it wrote since this start, in one line. */
  lastWords(): string
  /** Ends it: by its stop signal, then by SIGKILL to its process group. Does nothing when it is gone. */
  stop(): Promise<void>
}

const maxLogBytes = 16 * 1024 * 1024
const pidFile = (dataDir: string, name: string) => join(dataDir, 'run', `${name}.pid`)
const logFile = (program: Program) => join(program.dataDir, 'log', `${program.name}.log`)

/** The command line of a living process, or nothing. A zombie has none. */
const commandLine = (pid: number): string[] | undefined => {
  try {
    if (process.platform === 'linux') {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      return words.length > 1 ? words.slice(0, -1) : undefined
    }
    const line = execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' }).trim()
    return line === '' ? undefined : line.split(' ')
  } catch {
    return undefined
  }
}

const carries = (words: readonly string[], marker: string): boolean =>
  // Elsewhere than on Linux an argument with spaces comes in pieces.
  words.includes(marker) || (process.platform !== 'linux' && ` ${words.join(' ')} `.includes(` ${marker} `))

const isOurs = (pid: number, marker: string): boolean => carries(commandLine(pid) ?? [], marker)

/**
 * What a number stands for now. `changing` is a process without a command line: its program is just being loaded, or it was
 * killed this moment and still holds its files, locks and sockets. The command line is read once: between two readings a
 * program that is being loaded would have become another.
 */
const standing = (pid: number, marker: string): 'ours' | 'changing' | 'other' => {
  const words = commandLine(pid)
  if (words !== undefined) return carries(words, marker) ? 'ours' : 'other'
  if (process.platform !== 'linux') return 'other'
  try {
    return /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')) ? 'other' : 'changing'
  } catch {
    return 'other'
  }
}

const settled = async (pid: number, marker: string): Promise<void> => {
  for (const limit = Date.now() + 5000; standing(pid, marker) === 'changing' && Date.now() < limit; ) await delay(10)
}

const send = (pid: number, signal: NodeJS.Signals, name: string): void => {
  try {
    process.kill(pid, signal)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ESRCH') return
    throw new SetupError(
      `The ${name} of this data folder (process ${Math.abs(pid)}) belongs to another user: end it first.`,
    )
  }
}

const notedPid = ({ dataDir, name }: Program): number => {
  try {
    return Number(readFileSync(pidFile(dataDir, name), 'utf8'))
  } catch {
    return Number.NaN
  }
}

const handle = (program: Program, pid: number, logFrom: number | undefined): Running => {
  const alive = () => isOurs(pid, program.marker)
  const ended = () => standing(pid, program.marker) === 'other'
  const gone = async (seconds: number) => {
    const limit = Date.now() + seconds * 1000
    for (; !ended(); await delay(10)) if (Date.now() > limit) return false
    return true
  }
  return {
    pid,
    adopted: logFrom === undefined,
    alive,
    ended,
    lastWords: () => {
      const lines = readFileSync(logFile(program))
        .subarray(logFrom ?? 0)
        .toString('utf8')
        .trim()
        .split('\n')
      return lines.slice(-3).join(' / ').slice(-600)
    },
    stop: async () => {
      await settled(pid, program.marker)
      if (alive()) {
        send(pid, program.stopSignal, program.name)
        if (!(await gone(program.stopSeconds))) {
          send(-pid, 'SIGKILL', program.name)
          if (!(await gone(10))) throw new SetupError(`The ${program.name} (process ${pid}) will not end.`)
        }
      }
      if (notedPid(program) === pid) rmSync(pidFile(program.dataDir, program.name), { force: true })
    },
  }
}

/** On Linux only; elsewhere the noted number has to do. */
const everyPid = (): number[] =>
  process.platform === 'linux'
    ? readdirSync('/proc')
        .map(Number)
        .filter((pid) => Number.isSafeInteger(pid) && pid > 1)
    : []

/**
 * What an earlier start left running of this program, or nothing; never a process that merely has its old number. A start
 * that was killed while it launched the program had no time to note its number, so it is looked for by its command line.
 */
export const leftover = (program: Program): Running | undefined => {
  const noted = notedPid(program)
  const pid = isOurs(noted, program.marker)
    ? noted
    : everyPid().find((one) => commandLine(one)?.[0] === program.command && isOurs(one, program.marker))
  return pid === undefined ? undefined : handle(program, pid, undefined)
}

/** Ends whatever runs of this program, also one that was started later than the caller's own. */
export const stopProgram = async (program: Program): Promise<void> => await leftover(program)?.stop()

/** Starts it in a session of its own, so that Ctrl-C at the terminal reaches the supervisor only, which stops it in order. */
const launch = async (program: Program): Promise<Running> => {
  const own = [program.command, ...program.args]
  const tied = program.endWithParent === true ? tethered(program.orphanSignal ?? program.stopSignal, own) : own
  const [command = program.command, ...args] = [...(program.through ?? []), ...tied]
  const { cwd, uid, gid } = program
  const file = logFile(program)
  const before = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (before > maxLogBytes) renameSync(file, `${file}.old`)
  const out = openSync(file, 'a', 0o600)
  const child = spawn(command, args, {
    cwd,
    env: { ...cleanEnv(), ...program.env },
    detached: true,
    stdio: ['ignore', out, out],
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  })
  closeSync(out)
  if (child.pid === undefined) {
    const [cause] = await once(child, 'error')
    throw new SetupError(
      `${command} could not be started (${cause instanceof Error ? cause.message : 'unknown reason'}).`,
    )
  }
  writeFileSync(pidFile(program.dataDir, program.name), String(child.pid))
  child.on('error', () => {})
  child.unref()
  return handle(program, child.pid, before > maxLogBytes ? 0 : before)
}

type Readiness = {
  /** Asked again and again until it says yes; what it throws ends the start. */
  ready: () => Promise<boolean>
  /** How long that may take, in seconds. */
  seconds: number
}

/** Throws a SetupError with the program's last words when it ends before it is ready, or when the time is over. */
export const untilReady = async (program: Program, running: Running, { ready, seconds }: Readiness): Promise<void> => {
  const limit = Date.now() + seconds * 1000
  for (let pause = 10; !(await ready()); pause = Math.min(pause * 1.3, 100)) {
    const ended = running.ended()
    if (ended || Date.now() > limit) {
      const why = ended ? 'ended while starting' : `was not ready within ${seconds} s`
      throw new SetupError(`The ${program.name} ${why}; its last words: ${running.lastWords()} (${logFile(program)})`)
    }
    await delay(pause)
  }
}

/**
 * Takes over what an earlier start left running of this program, if it runs with the same command line (and `reuse` is not
 * false); otherwise ends that, and launches it anew.
 */
export const takeOverOrLaunch = async (program: Program, reuse = true): Promise<Running> => {
  await settled(notedPid(program), program.marker)
  const left = leftover(program)
  const wanted = [program.command, ...program.args].join(' ')
  if (left !== undefined && reuse && commandLine(left.pid)?.join(' ') === wanted) return left
  await left?.stop()
  return await launch(program)
}

/** The same, and waits until it is ready. One that was taken over and does not get ready is ended and launched anew. */
export const keepUp = async (program: Program, readiness: Readiness, reuse = true): Promise<Running> => {
  const running = await takeOverOrLaunch(program, reuse)
  if (!running.adopted) {
    await untilReady(program, running, readiness)
    return running
  }
  try {
    await untilReady(program, running, { ...readiness, seconds: 3 })
    return running
  } catch {
    return await keepUp(program, readiness, false)
  }
}
