import type { Readable } from 'node:stream'
import { Problem } from '../base/problem.ts'

const deepest = 16
const slowestMs = 30_000
const utf8 = new TextDecoder('utf-8', { fatal: true })

const isText = (text: string): boolean => text.isWellFormed() && !text.includes('\0')

/** Refuses what no part of us should meet: deep nesting, NUL and lone surrogates, numbers beyond a double, `__proto__`. */
const refuseUnwholesome = (value: unknown, depth = 0): void => {
  if (typeof value === 'string' && !isText(value))
    throw new Problem('bad-request', 'The body holds characters that are no text.')
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new Problem('bad-request', 'The body holds a number that is too large.')
  if (typeof value !== 'object' || value === null) return
  if (depth === deepest) throw new Problem('bad-request', `The body is nested deeper than ${deepest} levels.`)
  if (Array.isArray(value)) {
    for (const item of value) refuseUnwholesome(item, depth + 1)
    return
  }
  for (const [key, item] of Object.entries(value)) {
    if (!isText(key) || key === '__proto__')
      throw new Problem('bad-request', 'The body holds a member name that is not allowed.')
    refuseUnwholesome(item, depth + 1)
  }
}

const tooLarge = (limit: number): Problem => new Problem('too-large', `A body may have ${limit} bytes at most.`)

/** Reads at most `limit` bytes. What is not read stays in the stream, whose socket lives on to carry the answer. */
const readAll = async (payload: Readable, limit: number): Promise<Buffer> => {
  const chunks: Buffer[] = []
  let size = 0
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Problem('too-slow')), slowestMs)
  const arriving = payload.iterator({ destroyOnReturn: false })
  try {
    for (;;) {
      const next = await Promise.race([arriving.next(), late.promise])
      if (next.done === true) return Buffer.concat(chunks, size)
      const chunk: Buffer = next.value
      size += chunk.length
      if (size > limit) throw tooLarge(limit)
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof Problem) throw error
    throw new Problem('bad-request', 'The connection broke before the body was whole.')
  } finally {
    clearTimeout(timer)
  }
}

/** A JSON body; undefined when it is empty. `length` is what Content-Length says. Throws the Problem that says what is wrong. */
export const readJson = async (payload: Readable, length: number | undefined, limit: number): Promise<unknown> => {
  if (length !== undefined && length > limit) throw tooLarge(limit)
  const bytes = await readAll(payload, limit)
  if (bytes.length === 0) return undefined
  let value: unknown
  try {
    value = JSON.parse(utf8.decode(bytes))
  } catch {
    throw new Problem('bad-request', 'The body is not JSON in UTF-8.')
  }
  refuseUnwholesome(value)
  return value
}
