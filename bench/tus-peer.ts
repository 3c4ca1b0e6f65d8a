import { S3Store } from '@tus/s3-store'
import { Server } from '@tus/server'

/** `@tus/server` with `@tus/s3-store` as its documentation sets it up, on the same S3. Configured by the environment. */

const { PEER_PORT = '', PEER_BUCKET = '', PEER_ENDPOINT = '', PEER_REGION = '', PEER_KEY = '', PEER_SECRET = '' } =
  process.env

const datastore = new S3Store({
  partSize: 8 * 1024 * 1024,
  // This S3 knows no object tags on uploads in parts.
  useTags: false,
  s3ClientConfig: {
    bucket: PEER_BUCKET,
    endpoint: PEER_ENDPOINT,
    region: PEER_REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: PEER_KEY, secretAccessKey: PEER_SECRET },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  },
})

new Server({ path: '/files', datastore, relativeLocation: true }).listen({ host: '127.0.0.1', port: Number(PEER_PORT) })
process.on('SIGTERM', () => process.exit(0))
