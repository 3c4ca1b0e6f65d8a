import type { ReadAt } from './boxes.ts'
import type { Truncation } from './movie.ts'

type Chunk = { id: string; body: number; end: number; form: string }

/** RIFF chunks between two offsets, at most `most`; `end` is what the chunk claims. */
async function* chunksIn(readAt: ReadAt, from: number, to: number, most: number): AsyncGenerator<Chunk> {
  let start = from
  for (let seen = 0; seen < most && start + 8 <= to; seen++) {
    const header = await readAt(start, 12)
    if (header.length < 8) return
    const size = header.readUInt32LE(4)
    const chunk = { id: header.toString('latin1', 0, 4), body: start + 8, end: start + 8 + size }
    yield { ...chunk, form: header.toString('latin1', 8, 12) }
    start = chunk.end + (size % 2)
  }
}

const hasIndexFlag = 0x10

/** Every chunk of an AVI, those inside its lists too, except the thousands inside `movi`. */
async function* aviChunks(readAt: ReadAt, from: number, to: number, depth: number): AsyncGenerator<Chunk> {
  for await (const chunk of chunksIn(readAt, from, to, 1000)) {
    yield chunk
    if (chunk.id === 'LIST' && chunk.form !== 'movi' && depth > 0)
      yield* aviChunks(readAt, chunk.body + 4, Math.min(chunk.end, to), depth - 1)
  }
}

/** Whether an AVI's header promises an index that is not there: `idx1` at the end, or `indx` in each stream's list. */
const lacksIndex = async (readAt: ReadAt, first: Chunk, size: number): Promise<boolean> => {
  let promised = false
  for await (const chunk of aviChunks(readAt, first.body + 4, Math.min(first.end, size), 2)) {
    if (chunk.id === 'idx1' || chunk.id === 'indx') return false
    if (chunk.id !== 'avih') continue
    const flags = await readAt(chunk.body + 12, 4)
    promised = flags.length === 4 && (flags.readUInt32LE(0) & hasIndexFlag) !== 0
  }
  return promised
}

/** AVI and WAV state their length; an AVI also says whether it has an index. A recorder fills both in when it ends. */
export const riffTruncation = async (readAt: ReadAt, size: number): Promise<Truncation | null> => {
  let first: Chunk | undefined
  for await (const chunk of chunksIn(readAt, 0, size, 10_000)) {
    if (chunk.id !== 'RIFF') break
    first ??= chunk
    // 0 and all ones mean that the recorder never came back to write the length. A WAV made in one go may have that.
    if ([0, 0xffffffff].includes(chunk.end - chunk.body)) return first.form === 'AVI ' ? 'no-index' : null
    if (chunk.end > size) return 'shorter-than-declared'
  }
  return first?.form === 'AVI ' && (await lacksIndex(readAt, first, size)) ? 'no-index' : null
}

/** An EBML number of variable length, its marker bit removed; null when it is unknown or does not fit. */
const vint = (bytes: Buffer, at: number): { value: number | null; length: number } | null => {
  const length = Math.clz32(bytes[at] ?? 0) - 23
  if (length < 1 || length > 8 || at + length > bytes.length) return null
  const raw = BigInt(`0x${bytes.toString('hex', at, at + length)}`)
  const mask = (1n << BigInt(7 * length)) - 1n
  return { value: (raw & mask) === mask ? null : Number(raw & mask), length }
}

/** Matroska's one segment states its length once the recorder has ended. */
export const matroskaTruncation = async (readAt: ReadAt, size: number): Promise<Truncation | null> => {
  const head = await readAt(0, 4096)
  const header = vint(head, 4)
  if (header?.value == null) return null
  const segment = 4 + header.length + header.value
  if (segment + 5 > head.length || head.readUInt32BE(segment) !== 0x18538067) return null
  const length = vint(head, segment + 4)
  if (length?.value == null) return null
  return segment + 4 + length.length + length.value > size ? 'shorter-than-declared' : null
}
