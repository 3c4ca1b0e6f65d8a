import { Readable } from 'node:stream'

async function* withFirst<Piece>(first: Piece, rest: AsyncIterable<Piece>) {
  yield first
  yield* rest
}

/**
 * A stream of bytes or text whose first piece is here already: what keeps that from coming is thrown, while an answer can
 * still say so. Closing the stream aborts `closed`: a generator that was never begun would not tell the read behind it that
 * nobody wants more.
 */
export const begun = async (pieces: AsyncGenerator<Buffer | string>, closed: AbortController): Promise<Readable> => {
  const first = await pieces.next()
  const stream = Readable.from(first.done === true ? [] : withFirst(first.value, pieces), { objectMode: false })
  return stream.once('close', () => closed.abort())
}
