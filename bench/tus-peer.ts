import { S3Store } from '@tus/s3-store'
import { Server } from '@tus/server'

/** `@tus/server` with `@tus/s3-store`, set up as their documentation does, on the same S3. */

const { env } = process
const datastore = new S3Store({
  partSize: 8 * 1024 * 1024,
  // This store keeps no tags of uploads in parts.
  useTags: false,
  s3ClientConfig: {
    bucket: env.PEER_BUCKET ?? '',
    endpoint: env.S3_ENDPOINT ?? '',
    region: env.S3_REGION ?? '',
    forcePathStyle: true,
    credentials: { accessKeyId: env.S3_ACCESS_KEY ?? '', secretAccessKey: env.S3_SECRET_KEY ?? '' },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  },
})

new Server({ path: '/files', datastore, relativeLocation: true }).listen({
  host: '127.0.0.1',
  port: Number(env.PEER_PORT),
})
process.on('disconnect', () => process.exit(0))
