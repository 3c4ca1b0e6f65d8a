import {
  AbortMultipartUploadCommand,
  DeleteObjectsCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  type S3Client,
} from '@aws-sdk/client-s3'

const abortUploads = async (client: S3Client, Bucket: string): Promise<void> => {
  for (;;) {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }))
    if (Uploads.length === 0) return
    await Promise.all(
      Uploads.map(({ Key, UploadId }) => client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))),
    )
  }
}

const deleteVersions = async (client: S3Client, Bucket: string): Promise<void> => {
  for (;;) {
    const { Versions = [], DeleteMarkers = [] } = await client.send(
      new ListObjectVersionsCommand({ Bucket, MaxKeys: 500 }),
    )
    const Objects = [...Versions, ...DeleteMarkers].map(({ Key, VersionId }) => ({ Key, VersionId }))
    if (Objects.length === 0) return
    await client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true }, BypassGovernanceRetention: true }),
    )
  }
}

/** Everything in these buckets goes, unfinished uploads too: the store belongs to the bench alone. */
export const emptyBuckets = async (client: S3Client, buckets: string[]): Promise<void> => {
  for (const bucket of buckets) {
    await abortUploads(client, bucket)
    await deleteVersions(client, bucket)
  }
}
