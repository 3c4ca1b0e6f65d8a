import { existsSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Static, Type } from 'typebox'
import { type DataFolder, keep, readKept } from '../../engines/embedded/data-folder.ts'
import { SetupError } from '../../engines/embedded/setup-error.ts'

const Whereabouts = Type.Object({
  /** Of the api, without a path. */
  url: Type.String(),
  /** Of the tokens of people. */
  issuer: Type.String(),
  dataDir: Type.String(),
  /** Of the supervisor. */
  pid: Type.Integer(),
})

/** Where a running installation is reached. Nothing of it is secret. */
export type Whereabouts = Static<typeof Whereabouts>

const Environment = Type.Record(Type.String(), Type.String())

/** `.data` in the project. */
export const defaultDataDir = resolve(import.meta.dirname, '../../../.data')

const addressesIn = (dataDir: string) => join(dataDir, 'run', 'installation.json')
const settingsIn = (dataDir: string) => join(dataDir, 'settings', 'environment.json')

/** Written when the installation is ready, for the other commands. */
export const writeWhereabouts = (whereabouts: Whereabouts): void => keep(addressesIn(whereabouts.dataDir), whereabouts)

export const forgetWhereabouts = (dataDir: string): void => rmSync(addressesIn(dataDir), { force: true })

/** Keeps the variables that the api and the worker run with, which hold the passwords of the engines. */
export const writeEnvironment = ({ path }: Pick<DataFolder, 'path'>, environment: Record<string, string>): void =>
  keep(settingsIn(path), environment)

/** Where the installation in this folder is reached. Throws a SetupError when none is up. */
export const whereaboutsOf = (dataDir: string): Whereabouts => {
  const found = readKept(addressesIn(resolve(dataDir)), Whereabouts)
  if (found !== undefined) return found
  throw new SetupError(`No installation is up in ${resolve(dataDir)}: start it with \`npm run exhibit -- up\`.`)
}

/** The variables of the installation in this folder, up or not. Throws a SetupError when there never was one. */
const environmentIn = (dataDir: string): Record<string, string> => {
  const found = readKept(settingsIn(resolve(dataDir)), Environment)
  if (found !== undefined) return found
  throw new SetupError(
    `No installation was ever started in ${resolve(dataDir)}: name the folder that \`up\` was given.`,
  )
}

/**
 * The variables of the installation meant: of the data folder if one is named, else of this process if `variable` is set in
 * it, else of the data folder that `up` takes by itself, if there is one.
 */
export const environmentMeant = (dataDir: string | undefined, variable: string): Record<string, string | undefined> => {
  if (dataDir !== undefined) return environmentIn(dataDir)
  if (process.env[variable] || !existsSync(settingsIn(defaultDataDir))) return process.env
  return environmentIn(defaultDataDir)
}
