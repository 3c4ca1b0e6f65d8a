import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { compiled } from './processes.ts'

const root = join(import.meta.dirname, '..')
const main = join(root, 'src/cli/main.ts')

/** A command of `exhibit` in a process of its own. */
export type Command = {
  child: ChildProcess
  out(): string
  err(): string
  /** Answers its exit code, null when a signal ended it. */
  ended: Promise<number | null>
}

/** Starts the command, or another program of ours, with nothing but `environment`. */
export const startCommand = (
  args: readonly string[],
  environment: Record<string, string> = {},
  program = main,
): Command => {
  const child = spawn(process.execPath, [program, ...args], {
    cwd: root,
    env: { ...compiled, PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => {
    said.out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    said.err += chunk.toString()
  })
  const ended = once(child, 'close').then(([code]: unknown[]) => (typeof code === 'number' ? code : null))
  return { child, out: () => said.out, err: () => said.err, ended }
}

/** Runs the command to its end. */
export const runCommand = async (args: readonly string[], environment: Record<string, string> = {}) => {
  const command = startCommand(args, environment)
  const code = await command.ended
  return { code, out: command.out(), err: command.err() }
}

/** The command lines of all living processes that name the words. */
export const processesNaming = (words: string): string[] =>
  execFileSync('ps', ['-A', '-ww', '-o', 'args='], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(words))
