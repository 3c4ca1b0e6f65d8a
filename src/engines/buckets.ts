import { randomUUID } from 'node:crypto'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
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

/** What the store really does, found out by trying. */
export type StorePromises = { versions: boolean; lock: boolean; digests: boolean }

/**
 * Learns by deeds what the store enforces on originals: whether versions are kept, whether a locked version resists its
 * deletion (some stores accept the lock and delete all the same), and whether bytes under a wrong digest are refused.
 */
export const learnStorePromises = async (config: Config): Promise<StorePromises> => {
  const client = makeS3Client(config)
  try {
    const versions =
      (await client.send(new GetBucketVersioningCommand({ Bucket: config.S3_ORIGINALS }))).Status === 'Enabled'
    return {
      versions,
      lock: versions && (await resistsDeletion(client, config)),
      digests: await refusesWrongDigest(client, config),
    }
  } finally {
    client.destroy()
  }
}

const probeAt = (config: Config) => ({
  Bucket: config.S3_ORIGINALS,
  Key: `${config.S3_KEY_PREFIX}probes/${randomUUID()}`,
})

const resistsDeletion = async (client: S3Client, config: Config): Promise<boolean> => {
  const at = probeAt(config)
  const { VersionId } = await client.send(new PutObjectCommand({ ...at, Body: 'probe' }))
  const RetainUntilDate = new Date(Date.now() + 60_000)
  let accepted = false
  try {
    await client.send(
      new PutObjectRetentionCommand({ ...at, VersionId, Retention: { Mode: 'GOVERNANCE', RetainUntilDate } }),
    )
    accepted = true
    await client.send(new DeleteObjectCommand({ ...at, VersionId }))
  } catch {
    // Stores refuse in different words, and a refusal is no proof: what counts is whether the version is still there.
  }
  const stillThere = await client.send(new HeadObjectCommand({ ...at, VersionId })).then(
    () => true,
    () => false,
  )
  await client
    .send(new DeleteObjectCommand({ ...at, VersionId, BypassGovernanceRetention: true }))
    .catch(() => undefined)
  return accepted && stillThere
}

const refusesWrongDigest = async (client: S3Client, config: Config): Promise<boolean> => {
  const at = probeAt(config)
  const command = new PutObjectCommand({ ...at, Body: 'probe' })
  command.middlewareStack.add(
    (next) => async (args) => {
      const { request } = args
      if (typeof request === 'object' && request !== null && 'headers' in request) {
        Object.assign(request.headers ?? {}, { 'x-amz-content-sha256': '0'.repeat(64) })
      }
      return await next(args)
    },
    { step: 'build', name: 'wrongDigest' },
  )
  try {
    const { VersionId } = await client.send(command)
    await client.send(new DeleteObjectCommand({ ...at, VersionId })).catch(() => undefined)
    return false
  } catch {
    return true
  }
}

/** The promises in words, for `/readyz` and `exhibit doctor`. */
export const promisesInWords = (promises: StorePromises): string =>
  [
    promises.versions
      ? 'versions are kept'
      : 'NO VERSIONS: an original could be overwritten by whoever holds the key of the store',
    promises.lock
      ? 'a locked version resists deletion'
      : 'NO LOCK: grace and holds are kept by Exhibit alone, not by the store',
    promises.digests
      ? 'bytes under a wrong digest are refused'
      : 'NO DIGEST CHECK: damage on the way is found at read-back only',
  ].join('; ')
