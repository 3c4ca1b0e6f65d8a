import { randomBytes } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Static, TSchema } from 'typebox'
import Value from 'typebox/value'
import { SetupError } from './setup-error.ts'

/** What this code reads and writes in a data folder. A change that older code cannot read counts it up. */
const formatVersion = 1

/** What every engine's start function takes. */
export type EngineStart = {
  /** Made when it is not there. */
  dataDir: string
  /** On 127.0.0.1; by default the one of the last start, at the first start a free one. */
  port?: number | undefined
  log: (line: string) => void
  /** Let the kernel stop the engine when this process ends, however it ends: for tests and benches (Linux only). */
  endWithParent?: boolean | undefined
}

export type DataFolder = {
  /** Absolute, without links. */
  path: string
  /** Signing keys: mode 700, never part of a copy of the data. */
  keys: string
  /** Passwords and ports of the engines: mode 700. */
  settings: string
}

/** Level by level: where nothing can be made, as in /proc, Node's own recursion never ends. */
const makeFolder = (path: string, mode: number): string => {
  if (existsSync(path)) return path
  makeFolder(dirname(path), 0o755)
  try {
    mkdirSync(path)
  } catch (error) {
    // Another process may have been first.
    if (existsSync(path)) return path
    throw error
  }
  chmodSync(path, mode)
  return path
}

const checkVersion = (path: string): void => {
  const file = join(path, 'VERSION')
  if (!existsSync(file)) {
    writeFileSync(file, `${formatVersion}\n`)
    return
  }
  const version = Number(readFileSync(file, 'utf8'))
  if (version === formatVersion) return
  throw new SetupError(
    version > formatVersion
      ? `The data folder ${path} has format ${version}, which a newer Exhibit wrote; this one reads up to ${formatVersion}: start it with that newer version, or name another folder.`
      : `The file ${file} does not hold a format this version knows: put back what was there, or name another folder.`,
  )
}

/** Makes or opens a data folder. Throws a SetupError for one that cannot be written, is another user's, or is newer. */
export const openDataFolder = (dataDir: string): DataFolder => {
  const asked = resolve(dataDir)
  try {
    makeFolder(asked, 0o755)
    accessSync(asked, constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw new SetupError(
      `The data folder ${asked} cannot be written by this user: name another, or change its owner.`,
      cause,
    )
  }
  const path = realpathSync(asked)
  if (/["'\\$;#\p{Cc}]/u.test(path)) {
    throw new SetupError(
      `The path ${path} holds one of the characters " ' \\ $ ; # that the engines cannot take: name another.`,
    )
  }
  const owner = statSync(path).uid
  if (existsSync(join(path, 'VERSION')) && process.getuid !== undefined && owner !== process.getuid()) {
    throw new SetupError(`The data folder ${path} belongs to the user with id ${owner}: run Exhibit as that user.`)
  }
  checkVersion(path)
  makeFolder(join(path, 'log'), 0o700)
  makeFolder(join(path, 'run'), 0o755)
  return { path, keys: makeFolder(join(path, 'keys'), 0o700), settings: makeFolder(join(path, 'settings'), 0o700) }
}

/** Writes a file, for its owner only, that is either the old one or the whole new one. Says whether it held something else. */
export const writePrivate = (file: string, text: string): boolean => {
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return false
  const next = `${file}.${randomBytes(4).toString('hex')}.new`
  writeFileSync(next, text, { mode: 0o600, flush: true })
  renameSync(next, file)
  return true
}

/** What the file holds, or nothing when there is none. Throws a SetupError when it does not fit the schema. */
export const readKept = <Schema extends TSchema>(file: string, schema: Schema): Static<Schema> | undefined => {
  if (!existsSync(file)) return undefined
  try {
    const kept: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (Value.Check(schema, kept)) return kept
  } catch (cause) {
    throw new SetupError(`The file ${file} cannot be read: put back what was there.`, cause)
  }
  throw new SetupError(`The file ${file} does not hold what it should: put back what was there.`)
}

export const keep = (file: string, value: unknown): void => {
  writePrivate(file, `${JSON.stringify(value, null, 2)}\n`)
}

/** A password of letters and digits, so that it needs no escaping in addresses, SQL or configuration files. */
export const password = (): string => randomBytes(24).toString('hex')
