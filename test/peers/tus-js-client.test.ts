import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { Upload } from 'tus-js-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestApi } from '../api.ts'
import { eventually, startTestSystem } from '../system.ts'

let system: TestApi
let token: string
beforeAll(async () => {
  system = await startTestSystem({ env: { UPLOAD_PART_MIB: '5' } })
  token = (await system.enrol()).token
})
afterAll(async () => await system[Symbol.asyncDispose]())

type Wish = { chunkSize?: number; stopAfter?: number; url?: string; creationWithUpload?: boolean }

/** Uploads with tus-js-client as it comes, and answers the upload's address; or stops after some bytes. */
const uploadWith = async (
  bytes: Buffer,
  { chunkSize, stopAfter, url, creationWithUpload = false }: Wish = {},
): Promise<string> =>
  await new Promise((resolve, reject) => {
    const upload: Upload = new Upload(bytes, {
      endpoint: `${system.api.url}/api/v1/uploads`,
      headers: { authorization: `Bearer ${token}` },
      metadata: {
        filename: 'BWC_0001.MP4',
        camera: 'CAM-TUS',
        recordedAt: '2026-11-20T08:00:00Z',
        filetype: 'video/mp4',
      },
      retryDelays: null,
      uploadDataDuringCreation: creationWithUpload,
      ...(chunkSize === undefined ? {} : { chunkSize }),
      ...(url === undefined ? {} : { uploadUrl: url }),
      onError: reject,
      onSuccess: () => resolve(upload.url ?? ''),
      onChunkComplete: (_size, accepted) => {
        if (stopAfter !== undefined && accepted >= stopAfter)
          void upload.abort().then(() => resolve(upload.url ?? ''), reject)
      },
    })
    upload.start()
  })

const downloaded = async (uploadUrl: string): Promise<Buffer> => {
  const path = new URL(uploadUrl).pathname
  const receipt = await eventually('the receipt', async () => {
    const answer = await system.ask('GET', `${path}/receipt`, { token })
    return answer.status === 200 ? answer.text : undefined
  })
  const claims = JSON.parse(Buffer.from(receipt.split('.')[1] ?? '', 'base64url').toString())
  const asked = await system.as('investigator', 'POST', `/api/v1/recordings/${claims.recordingId}/downloads`, {
    reason: 'test',
  })
  const { url } = asked.body as { url: string }
  const response = await fetch(url)
  expect(response.status).toBe(200)
  return Buffer.concat(await Readable.fromWeb(response.body as never).toArray())
}

const same = (left: Buffer, right: Buffer): void => {
  expect(createHash('sha256').update(left).digest('hex')).toBe(createHash('sha256').update(right).digest('hex'))
}

test('tus-js-client uploads a whole file in one request', async () => {
  const bytes = randomBytes(12_345_678)
  same(await downloaded(await uploadWith(bytes)), bytes)
})

test('tus-js-client uploads in chunks smaller than the store allows', async () => {
  const bytes = randomBytes(6_000_001)
  same(await downloaded(await uploadWith(bytes, { chunkSize: 1_000_000 })), bytes)
})

test('tus-js-client sends the first bytes with the creation', async () => {
  const bytes = randomBytes(700_000)
  same(await downloaded(await uploadWith(bytes, { creationWithUpload: true })), bytes)
})

test('tus-js-client resumes where it was cut off', async () => {
  const bytes = randomBytes(8_000_000)
  const url = await uploadWith(bytes, { chunkSize: 3_000_000, stopAfter: 3_000_000 })
  const before = await system.ask('HEAD', new URL(url).pathname, { token, headers: { 'tus-resumable': '1.0.0' } })
  expect(Number(before.headers.get('upload-offset'))).toBeGreaterThanOrEqual(3_000_000)
  expect(Number(before.headers.get('upload-offset'))).toBeLessThan(8_000_000)
  same(await downloaded(await uploadWith(bytes, { url })), bytes)
})
