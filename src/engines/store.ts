import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import type { Config } from './config.ts'
import { ReadingAgent } from './reading-agent.ts'
import { makeLocks } from './store-locks.ts'
import { named, refusesDigest, refusesSecond, storeUnavailable, unavailable } from './store-refusals.ts'

export type Bucket = 'originals' | 'staging' | 'derived' | 'ledger'
export type StoredPart = { number: number; etag: string }
export type ObjectFacts = { size: number; version: string | undefined }

/** How often a request is made while the store is unavailable, and the longest pause between two. */
const usualTries = 4
const longestWaitMs = 1000
type Patience = { tries?: number; signal?: AbortSignal | undefined }

export type Store = ReturnType<typeof makeStore>

const nothing = () => undefined

const connections = { maxSockets: 256, keepAlive: true, noDelay: true }

/** An S3 client as the application configures it: no trailing checksums (not every store knows them), time-outs on all. */
export const makeS3Client = (config: Config, maxAttempts = 4, httpAgent?: ReadingAgent): S3Client =>
  new S3Client({
    endpoint: config.S3_ENDPOINT,
    region: config.S3_REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: config.S3_ACCESS_KEY, secretAccessKey: config.S3_SECRET_KEY },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts,
    // What it would say by itself goes to the terminal.
    logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    requestHandler: {
      connectionTimeout: 5000,
      socketTimeout: config.S3_TIMEOUT_SECONDS * 1000,
      httpAgent: httpAgent ?? connections,
      // Over TLS bytes come out of the decryption, into memory of its own.
      httpsAgent: connections,
    },
  })

/** The four buckets. Every call throws Problem `store-unavailable` when the store cannot be reached or refuses to work. */
export const makeStore = (config: Config) => {
  // It tries again itself (`guarded`): four time-outs one after the other are too long for whoever waits.
  const client = makeS3Client(config, 1)
  // Streams out of the store have connections of their own: people who read slowly must not hold up docks.
  const reading = makeS3Client(config, 1, new ReadingAgent(connections))
  const digests = new WeakMap<object, Buffer>()
  // Puts our own digest into the signed `x-amz-content-sha256`, so that the store checks the body against it.
  client.middlewareStack.add(
    (next) => async (args) => {
      const body: unknown = 'Body' in args.input ? args.input.Body : undefined
      const sha256 = typeof body === 'object' && body !== null ? digests.get(body) : undefined
      const { request } = args
      if (sha256 !== undefined && typeof request === 'object' && request !== null && 'headers' in request) {
        Object.assign(request.headers ?? {}, { 'x-amz-content-sha256': sha256.toString('hex') })
      }
      return await next(args)
    },
    { step: 'build', name: 'signGivenDigest' },
  )
  const buckets: Record<Bucket, string> = {
    originals: config.S3_ORIGINALS,
    staging: config.S3_STAGING,
    derived: config.S3_DERIVED,
    ledger: config.S3_LEDGER,
  }
  const at = (bucket: Bucket, key: string) => ({ Bucket: buckets[bucket], Key: config.S3_KEY_PREFIX + key })
  const options = (signal?: AbortSignal) => (signal === undefined ? {} : { abortSignal: signal })

  /** Tries again while the store is unavailable: `tries` times at most, and for S3_TIMEOUT_SECONDS in all. */
  const guarded = async <T>(work: () => Promise<T>, { tries = usualTries, signal }: Patience = {}): Promise<T> => {
    const until = performance.now() + config.S3_TIMEOUT_SECONDS * 1000
    for (let tried = 1; ; tried++) {
      try {
        return await work()
      } catch (error) {
        if (!unavailable(error)) throw error
        const waitMs = Math.min(100 * 2 ** (tried - 1), longestWaitMs) * (0.5 + Math.random() / 2)
        if (tried >= tries || performance.now() + waitMs > until) throw storeUnavailable(error)
        await delay(waitMs, undefined, signal === undefined ? {} : { signal })
      }
    }
  }

  /** Sends bytes under the digest that the store must find in them; bytes damaged on the way are sent again. */
  const underDigest = async <T>(
    body: Buffer,
    sha256: Buffer,
    send: () => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> => {
    digests.set(body, sha256)
    for (let attempt = 1; ; attempt++) {
      try {
        return await guarded(send, { tries: Number.POSITIVE_INFINITY, signal })
      } catch (error) {
        if (!refusesDigest(error)) throw error
        if (attempt === 3) throw storeUnavailable(error, 'What reaches the object store is not what is sent to it.')
      }
    }
  }

  /** Multipart uploads under way for keys that begin so, 1,000 at most: call again after ending them. */
  const multipartsUnder = async (bucket: Bucket, prefix: string): Promise<{ key: string; multipart: string }[]> => {
    const { Key: Prefix, ...rest } = at(bucket, prefix)
    const found = await guarded(() => client.send(new ListMultipartUploadsCommand({ ...rest, Prefix })))
    return (found.Uploads ?? []).flatMap(({ Key = '', UploadId }) =>
      UploadId === undefined ? [] : [{ key: Key.slice(config.S3_KEY_PREFIX.length), multipart: UploadId }],
    )
  }

  return {
    client,
    bucketNames: buckets,

    answers: async (): Promise<void> => {
      await guarded(() => client.send(new HeadBucketCommand({ Bucket: buckets.originals })), { tries: 2 })
    },

    startMultipart: async (bucket: Bucket, key: string, mediaType: string): Promise<string> => {
      const { UploadId } = await guarded(() =>
        client.send(new CreateMultipartUploadCommand({ ...at(bucket, key), ContentType: mediaType })),
      )
      if (UploadId === undefined) throw new Error('the store began a multipart upload without an id')
      return UploadId
    },

    /** Stores one part, overwriting an earlier one of that number. `sha256` is the digest of `body`. Answers its ETag. */
    putPart: async (
      bucket: Bucket,
      key: string,
      multipart: string,
      part: { number: number; body: Buffer; sha256: Buffer },
      signal?: AbortSignal,
    ): Promise<string> =>
      await underDigest(
        part.body,
        part.sha256,
        async () => {
          const command = new UploadPartCommand({
            ...at(bucket, key),
            UploadId: multipart,
            PartNumber: part.number,
            Body: part.body,
            ContentLength: part.body.length,
          })
          const { ETag } = await client.send(command, options(signal))
          if (ETag === undefined) throw new Error('the store kept a part without an ETag')
          return ETag
        },
        signal,
      ),

    /**
     * Stores one part whose bytes still come in, `part.size` of them; `sha256` is what their digest will be. Not tried again,
     * since they come only once.
     */
    streamPart: async (
      bucket: Bucket,
      key: string,
      multipart: string,
      part: { number: number; body: Readable; size: number; sha256: Buffer },
      signal: AbortSignal,
    ): Promise<string> => {
      digests.set(part.body, part.sha256)
      const command = new UploadPartCommand({
        ...at(bucket, key),
        UploadId: multipart,
        PartNumber: part.number,
        Body: part.body,
        ContentLength: part.size,
      })
      const { ETag } = await client.send(command, options(signal))
      if (ETag === undefined) throw new Error('the store kept a part without an ETag')
      return ETag
    },

    /** Whether the store still knows this multipart upload: false once it is complete or was aborted. */
    knowsMultipart: async (bucket: Bucket, key: string, multipart: string): Promise<boolean> => {
      try {
        await guarded(() => client.send(new ListPartsCommand({ ...at(bucket, key), UploadId: multipart, MaxParts: 1 })))
        return true
      } catch (error) {
        if (named(error, 'NoSuchUpload', 'NoSuchKey')) return false
        throw error
      }
    },

    /**
     * Completes an object. Nothing happens when the store no longer knows this multipart upload, which may be complete, or
     * no longer has a part as it acknowledged it.
     */
    completeMultipart: async (bucket: Bucket, key: string, multipart: string, parts: StoredPart[]): Promise<void> => {
      try {
        await guarded(() =>
          client.send(
            new CompleteMultipartUploadCommand({
              ...at(bucket, key),
              UploadId: multipart,
              MultipartUpload: { Parts: parts.map((part) => ({ PartNumber: part.number, ETag: part.etag })) },
            }),
          ),
        )
      } catch (error) {
        if (!named(error, 'NoSuchUpload', 'InvalidPart')) throw error
      }
    },

    /** Every part that a multipart upload holds, in order, acknowledged or not. */
    partsHeld: async (bucket: Bucket, key: string, multipart: string): Promise<StoredPart[]> => {
      const held: StoredPart[] = []
      for (let after: string | undefined; ; ) {
        const { Parts, ...page } = await guarded(() =>
          client.send(new ListPartsCommand({ ...at(bucket, key), UploadId: multipart, PartNumberMarker: after })),
        )
        for (const { PartNumber: number, ETag: etag } of Parts ?? [])
          if (number !== undefined && etag !== undefined) held.push({ number, etag })
        if (page.IsTruncated !== true || page.NextPartNumberMarker === undefined) return held
        after = page.NextPartNumberMarker
      }
    },

    /** Copies the bytes `first` to `last` inclusive of a version under the same key into a part. Answers its ETag. */
    copyPart: async (
      bucket: Bucket,
      key: string,
      multipart: string,
      part: { number: number; version: string; first: number; last: number },
    ): Promise<string> => {
      const { Bucket, Key } = at(bucket, key)
      const command = new UploadPartCopyCommand({
        Bucket,
        Key,
        UploadId: multipart,
        PartNumber: part.number,
        CopySource: `${Bucket}/${Key}?versionId=${part.version}`,
        CopySourceRange: `bytes=${part.first}-${part.last}`,
      })
      const { CopyPartResult } = await guarded(() => client.send(command))
      if (CopyPartResult?.ETag === undefined) throw new Error('the store copied a part without an ETag')
      return CopyPartResult.ETag
    },

    /** Multipart uploads under way for exactly this key. */
    multiparts: async (bucket: Bucket, key: string): Promise<string[]> =>
      (await multipartsUnder(bucket, key)).flatMap((each) => (each.key === key ? [each.multipart] : [])),

    multipartsUnder,

    abortMultipart: async (bucket: Bucket, key: string, multipart: string): Promise<void> => {
      try {
        await guarded(() => client.send(new AbortMultipartUploadCommand({ ...at(bucket, key), UploadId: multipart })))
      } catch (error) {
        if (!named(error, 'NoSuchUpload', 'NoSuchKey')) throw error
      }
    },

    put: async (bucket: Bucket, key: string, body: Buffer, sha256: Buffer, signal?: AbortSignal): Promise<void> => {
      await underDigest(
        body,
        sha256,
        async () => {
          const command = new PutObjectCommand({ ...at(bucket, key), Body: body, ContentLength: body.length })
          await client.send(command, options(signal))
        },
        signal,
      )
    },

    /**
     * Stores an object where none is, and answers whether it did: false where one is there already, which is then left as
     * it is. The caller compares: a store that knows no conditional writes may have taken this one all the same.
     */
    putNew: async (bucket: Bucket, key: string, body: Buffer, sha256: Buffer): Promise<boolean> => {
      const input = { ...at(bucket, key), Body: body, ContentLength: body.length, IfNoneMatch: '*' }
      try {
        await underDigest(body, sha256, async () => await client.send(new PutObjectCommand(input)))
        return true
      } catch (error) {
        if (refusesSecond(error)) return false
        throw error
      }
    },

    /** The whole of a small object. Null when it is not there. */
    readWhole: async (bucket: Bucket, key: string): Promise<Buffer | null> => {
      try {
        return await guarded(async () => {
          const { Body } = await reading.send(new GetObjectCommand(at(bucket, key)))
          return Body === undefined ? null : Buffer.from(await Body.transformToByteArray())
        })
      } catch (error) {
        if (named(error, 'NoSuchKey', 'NotFound')) return null
        throw error
      }
    },

    /** What is there under the key: its size and current version; null when nothing is. */
    facts: async (bucket: Bucket, key: string): Promise<ObjectFacts | null> => {
      try {
        const head = await guarded(() => client.send(new HeadObjectCommand(at(bucket, key))))
        return { size: head.ContentLength ?? 0, version: head.VersionId }
      } catch (error) {
        if (named(error, 'NotFound', 'NoSuchKey')) return null
        throw error
      }
    },

    /** A stream of the object, or of the bytes `range.first` to `range.last` inclusive. Null when it is not there. */
    read: async (
      bucket: Bucket,
      key: string,
      wanted: { version?: string; range?: { first: number; last: number }; signal?: AbortSignal } = {},
    ): Promise<Readable | null> => {
      try {
        const { Body } = await guarded(() =>
          reading.send(
            new GetObjectCommand({
              ...at(bucket, key),
              ...(wanted.version === undefined ? {} : { VersionId: wanted.version }),
              ...(wanted.range === undefined ? {} : { Range: `bytes=${wanted.range.first}-${wanted.range.last}` }),
            }),
            options(wanted.signal),
          ),
        )
        if (Body === undefined || !('pipe' in Body)) throw new Error('the store answered without a stream')
        return Body
      } catch (error) {
        if (named(error, 'NoSuchKey', 'NoSuchVersion', 'NotFound')) return null
        throw error
      }
    },

    /** Deletes an object, or one version of it. What is not there is no error. */
    delete: async (bucket: Bucket, key: string, version?: string): Promise<void> => {
      await guarded(() =>
        client.send(
          new DeleteObjectCommand({ ...at(bucket, key), ...(version === undefined ? {} : { VersionId: version }) }),
        ),
      )
    },

    /** Keys under a prefix, 1,000 at most: call again after deleting them, or for those after the last. */
    list: async (bucket: Bucket, prefix: string, after?: string): Promise<string[]> => {
      const { Key, ...rest } = at(bucket, prefix)
      const from = after === undefined ? {} : { StartAfter: at(bucket, after).Key }
      const found = await guarded(() => client.send(new ListObjectsV2Command({ ...rest, ...from, Prefix: Key })))
      return (found.Contents ?? []).flatMap((object) =>
        object.Key === undefined ? [] : [object.Key.slice(config.S3_KEY_PREFIX.length)],
      )
    },

    /** Every version and delete marker under exactly this key. */
    versions: async (bucket: Bucket, key: string): Promise<string[]> => {
      const { Key, ...rest } = at(bucket, key)
      const found = await guarded(() => client.send(new ListObjectVersionsCommand({ ...rest, Prefix: Key })))
      return [...(found.Versions ?? []), ...(found.DeleteMarkers ?? [])].flatMap((version) =>
        version.Key === Key && version.VersionId !== undefined ? [version.VersionId] : [],
      )
    },

    ...makeLocks({ client, bucket: buckets.originals, at: (key) => at('originals', key), guarded }),

    close: (): void => {
      client.destroy()
      reading.destroy()
    },
  }
}
