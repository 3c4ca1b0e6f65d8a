import { setTimeout as delay } from 'node:timers/promises'
import { Command } from 'commander'
import { migrate } from '../engines/migrate.ts'
import { databaseLost } from '../engines/postgres.ts'
import { Failure } from './failure.ts'
import { environmentMeant } from './up/whereabouts.ts'
import { counted } from './words.ts'

const inWords = (error: unknown): unknown => {
  if (databaseLost(error)) return new Failure('The database at DATABASE_OWNER_URL does not answer.', error)
  if (!(error instanceof Error)) return error
  const code = 'code' in error ? error.code : undefined
  if (code === '28P01' || code === '28000')
    return new Failure('The database refuses the user or password in DATABASE_OWNER_URL.', error)
  if (code === '3D000') return new Failure('The database that DATABASE_OWNER_URL names does not exist.', error)
  if (code === '42704') return new Failure('The role exhibit_app is missing: make it first (docs/operate.md).', error)
  if (/previously executed migration .* is missing|corrupted migrations/.test(error.message)) {
    return new Failure('The database was migrated by a newer Exhibit than this one: start that newer version.', error)
  }
  return error
}

/** Brings the database up to this code. Answers the migrations that ran; throws Failure for what an operator can mend. */
export const migrateInWords = async (ownerUrl: string): Promise<string[]> => {
  try {
    return await migrate(ownerUrl)
  } catch (error) {
    throw inWords(error)
  }
}

/** Seconds, as an option of the command line. Throws Failure. */
export const readSeconds = (text: string): number => {
  if (/^\d{1,5}$/.test(text)) return Number(text)
  throw new Failure(`${text} is not a number of seconds.`)
}

/** Does it again each second for as long as `isWorthIt` says so of its error, and `seconds` are not over. */
export const withPatience = async <T>(
  seconds: number,
  isWorthIt: (error: unknown) => boolean,
  work: () => Promise<T>,
): Promise<T> => {
  for (const limit = performance.now() + seconds * 1000; ; await delay(1000)) {
    try {
      return await work()
    } catch (error) {
      if (performance.now() > limit || !isWorthIt(error)) throw error
    }
  }
}

const cameLate = (error: unknown) => error instanceof Failure && databaseLost(error.cause)

export const migrateCommand = (): Command =>
  new Command('migrate')
    .description('Bring the database up to this release, as the role exhibit_owner (DATABASE_OWNER_URL)')
    .option('--data <folder>', 'the installation of this data folder, in place of the environment')
    .option('--wait <seconds>', 'how long to wait for the database to answer', readSeconds, 0)
    .option('--json', 'answer as JSON')
    .action(async ({ data, wait, json }: { data?: string; wait: number; json?: true }) => {
      const { DATABASE_OWNER_URL: ownerUrl } = environmentMeant(data, 'DATABASE_OWNER_URL')
      if (!ownerUrl) throw new Failure('Set DATABASE_OWNER_URL, or name a data folder with --data.')
      const ran = await withPatience(wait, cameLate, async () => await migrateInWords(ownerUrl))
      if (json) return console.log(JSON.stringify({ ran }))
      for (const name of ran) console.log(`ran ${name}`)
      console.log(ran.length === 0 ? 'The database was up to date.' : `${counted(ran.length, 'migration')} ran.`)
    })
