import { createHmac } from 'node:crypto'
import { sha256 } from '../src/base/digest.ts'
import type { Bucket } from '../src/engines/store.ts'
import type { Installation } from './installation.ts'
import type { Stack } from './stack.ts'

/** An object of the store, and what opens it. */
export type ObjectAt = {
  endpoint: string
  region: string
  accessKey: string
  secretKey: string
  bucket: string
  key: string
}

const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** An address that needs no header for ten minutes (AWS signature version 4 in the query). */
export const presigned = ({ endpoint, region, accessKey, secretKey, bucket, key }: ObjectAt): string => {
  const time = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const day = time.slice(0, 8)
  const scope = `${day}/${region}/s3/aws4_request`
  const url = new URL(`${endpoint}/${bucket}/${key}`)
  const query = new URLSearchParams({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${accessKey}/${scope}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': '600',
    'X-Amz-SignedHeaders': 'host',
  })
  const request = ['GET', url.pathname, query.toString(), `host:${url.host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join('\n')
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(request).toString('hex')].join('\n')
  const signing = [day, region, 's3', 'aws4_request'].reduce<Buffer | string>(hmac, `AWS4${secretKey}`)
  return `${url}?${query}&X-Amz-Signature=${hmac(signing, toSign).toString('hex')}`
}

/** Where an object of this installation lies, for those who go there by themselves. */
export const objectAt = (stack: Stack, { engines }: Installation, bucket: Bucket, key: string): ObjectAt => {
  const { endpoint, region, accessKey, secretKey } = stack.engines.gateway
  const { bucketNames } = engines.store
  return {
    endpoint,
    region,
    accessKey,
    secretKey,
    bucket: bucketNames[bucket],
    key: engines.config.S3_KEY_PREFIX + key,
  }
}
