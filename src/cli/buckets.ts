import { Command } from 'commander'
import { makeBuckets } from '../engines/buckets.ts'
import { readConfig } from '../engines/config.ts'
import { Failure } from './failure.ts'
import { readSeconds, withPatience } from './migrate.ts'
import { environmentMeant } from './up/whereabouts.ts'

const inWords = (error: unknown): unknown => {
  if (!(error instanceof Error)) return error
  if (/^(InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|Forbidden|403)$/.test(error.name))
    return new Failure('The store refuses S3_ACCESS_KEY and S3_SECRET_KEY, or does not let them make buckets.', error)
  if (error.name === 'NotImplemented')
    return new Failure('The store cannot make a bucket with versions and Object Lock: choose one that can.', error)
  if ('$fault' in error) return error
  return new Failure('The store at S3_ENDPOINT does not answer.', error)
}

const cameLate = (error: unknown) =>
  error instanceof Error && !(error.cause instanceof Error && '$fault' in error.cause)

export const bucketsCommand = (): Command =>
  new Command('buckets')
    .description('Make the four buckets where they are missing: the originals with versions and Object Lock')
    .option('--data <folder>', 'the installation of this data folder, in place of the environment')
    .option('--wait <seconds>', 'how long to wait for the store to answer', readSeconds, 0)
    .option('--json', 'answer as JSON')
    .action(async ({ data, wait, json }: { data?: string; wait: number; json?: true }) => {
      const config = readConfig(environmentMeant(data, 'S3_ENDPOINT'))
      const made = await withPatience(wait, cameLate, async () => {
        try {
          return await makeBuckets(config)
        } catch (error) {
          throw inWords(error)
        }
      })
      if (json) return console.log(JSON.stringify({ made }))
      console.log(made.length === 0 ? 'All four buckets were there.' : `Made ${made.join(', ')}.`)
    })
