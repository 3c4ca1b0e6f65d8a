import { execFile } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { promisify } from 'node:util'
import { sha256 } from '../src/base/digest.ts'

/** The peer of whatever reads an object and hashes it: `curl` piped into `openssl dgst`. */

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
const presigned = ({ endpoint, region, accessKey, secretKey, bucket, key }: ObjectAt): string => {
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

const run = promisify(execFile)

/** Seconds it takes. Throws when the digest is another than this one. */
export const curlDigestSeconds = async (at: ObjectAt, digest: string): Promise<number> => {
  const url = presigned(at)
  const began = performance.now()
  const { stdout } = await run('sh', ['-c', 'curl -sSf "$1" | openssl dgst -sha256', 'sh', url])
  const seconds = (performance.now() - began) / 1000
  if (!stdout.includes(digest)) throw new Error('curl and openssl read something else')
  return seconds
}
