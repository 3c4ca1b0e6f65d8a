import type { FileHandle } from 'node:fs/promises'
import { Failure } from '../failure.ts'
import { afterBreak, afterSuccess, chunkEnd } from './chunk.ts'
import { digestOf, readRange } from './digest.ts'
import { openFound, refuseChanged } from './folder.ts'
import { type Answer, ConnectionBroken } from './http.ts'
import type { Dock } from './open-dock.ts'
import type { Prepared } from './prepare.ts'
import { Refusal } from './refusal.ts'

/** tus 1.0.0 as a client speaks it: creation, HEAD, and PATCH with a digest for each. */
const tus = { 'tus-resumable': '1.0.0' }

const metadata = ({ options }: Dock, file: Prepared): string => {
  const { number, sequence } = file.known
  const facts = {
    filename: file.name,
    camera: options.camera,
    recordedAt: file.recordedAt,
    sha256: file.declared,
    officer: file.known.officer ?? options.officer,
    category: file.known.category ?? options.category,
    incident: file.known.incident ?? options.incident,
    number: number === undefined ? undefined : String(number),
    sequence,
  }
  return Object.entries(facts)
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key} ${Buffer.from(value).toString('base64')}`]))
    .join(',')
}

const offsetIn = ({ headers }: Answer, size: number): number => {
  const given = headers['upload-offset']
  const offset = typeof given === 'string' && /^\d{1,16}$/.test(given) ? Number(given) : Number.NaN
  if (offset >= 0 && offset <= size) return offset
  throw new Failure('The installation gave an offset that this file does not have.')
}

const create = async (dock: Dock, file: Prepared): Promise<string> => {
  const { headers } = await dock.installation.call({
    method: 'POST',
    to: '/uploads',
    headers: { ...tus, 'upload-length': String(file.size), 'upload-metadata': metadata(dock, file) },
    signal: dock.signal,
  })
  if (headers.location === undefined) throw new Failure('The installation began an upload and did not say where.')
  // A relative address is relative to where it was asked for.
  return new URL(headers.location, `${dock.enrolment.url}/api/v1/uploads`).href
}

const askOffset = async (dock: Dock, address: string, size: number): Promise<number> =>
  offsetIn(await dock.installation.call({ method: 'HEAD', to: address, headers: tus, signal: dock.signal }), size)

/** Digests of chunks, of which one may be worked out ahead, while the installation stores the one before. */
const chunkDigests = (handle: FileHandle, signal: AbortSignal) => {
  let ahead: { start: number; end: number; digest: Promise<Buffer> } | undefined
  const digest = async (start: number, end: number) => await digestOf(handle, start, end, { signal })
  return {
    of: async (start: number, end: number): Promise<Buffer> => {
      const known = ahead?.start === start && ahead.end === end ? ahead.digest : digest(start, end)
      ahead = undefined
      return await known
    },
    workOut: (start: number, end: number): void => {
      ahead = { start, end, digest: digest(start, end) }
      // It may never be asked for.
      ahead.digest.catch(() => undefined)
    },
  }
}

/** Sends one chunk under its own digest; answers where the upload stands then. */
const sendChunk = async (
  dock: Dock,
  file: Prepared,
  handle: FileHandle,
  digests: ReturnType<typeof chunkDigests>,
  address: string,
  offset: number,
): Promise<number> => {
  const { signal, pace, tell } = dock
  const { name, size } = file
  const end = chunkEnd(dock.chunks, offset, size)
  // Read twice rather than kept: the digest goes first, and a chunk in memory for every file at once adds up.
  const digest = await digests.of(offset, end)
  await refuseChanged(handle, file)
  const pieces = async function* () {
    let done = offset
    for await (const piece of readRange(handle, offset, end, pace.piece)) {
      await pace.before(piece.length, signal)
      yield piece
      done += piece.length
      tell({ type: 'sending', name, done, size })
    }
    if (end < size) digests.workOut(end, chunkEnd(dock.chunks, end, size))
  }
  const answer = await dock.installation.call({
    method: 'PATCH',
    to: address,
    headers: {
      ...tus,
      'content-type': 'application/offset+octet-stream',
      'upload-offset': String(offset),
      'upload-checksum': `sha256 ${digest.toString('base64')}`,
    },
    body: { length: end - offset, pieces },
    signal,
  })
  const now = offsetIn(answer, size)
  dock.bytesSent += now - offset
  return now
}

const isOver = (error: unknown): boolean => error instanceof Refusal && (error.status === 404 || error.status === 410)
const isBreak = (error: unknown): boolean =>
  error instanceof ConnectionBroken || (error instanceof Refusal && error.status === 408)

/**
 * Sends what is owed of a file, from where its upload stands. Answers the upload's address once every byte is
 * acknowledged, or undefined when that upload is over and the file must be announced anew. After any doubt it asks with
 * HEAD: what the installation acknowledged is the only truth, and nothing is counted as sent before.
 */
export const sendFile = async (dock: Dock, file: Prepared, begun: string | undefined): Promise<string | undefined> => {
  await using handle = await openFound(file)
  const { memory, tell } = dock
  const { name, size } = file
  const trying = dock.trying(name)
  const digests = chunkDigests(handle, dock.signal)
  let address = begun
  let offset: number | undefined
  for (;;) {
    const { size: tried } = dock.chunks
    try {
      if (address === undefined) {
        address = await create(dock, file)
        offset = 0
        memory.rememberUpload(file, address)
        await memory.save()
      }
      offset ??= await askOffset(dock, address, size)
      tell({ type: 'sending', name, done: offset, size })
      if (offset === size) return address
      offset = await sendChunk(dock, file, handle, digests, address, offset)
      dock.chunks = afterSuccess(dock.chunks)
      trying.moved()
    } catch (error) {
      if (isOver(error)) return undefined
      if (isBreak(error)) dock.chunks = afterBreak(dock.chunks, tried)
      offset = undefined
      await trying.pause(error)
    }
  }
}
