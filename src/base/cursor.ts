import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { Problem } from './problem.ts'

const Keyset = Type.Array(Type.String({ maxLength: 256 }), { minItems: 1, maxItems: 8 })

/** The last row's sort values as an opaque text: where the next page begins. */
export const encodeCursor = (values: string[]): string => Buffer.from(JSON.stringify(values)).toString('base64url')

/** What `encodeCursor` was given. Throws `bad-request` on anything else; the values themselves are the caller's to check. */
export const decodeCursor = (text: string): string[] => {
  let values: unknown
  try {
    values = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
  } catch {}
  if (!Value.Check(Keyset, values)) throw cursorProblem()
  return values
}

export const cursorProblem = (): Problem =>
  new Problem('bad-request', 'The cursor is not one that an earlier page of this list gave.')
