import { open, rm, stat } from 'node:fs/promises'
import { hex, sha256 } from '../base/digest.ts'
import type { RecordingId, RenditionId } from '../base/ids.ts'
import { release } from '../engines/chunks.ts'
import type { Engines } from '../engines/engines.ts'
import { FfmpegFailed } from '../engines/ffmpeg-failed.ts'
import type { RenditionObjectRow } from '../engines/tables.ts'
import { isWhole } from './pieces.ts'
import { renditionKey } from './rendition.ts'

const mebibyte = 1024 * 1024
/** A piece is held in memory on its way to the store, and so many with it. */
const largest = 256 * mebibyte
const mostAtOnce = 4
const mostBytesAtOnce = 64 * mebibyte

/** Of which rendition, in which folder its files lie, and how they are catalogued; that throws when another took over. */
type Place = {
  engines: Engines
  folder: string
  recording: RecordingId
  rendition: RenditionId
  catalogue: (objects: RenditionObjectRow[]) => Promise<void>
}

/** A file of that name; times in seconds of the recording's own. */
export type Piece = Pick<RenditionObjectRow, 'number' | 'name' | 'start' | 'duration'>

const read = async (path: string, size: number): Promise<Buffer> => {
  await using file = await open(path)
  const content = Buffer.allocUnsafeSlow(size)
  const { bytesRead } = await file.read(content)
  if (bytesRead !== size) throw new Error('a piece became shorter while it was stored')
  return content
}

const isFilm = ({ name }: Piece): boolean => /\.(?:mp4|m4s)$/.test(name)

/**
 * Stores pieces, a few at once. `add` comes back as soon as there is room for the next; `settled` throws what went wrong,
 * which `stop` is told at once.
 */
export type Storing = { add(piece: Piece): Promise<void>; settled(): Promise<void> }

/**
 * Puts pieces, numbered from 0 on without a gap, into the store and then into the catalogue, where none is seen before all
 * that come before it. Their files go. What could not be catalogued is not left in the store.
 */
export const storing = (
  { engines, folder, recording, rendition, catalogue }: Place,
  stop: (why: unknown) => void = () => undefined,
): Storing => {
  const { store } = engines
  const underWay = new Set<Promise<void>>()
  const stored = new Map<number, RenditionObjectRow>()
  let bytes = 0
  let next = 0
  let cataloguing = Promise.resolve()
  let failure: { error: unknown } | undefined

  const takeReady = (): RenditionObjectRow[] => {
    const ready: RenditionObjectRow[] = []
    for (let row = stored.get(next); row !== undefined; row = stored.get(next)) {
      stored.delete(next)
      ready.push(row)
      next += 1
    }
    return ready
  }
  const catalogueReady = async (): Promise<void> => {
    const ready = takeReady()
    if (ready.length === 0 || failure !== undefined) return await drop(ready)
    try {
      await catalogue(ready)
    } catch (error) {
      // Another attempt took over, and does not know of these.
      await drop(ready)
      throw error
    }
  }
  const drop = async (rows: Iterable<RenditionObjectRow>): Promise<void> => {
    for (const { name } of rows) await store.delete('derived', renditionKey(recording, rendition, name))
  }

  const send = async (piece: Piece, size: number): Promise<void> => {
    const file = `${folder}/${piece.name}`
    const content = await read(file, size)
    if (isFilm(piece) && !(await isWhole(content)))
      throw new FfmpegFailed('a piece was cut off as it was written', 'machine', piece.name)
    const digest = sha256(content)
    await store.put('derived', renditionKey(recording, rendition, piece.name), content, digest)
    release(content)
    stored.set(piece.number, { ...piece, rendition, size, sha256: hex(digest) })
    await rm(file)
    // One statement for all that came in while the one before was under way.
    cataloguing = cataloguing.then(catalogueReady)
    await cataloguing
  }

  return {
    add: async (piece) => {
      const { size } = await stat(`${folder}/${piece.name}`)
      if (size > largest) throw new FfmpegFailed('a piece is too large', 'content', piece.name)
      while (underWay.size >= mostAtOnce || (underWay.size > 0 && bytes + size > mostBytesAtOnce))
        await Promise.race(underWay)
      if (failure !== undefined) throw failure.error
      bytes += size
      const sending = send(piece, size)
        .catch((error: unknown) => {
          failure ??= { error }
          stop(error)
        })
        .finally(() => {
          bytes -= size
          underWay.delete(sending)
        })
      underWay.add(sending)
    },
    settled: async () => {
      await Promise.all(underWay)
      if (failure === undefined) return
      await drop(stored.values())
      throw failure.error
    },
  }
}
