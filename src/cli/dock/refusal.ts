import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Answer } from './http.ts'

/** `Retry-After` in milliseconds from `now`: seconds, or a date. 0 when there is none. */
export const readRetryAfter = (header: string | undefined, now: number): number => {
  if (header === undefined) return 0
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? 0 : Math.max(0, at - now)
}

const Document = Type.Object({
  code: Type.Optional(Type.String()),
  title: Type.Optional(Type.String()),
  detail: Type.Optional(Type.String()),
  next: Type.Optional(Type.String()),
  serverTime: Type.Optional(Type.String({ format: 'date-time' })),
})

/** The installation answered, and the answer is no. `code` is the stable one of its problem document. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  /** How long it asks us to wait, in milliseconds. */
  readonly retryAfter: number
  readonly serverTime: Date | undefined
  constructor(answer: Answer) {
    const document = parseJson(answer.text)
    const problem = Value.Check(Document, document) ? document : {}
    const said = [problem.detail ?? problem.title, problem.next].filter((each) => each !== undefined).join(' ')
    super(said === '' ? `The installation answered with status ${answer.status}.` : said)
    this.name = 'Refusal'
    this.status = answer.status
    this.code = problem.code ?? ''
    this.retryAfter = readRetryAfter(answer.headers['retry-after'], Date.now())
    this.serverTime = problem.serverTime === undefined ? undefined : new Date(problem.serverTime)
  }
}

export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
