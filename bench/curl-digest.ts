import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type ObjectAt, presigned } from './presigned.ts'

/** The peer of whatever reads an object and hashes it: `curl` piped into `openssl dgst`. */

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
