import { Type } from 'typebox'
import { type ProblemCode, problems as table } from './problem.ts'

/** RFC 9457, with a stable `code` and what to do next. Some problems carry further members, such as `serverTime`. */
export const ProblemDocument = Type.Object(
  {
    type: Type.String({ description: 'urn:exhibit:problem: and the code' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String({ description: 'Stable: what a program decides by' }),
    next: Type.String({ description: 'What to do now' }),
    requestId: Type.String({ description: 'Finds the request in the log' }),
  },
  { $id: 'Problem', additionalProperties: true },
)

export type ProblemResponse = {
  description: string
  content: { 'application/problem+json': { schema: object; examples: object } }
}

/** An example of a problem's document, as it is sent. */
export const documentOf = (code: ProblemCode, detail: string | undefined, requestId: string) => {
  const { status, title, next } = table[code]
  return { type: `urn:exhibit:problem:${code}`, title, status, detail: detail ?? title, code, next, requestId }
}

/** The part of a route's `schema.response` that tells which problems it answers with. */
export const problems = (...codes: ProblemCode[]): Record<number, ProblemResponse> => {
  const byStatus = Map.groupBy(codes, (code) => table[code].status)
  return Object.fromEntries(
    [...byStatus].map(([status, same]) => [
      status,
      {
        description: same.map((code) => `\`${code}\`: ${table[code].title}`).join('; '),
        content: {
          'application/problem+json': {
            schema: { $ref: 'Problem#' },
            examples: Object.fromEntries(
              same.map((code) => [
                code,
                { value: documentOf(code, undefined, '019ab0c4-7d2e-7b1a-8f0e-3c5d6e7f8091') },
              ]),
            ),
          },
        },
      },
    ]),
  )
}

const isProblems = (response: object): response is ProblemResponse =>
  'content' in response &&
  typeof response.content === 'object' &&
  response.content !== null &&
  'application/problem+json' in response.content

/** Two sets of problems of one status as one; a response that is none stays as it is. */
export const joined = (response: object, more: ProblemResponse): object => {
  if (!isProblems(response)) return response
  const [a, b] = [response.content['application/problem+json'], more.content['application/problem+json']]
  return {
    description: `${response.description}; ${more.description}`,
    content: { 'application/problem+json': { schema: a.schema, examples: { ...b.examples, ...a.examples } } },
  }
}

/** The answer of a route that has nothing to tell but its status. */
export const Nothing = Type.Unsafe<undefined>({ type: 'null', description: 'Done' })
