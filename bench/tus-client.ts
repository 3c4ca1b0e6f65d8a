import { createHash } from 'node:crypto'
import { readSync } from 'node:fs'
import { type Agent, type ClientRequest, type IncomingHttpHeaders, request } from 'node:http'
import { setImmediate } from 'node:timers/promises'

/**
 * A dock as plain as can be: tus 1.0.0, each PATCH under its own sha256. As ours, it reads a chunk twice and keeps none, and
 * reads the next one for its digest while it waits for an answer.
 */

const mib = 1024 * 1024
const pieceSize = mib

/** Bytes [start, start + size) of an open file. */
export type Slice = { file: number; start: number; size: number }

/** Bytes flow in between. */
const sha256Of = async ({ file, start, size }: Slice): Promise<string> => {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafeSlow(Math.min(mib, size))
  for (let at = 0; at < size; ) {
    const read = readSync(file, buffer, 0, Math.min(mib, size - at), start + at)
    hash.update(buffer.subarray(0, read))
    at += read
    await setImmediate()
  }
  return hash.digest('base64')
}

const written = async (call: ClientRequest, bytes: Buffer): Promise<void> =>
  await new Promise((resolve, reject) =>
    call.write(bytes, (error) => (error === null || error === undefined ? resolve() : reject(error))),
  )

/** Reads one piece while the one before is on its way. */
const sendSlice = async (call: ClientRequest, { file, start, size }: Slice): Promise<void> => {
  const first = Buffer.allocUnsafeSlow(pieceSize)
  const buffers = [first, Buffer.allocUnsafeSlow(pieceSize)]
  let turn = 0
  let before = Promise.resolve()
  for (let at = 0; at < size; ) {
    const filling = buffers[turn] ?? first
    turn = 1 - turn
    const read = readSync(file, filling, 0, Math.min(pieceSize, size - at), start + at)
    at += read
    await before
    before = written(call, filling.subarray(0, read))
  }
  await before
  call.end()
}

type Call = {
  method: string
  url: URL
  headers: Record<string, string>
  agent: Agent
  slice?: Slice
  /** Called when every byte is on its way. */
  sent?: () => void
}

const send = async ({ method, url, headers, agent, slice, sent }: Call): Promise<IncomingHttpHeaders> =>
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
    else sendSlice(call, slice).then(sent, reject)
  })

const encoded = (facts: Record<string, string>): string =>
  Object.entries(facts)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',')

export type TusDock = { endpoint: string; agent: Agent; token: string; chunk: number }

const headersOf = ({ token }: TusDock) => ({ 'tus-resumable': '1.0.0', authorization: `Bearer ${token}` })

/** Begins the upload of a file, and answers its address. */
export const createUpload = async (dock: TusDock, camera: string, size: number): Promise<URL> => {
  const metadata = encoded({ filename: 'BWC_0001.MP4', camera, recordedAt: '2026-11-20T08:00:00Z' })
  const { location = '' } = await send({
    method: 'POST',
    url: new URL(dock.endpoint),
    agent: dock.agent,
    headers: { ...headersOf(dock), 'upload-length': String(size), 'upload-metadata': metadata },
  })
  return new URL(location, dock.endpoint)
}

/** Sends the file of an upload that was begun, chunk by chunk. */
export const sendFile = async (dock: TusDock, url: URL, { file, start, size }: Slice): Promise<void> => {
  const sliceAt = (at: number): Slice => ({ file, start: start + at, size: Math.min(dock.chunk, size - at) })
  let digest = sha256Of(sliceAt(0))
  for (let at = 0; at < size; at += dock.chunk) {
    const headers = {
      ...headersOf(dock),
      'content-type': 'application/offset+octet-stream',
      'upload-offset': String(at),
      'upload-checksum': `sha256 ${await digest}`,
    }
    const next = at + dock.chunk
    const sent = () => {
      if (next < size) digest = sha256Of(sliceAt(next))
    }
    await send({ method: 'PATCH', agent: dock.agent, url, headers, slice: sliceAt(at), sent })
  }
}
