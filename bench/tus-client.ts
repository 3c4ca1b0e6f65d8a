import { createHash } from 'node:crypto'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'

/** A dock as plain as can be: tus 1.0.0, each PATCH under its own sha256, as our own dock sends. */

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })

type Call = { method: string; url: URL; headers: Record<string, string>; body?: Buffer }

const send = async ({ method, url, headers, body }: Call): Promise<IncomingHttpHeaders> =>
  await new Promise((resolve, reject) => {
    const length = body === undefined ? 0 : body.length
    const call = request(url, { method, agent, headers: { ...headers, 'content-length': length } }, (response) => {
      let said = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        said += text
      })
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode = 0 } = response
        if (statusCode < 300) resolve(response.headers)
        else reject(new Error(`${method} was answered ${statusCode}: ${said.slice(0, 300)}`))
      })
    })
    call.on('error', reject)
    call.end(body)
  })

const encoded = (facts: Record<string, string>): string =>
  Object.entries(facts)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',')

export type TusUpload = { endpoint: string; token: string; camera: string; bytes: Buffer; chunk: number }

/** Sends a file whole, and answers the address of its upload. */
export const uploadByTus = async ({ endpoint, token, camera, bytes, chunk }: TusUpload): Promise<string> => {
  const tus = { 'tus-resumable': '1.0.0', authorization: `Bearer ${token}` }
  const metadata = encoded({ filename: 'BWC_0001.MP4', camera, recordedAt: '2026-11-20T08:00:00Z' })
  const created = await send({
    method: 'POST',
    url: new URL(endpoint),
    headers: { ...tus, 'upload-length': String(bytes.length), 'upload-metadata': metadata },
  })
  const url = new URL(created.location ?? '', endpoint)
  for (let at = 0; at < bytes.length; at += chunk) {
    const body = bytes.subarray(at, at + chunk)
    const digest = createHash('sha256').update(body).digest('base64')
    const headers = {
      ...tus,
      'content-type': 'application/offset+octet-stream',
      'upload-offset': String(at),
      'upload-checksum': `sha256 ${digest}`,
    }
    await send({ method: 'PATCH', url, headers, body })
  }
  return url.href
}
