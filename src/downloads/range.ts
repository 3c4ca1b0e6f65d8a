/** Bytes `first` to `last` inclusive, counted from 0. */
export type Range = { first: number; last: number }

export type Wanted = 'whole' | 'unsatisfiable' | Range

const oneRange = /^bytes=[\t ]*(\d*)-(\d*)[\t ]*$/i

/**
 * Which bytes of a file of `size` a GET asks for (RFC 9110, section 14). Whole: without Range, in another unit, malformed,
 * in several ranges (a server may ignore them), or when If-Range names another file than `etag`.
 */
export const wantedRange = (
  size: number,
  etag: string,
  headers: { range?: string | undefined; ifRange?: string | undefined },
): Wanted => {
  const { range, ifRange } = headers
  if (range === undefined || (ifRange !== undefined && ifRange !== etag)) return 'whole'
  const found = oneRange.exec(range)
  if (found === null) return 'whole'
  const [, from = '', to = ''] = found
  if (from === '') return to === '' ? 'whole' : lastBytes(size, Number(to))
  const first = Number(from)
  const last = to === '' ? Number.POSITIVE_INFINITY : Number(to)
  if (last < first) return 'whole'
  return first < size ? { first, last: Math.min(last, size - 1) } : 'unsatisfiable'
}

const lastBytes = (size: number, count: number): Wanted => {
  if (count === 0) return 'unsatisfiable'
  // The last bytes of nothing are all of it, and Content-Range cannot say so.
  return size === 0 ? 'whole' : { first: Math.max(0, size - count), last: size - 1 }
}
