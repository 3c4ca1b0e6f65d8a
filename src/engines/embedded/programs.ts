import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { SetupError } from './setup-error.ts'

const execute = promisify(execFile)

/** Where system packages put servers, whether or not the user's PATH names it. */
const usual = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin', '/opt/homebrew/bin']

/** The path of an installed program, or nothing. */
const findProgram = (name: string): string | undefined =>
  [...(process.env.PATH ?? '').split(delimiter), ...usual]
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })

/** The first of the programs that is installed. */
export const needProgram = (names: readonly string[], packages: string): string => {
  const found = names.map(findProgram).find((path) => path !== undefined)
  if (found !== undefined) return found
  throw new SetupError(
    process.platform === 'linux'
      ? `The program ${names.join(' or ')} is missing: install ${packages} (Debian, Ubuntu: sudo apt-get install ${packages}).`
      : `The program ${names.join(' or ')} is missing: install it, or give the address of such a server by the environment.`,
  )
}

/** The environment of every engine. Inherited CEPH_ARGS, PGDATA or NODE_OPTIONS would change what an engine does. */
export const cleanEnv = (): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH ?? usual.join(delimiter),
  HOME: process.env.HOME ?? '/',
  LC_ALL: 'C',
  TZ: 'UTC',
})

/** The words of a command, so changed that the kernel sends it the signal when its parent ends (Linux; else unchanged). */
export const tethered = (signal: NodeJS.Signals, words: readonly string[]): readonly string[] => {
  const setpriv = process.platform === 'linux' ? findProgram('setpriv') : undefined
  return setpriv === undefined ? words : [setpriv, '--pdeathsig', signal.slice('SIG'.length), ...words]
}

type RunOptions = { cwd: string; uid?: number | undefined; gid?: number | undefined; input?: string; seconds?: number }

/**
 * Runs a short program to its end and gives what it wrote. Throws a SetupError naming `what` when it fails. It does not
 * outlive this process, so that the next start does not meet it at work.
 */
export const run = async (
  what: string,
  command: string,
  args: readonly string[],
  options: RunOptions,
): Promise<string> => {
  const { cwd, uid, gid, input, seconds = 60 } = options
  const [program = command, ...words] = tethered('SIGKILL', [command, ...args])
  const going = execute(program, words, {
    cwd,
    env: cleanEnv(),
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 1024 * 1024,
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  })
  // A program that ends before it has read its input says why by its exit code.
  going.child.stdin?.on('error', () => {})
  going.child.stdin?.end(input ?? '')
  try {
    const { stdout, stderr } = await going
    return stdout + stderr
  } catch (cause) {
    const words = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim().split('\n').slice(-3) : []
    throw new SetupError(`${what} failed: ${words.join(' / ').slice(-600) || 'no reason was given'}`, cause)
  }
}
