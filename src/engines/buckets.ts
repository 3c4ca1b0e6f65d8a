import { CreateBucketCommand, HeadBucketCommand, PutBucketVersioningCommand, type S3Client } from '@aws-sdk/client-s3'
import type { Config } from './config.ts'
import { makeS3Client } from './store.ts'

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '')

const makeBucket = async (client: S3Client, Bucket: string, locked: boolean): Promise<boolean> => {
  try {
    await client.send(new HeadBucketCommand({ Bucket }))
    return false
  } catch (error) {
    if (!['NotFound', 'NoSuchBucket'].includes(nameOf(error))) throw error
  }
  await client.send(new CreateBucketCommand({ Bucket, ...(locked ? { ObjectLockEnabledForBucket: true } : {}) }))
  if (locked)
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }))
  return true
}

/** Makes the four buckets where they are missing: originals with versions and Object Lock. Answers the names it made. */
export const makeBuckets = async (config: Config): Promise<string[]> => {
  const client = makeS3Client(config)
  try {
    const made: string[] = []
    for (const name of [config.S3_ORIGINALS, config.S3_STAGING, config.S3_DERIVED, config.S3_LEDGER]) {
      if (await makeBucket(client, name, name === config.S3_ORIGINALS)) made.push(name)
    }
    return made
  } finally {
    client.destroy()
  }
}
