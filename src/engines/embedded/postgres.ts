import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Client, DatabaseError } from 'pg'
import { Type } from 'typebox'
import { type EngineStart, keep, openDataFolder, password, readKept } from './data-folder.ts'
import { makeOnce } from './make-once.ts'
import { choosePort } from './ports.ts'
import { postgresBinaries } from './postgres-binaries.ts'
import { giveTo, type PostgresUser, postgresUser } from './postgres-user.ts'
import { keepUp, leftover, type Program, type Running, stopProgram } from './processes.ts'
import { run } from './programs.ts'
import { SetupError } from './setup-error.ts'

export type EmbeddedPostgres = {
  host: string
  port: number
  pid: number
  /** For migrations: owns the databases, may create further ones. */
  ownerUrl(database: string): string
  /** For api and workers: may do what the migrations grant it. */
  appUrl(database: string): string
  /** The superuser: for set-up and tests only. */
  adminUrl(database: string): string
  /**
   * Makes a database of `exhibit_owner` that `exhibit_app` may connect to, with the content of the database `template` if
   * given (nobody may be connected to that one). One that exists already stays as it is.
   */
  createDatabase(name: string, template?: string): Promise<void>
  /** Ends its connections and removes it. No error when there is none. */
  dropDatabase(name: string): Promise<void>
  stop(): Promise<void>
}

const Kept = Type.Object({
  port: Type.Integer(),
  admin: Type.String(),
  owner: Type.String(),
  app: Type.String(),
})

const host = '127.0.0.1'

/** For a trial machine with a fast disk. Durability stays as it is by default: a commit is on disk. */
const options = {
  listen_addresses: host,
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '256MB',
  effective_cache_size: '1GB',
  maintenance_work_mem: '128MB',
  random_page_cost: '1.1',
  max_wal_size: '2GB',
  wal_compression: 'on',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] ',
  log_checkpoints: 'off',
}

/** Each line is one statement, all repeatable: what exists already is an error that the next line does not mind. */
const roles = (kept: { admin: string; owner: string; app: string }): string =>
  [
    `alter role postgres password '${kept.admin}'`,
    `create role exhibit_owner login createdb`,
    `create role exhibit_app login`,
    `alter role exhibit_owner password '${kept.owner}'`,
    `alter role exhibit_app password '${kept.app}'`,
    // The one extension in use that an ordinary owner may not create (btree_gist, pg_trgm and cube are trusted).
    `create extension if not exists earthdistance cascade`,
    '',
  ].join('\n')

const initialise = async (initdb: string, user: PostgresUser, folder: string): Promise<void> => {
  giveTo(user, folder)
  const [command = initdb, ...words] = [...user.through, initdb]
  const locale = ['--encoding=UTF8', '--no-locale', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
  const access = ['--username=postgres', '--auth=reject', '--auth-host=scram-sha-256']
  const all = [...words, '-D', folder, '--data-checksums', ...locale, ...access]
  await run('Making the database cluster', command, all, { cwd: '/', ...user })
}

/** Without the server: the one way in that needs no password. */
const setRoles = async (postgres: string, user: PostgresUser, folder: string, input: string): Promise<void> => {
  const [command = postgres, ...words] = [...user.through, postgres]
  const all = [...words, '--single', '-D', folder, 'template1']
  await run('Making the database roles', command, all, { cwd: '/', ...user, input })
}

const connected = async <T>(url: string, work: (client: Client) => Promise<T>): Promise<T> => {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}

const identifier = (name: string): string => {
  if (/^[a-z][a-z0-9_]{0,62}$/.test(name)) return `"${name}"`
  throw new TypeError(`${name} is not a name for a database: lower-case letters, digits and _ only`)
}

const isReady = async (url: string): Promise<boolean> => {
  try {
    return await connected(url, async (client) => (await client.query('select 1')).rowCount === 1)
  } catch (cause) {
    if (!(cause instanceof DatabaseError) || cause.code !== '28P01') return false
    throw new SetupError(
      'Postgres refuses the password kept in the data folder: put settings/postgres.json back.',
      cause,
    )
  }
}

/** After a reboot the number in Postgres's own pid file may be another program's, which Postgres would take for itself. */
const forgetForeignPid = (folder: string, marker: string): void => {
  const file = join(folder, 'postmaster.pid')
  if (!existsSync(file) || process.platform !== 'linux') return
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
  if (!existsSync(`/proc/${pid}/cmdline`)) return
  if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(marker)) rmSync(file)
}

/** The backends of a killed server live on for a moment, and it does not start beside them. */
const keepUpPastOrphans = async (program: Program, url: string): Promise<Running> => {
  for (const limit = Date.now() + 15_000; ; await delay(50)) {
    try {
      return await keepUp(program, { ready: () => isReady(url), seconds: 60 })
    } catch (error) {
      const busy = error instanceof Error && /shared memory block|postmaster\.pid" already exists/.test(error.message)
      if (!busy || Date.now() > limit) throw error
    }
  }
}

/**
 * Postgres 18 on loopback with its data in `<dataDir>/postgres`. One that runs there already is taken over. Roles
 * `exhibit_owner` and `exhibit_app` are made with the cluster, their passwords kept in `<dataDir>/settings/postgres.json`.
 */
export const startPostgres = async ({ dataDir, port, log, endWithParent }: EngineStart): Promise<EmbeddedPostgres> => {
  const folder = openDataFolder(dataDir)
  const { postgres, initdb } = postgresBinaries()
  const user = postgresUser(folder.path, postgres)
  const data = join(folder.path, 'postgres')
  const file = join(folder.settings, 'postgres.json')
  const before = readKept(file, Kept)
  const settings = Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const program: Program = {
    dataDir: folder.path,
    name: 'postgres',
    command: postgres,
    args: ['-D', data, ...settings],
    marker: data,
    cwd: '/',
    ...user,
    stopSignal: 'SIGINT',
    stopSeconds: 20,
    endWithParent,
  }
  const inUse = leftover(program) !== undefined
  const chosen = await choosePort({ what: 'Postgres', wanted: port, kept: before?.port, inUse })
  const kept = { admin: password(), owner: password(), app: password(), ...before, port: chosen }
  keep(file, kept)
  const url = (role: string, secret: string) => (name: string) =>
    `postgres://${role}:${secret}@${host}:${chosen}/${name}`
  const adminUrl = url('postgres', kept.admin)

  if (before === undefined && existsSync(data)) {
    await stopProgram(program)
    await setRoles(postgres, user, data, roles(kept))
  }
  await makeOnce(data, async (aside) => {
    log('Postgres: making the database cluster')
    await initialise(initdb, user, aside)
    await setRoles(postgres, user, aside, roles(kept))
  })
  giveTo(user, data)
  if (!inUse) forgetForeignPid(data, data)
  const running = await keepUpPastOrphans(
    { ...program, args: [...program.args, '-p', String(chosen)] },
    adminUrl('postgres'),
  )
  log(running.adopted ? 'Postgres: was still running' : `Postgres: ready on port ${chosen}`)

  return {
    host,
    port: chosen,
    pid: running.pid,
    ownerUrl: url('exhibit_owner', kept.owner),
    appUrl: url('exhibit_app', kept.app),
    adminUrl,
    createDatabase: async (name, template) =>
      await connected(adminUrl('postgres'), async (client) => {
        const database = identifier(name)
        const source = template === undefined ? '' : `template ${identifier(template)}`
        await client
          .query(`create database ${database} owner exhibit_owner ${source} encoding 'UTF8'`)
          .catch((error) => {
            if (!(error instanceof DatabaseError) || error.code !== '42P04') throw error
          })
        await client.query(`revoke all on database ${database} from public`)
        await client.query(`grant connect on database ${database} to exhibit_app`)
      }),
    dropDatabase: async (name) =>
      await connected(adminUrl('postgres'), async (client) => {
        await client.query(`drop database if exists ${identifier(name)} with (force)`)
      }),
    stop: async () => await stopProgram(program),
  }
}
