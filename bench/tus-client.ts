import { createHash } from 'node:crypto'
import { readSync } from 'node:fs'
import { Agent, type ClientRequest, type IncomingHttpHeaders, request } from 'node:http'

/** A dock as plain as can be: tus 1.0.0, each PATCH under its own sha256. As ours, it reads a chunk twice and keeps none. */

const mib = 1024 * 1024
const pieceSize = 256 * 1024
const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY })

/** Bytes [start, start + size) of an open file. */
export type Slice = { file: number; start: number; size: number }

const digestBuffer = Buffer.allocUnsafeSlow(mib)

const sha256Of = ({ file, start, size }: Slice): string => {
  const hash = createHash('sha256')
  for (let at = 0; at < size; ) {
    const read = readSync(file, digestBuffer, 0, Math.min(mib, size - at), start + at)
    hash.update(digestBuffer.subarray(0, read))
    at += read
  }
  return hash.digest('base64')
}

const written = async (call: ClientRequest, bytes: Buffer): Promise<void> =>
  await new Promise((resolve, reject) =>
    call.write(bytes, (error) => (error === null || error === undefined ? resolve() : reject(error))),
  )

/** Reads one piece while the one before is on its way. */
const sendSlice = async (call: ClientRequest, { file, start, size }: Slice): Promise<void> => {
  const buffers = [Buffer.allocUnsafeSlow(pieceSize), Buffer.allocUnsafeSlow(pieceSize)]
  let before = Promise.resolve()
  for (let at = 0; at < size; ) {
    const [filling = digestBuffer] = buffers.reverse()
    const read = readSync(file, filling, 0, Math.min(pieceSize, size - at), start + at)
    at += read
    await before
    before = written(call, filling.subarray(0, read))
  }
  await before
  call.end()
}

type Call = { method: string; url: URL; headers: Record<string, string>; slice?: Slice }

const send = async ({ method, url, headers, slice }: Call): Promise<IncomingHttpHeaders> =>
  await new Promise((resolve, reject) => {
    const length = String(slice?.size ?? 0)
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
    if (slice === undefined) call.end()
    else sendSlice(call, slice).catch(reject)
  })

const encoded = (facts: Record<string, string>): string =>
  Object.entries(facts)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',')

export type TusUpload = { endpoint: string; token: string; camera: string; slice: Slice; chunk: number }

/** Sends a file whole, and answers the address of its upload. */
export const uploadByTus = async ({ endpoint, token, camera, slice, chunk }: TusUpload): Promise<string> => {
  const tus = { 'tus-resumable': '1.0.0', authorization: `Bearer ${token}` }
  const metadata = encoded({ filename: 'BWC_0001.MP4', camera, recordedAt: '2026-11-20T08:00:00Z' })
  const created = await send({
    method: 'POST',
    url: new URL(endpoint),
    headers: { ...tus, 'upload-length': String(slice.size), 'upload-metadata': metadata },
  })
  const url = new URL(created.location ?? '', endpoint)
  for (let at = 0; at < slice.size; at += chunk) {
    const part = { file: slice.file, start: slice.start + at, size: Math.min(chunk, slice.size - at) }
    const headers = {
      ...tus,
      'content-type': 'application/offset+octet-stream',
      'upload-offset': String(at),
      'upload-checksum': `sha256 ${sha256Of(part)}`,
    }
    await send({ method: 'PATCH', url, headers, slice: part })
  }
  return url.href
}
