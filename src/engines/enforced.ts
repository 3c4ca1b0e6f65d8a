import { randomUUID } from 'node:crypto'
import {
  DeleteObjectCommand,
  GetBucketVersioningCommand,
  HeadObjectCommand,
  PutObjectCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import type { Config } from './config.ts'
import type { Log } from './log.ts'
import { makeS3Client } from './store.ts'
import { named, refusesDigest, refusesSecond } from './store-refusals.ts'

/** What the store really does, found out by trying. */
export type StorePromises = { versions: boolean; lock: boolean; digests: boolean; once: boolean }

/**
 * Learns by deeds what the store enforces: of originals, whether versions are kept, whether a locked version resists its
 * deletion (some stores accept the lock and delete all the same) and whether bytes under a wrong digest are refused; of the
 * log, whether a write that may only make a new object leaves one that is there alone.
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
      once: await writesOnce(client, config),
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
  } catch (error) {
    if (refusesDigest(error)) return true
    throw error
  }
}

/** In the log's bucket: there are stores that keep this promise only where no versions are kept. */
const writesOnce = async (client: S3Client, config: Config): Promise<boolean> => {
  const at = { ...probeAt(config), Bucket: config.S3_LEDGER }
  const versions = [(await client.send(new PutObjectCommand({ ...at, Body: 'probe' }))).VersionId]
  try {
    versions.push((await client.send(new PutObjectCommand({ ...at, Body: 'again', IfNoneMatch: '*' }))).VersionId)
    return false
  } catch (error) {
    if (refusesSecond(error)) return true
    if (named(error, 'NotImplemented')) return false
    throw error
  } finally {
    for (const VersionId of versions)
      await client.send(new DeleteObjectCommand({ ...at, VersionId })).catch(() => undefined)
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
    promises.once
      ? 'what the log published is not written over'
      : "NO WRITING ONCE: a worker that stood still could write over what the log published (some stores refuse it only where no versions are kept: keep none in the log's bucket)",
  ].join('; ')

/** What the store enforces, as far as this process has learnt it. */
export type Enforced = {
  known(): StorePromises | undefined
  /** Learns it when it is not known yet; undefined when it cannot be learnt just now. Never throws. */
  learn(): Promise<StorePromises | undefined>
}

export const makeEnforced = (config: Config, log: Log): Enforced => {
  let known: StorePromises | undefined
  let running: Promise<StorePromises | undefined> | undefined
  const learn = async (): Promise<StorePromises | undefined> => {
    try {
      known = await learnStorePromises(config)
      log[Object.values(known).every(Boolean) ? 'info' : 'warn']({ ...known }, 'what the store enforces')
    } catch {
      log.warn('what the store enforces could not be learnt')
    } finally {
      running = undefined
    }
    return known
  }
  return {
    known: () => known,
    learn: async () => {
      if (known !== undefined) return known
      running ??= learn()
      return await running
    },
  }
}
