import { spawnSync } from 'node:child_process'
import { chmodSync, lchownSync, readdirSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { cleanEnv } from './programs.ts'
import { SetupError } from './setup-error.ts'

/** Postgres refuses to run as root. How it is run instead: as another user, or through a program that maps root to one. */
export type PostgresUser = { uid?: number; gid?: number; through: readonly string[] }

const number = (flag: string): number =>
  Number(spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout) || 65_534

const succeeds = (command: string, args: string[], as: { uid?: number; gid?: number } = {}): boolean =>
  spawnSync(command, args, { stdio: 'ignore', env: cleanEnv(), cwd: '/', ...as }).status === 0

/** The outermost folder on the way to `path` that is closed to other users. */
const closedFolder = (path: string): string | undefined => {
  const outer = dirname(path)
  const found = outer === path ? undefined : closedFolder(outer)
  return found ?? ((statSync(path).mode & 0o001) === 0 ? path : undefined)
}

const hasName = (): boolean => {
  try {
    return userInfo().username !== ''
  } catch {
    return false
  }
}

/**
 * As root: user nobody where the folders are open to it, else root in a user namespace of its own, where it is nobody. The
 * namespace also serves a user whose number has no name, as containers have them: Postgres looks its name up.
 */
export const postgresUser = (dataDir: string, program: string): PostgresUser => {
  const root = process.getuid?.() === 0
  if (!root && hasName()) return { through: [] }
  const nobody = { uid: number('-u'), gid: number('-g') }
  // Everything in the data folder that is not for others is closed by itself.
  if (root && closedFolder(dataDir) === dataDir) chmodSync(dataDir, statSync(dataDir).mode | 0o011)
  const reach = ['-c', 'cd "$1" && test -r "$2" && test -x "$2"', 'sh', dataDir, program]
  if (root && succeeds('/bin/sh', reach, nobody)) return { ...nobody, through: [] }
  const namespace = ['--user', `--map-user=${nobody.uid}`]
  if (succeeds('unshare', [...namespace, 'true'])) return { through: ['unshare', ...namespace] }
  if (!root)
    throw new SetupError('Postgres does not run as a user without a name: run Exhibit as one that /etc/passwd names.')
  const closed = closedFolder(dataDir) ?? closedFolder(dirname(program)) ?? dataDir
  throw new SetupError(
    `Postgres does not run as root, and its stand-in, the user nobody, may not enter ${closed}: run Exhibit as an ordinary user, or open that folder (chmod o+x ${closed}).`,
  )
}

/** Gives a folder and what is in it to the user that Postgres runs as, when it belongs to another. */
export const giveTo = (user: PostgresUser, folder: string): void => {
  if (process.getuid?.() !== 0) return
  const { uid = 0, gid = 0 } = user
  if (statSync(folder).uid === uid) return
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    lchownSync(join(folder, name), uid, gid)
  lchownSync(folder, uid, gid)
}
