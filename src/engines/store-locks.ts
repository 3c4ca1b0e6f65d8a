import {
  GetObjectRetentionCommand,
  HeadBucketCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from '@aws-sdk/client-s3'

type Reached = {
  client: S3Client
  bucket: string
  at(key: string): { Bucket: string; Key: string }
  guarded<T>(work: () => Promise<T>): Promise<T>
}

/** What stores answer of an object that bears no lock, or in a bucket that knows none. */
const unlocked = new Set([
  'NoSuchObjectLockConfiguration',
  'ObjectLockConfigurationNotFoundError',
  'InvalidRequest',
  'NoSuchKey',
  'NoSuchVersion',
  'NotFound',
])

/** Locks on versions of originals, and the clock by which the store counts them. GOVERNANCE only, and never bypassed. */
export const makeLocks = ({ client, bucket, at, guarded }: Reached) => {
  const lockedUntil = async (key: string, version: string): Promise<Date | null> => {
    try {
      const command = new GetObjectRetentionCommand({ ...at(key), VersionId: version })
      return (await guarded(() => client.send(command))).Retention?.RetainUntilDate ?? null
    } catch (error) {
      if (error instanceof Error && unlocked.has(error.name)) return null
      throw error
    }
  }

  return {
    /** The store's own time, to the second, from the head of an answer of its. */
    now: async (): Promise<Date> => {
      let date: string | undefined
      const command = new HeadBucketCommand({ Bucket: bucket })
      command.middlewareStack.add(
        (next) => async (args) => {
          const answer = await next(args)
          const { response } = answer
          if (typeof response === 'object' && response !== null && 'headers' in response)
            date = dateIn(response.headers)
          return answer
        },
        { step: 'deserialize', name: 'readDate' },
      )
      await guarded(() => client.send(command))
      const now = new Date(date ?? '')
      if (Number.isNaN(now.getTime())) throw new Error('the store answers without its time')
      return now
    },

    /** When the version may be deleted at the earliest, as the store sees it; null when it bears no lock. */
    lockedUntil,

    /** Locks a version until then, unless it is locked for longer already. Answers until when it is locked. */
    lock: async (key: string, version: string, until: Date): Promise<Date> => {
      const before = await lockedUntil(key, version)
      if (before !== null && before >= until) return before
      const Retention = { Mode: 'GOVERNANCE', RetainUntilDate: until } as const
      const command = new PutObjectRetentionCommand({ ...at(key), VersionId: version, Retention })
      await guarded(() => client.send(command))
      return until
    },

    /** A legal hold: while it is on, the store deletes the version for nobody. */
    setLegalHold: async (key: string, version: string, on: boolean): Promise<void> => {
      const LegalHold = { Status: on ? 'ON' : 'OFF' } as const
      await guarded(() => client.send(new PutObjectLegalHoldCommand({ ...at(key), VersionId: version, LegalHold })))
    },
  }
}

const dateIn = (headers: unknown): string | undefined => {
  if (typeof headers !== 'object' || headers === null || !('date' in headers)) return undefined
  return typeof headers.date === 'string' ? headers.date : undefined
}
