import { type Static, type TSchema, Type } from 'typebox'
import { Value } from 'typebox/value'
import { Failure } from '../failure.ts'
import type { Answer, Body, Http } from './http.ts'
import { readRetryAfter } from './retry.ts'

/** Who calls: a bearer token, and what to do when the installation says that our clock is wrong. */
export type Caller = { token(): Promise<string>; correct?(serverTime: Date): void }

export type Request = {
  method: string
  /** Below `/api/v1`, such as `/docks`; or an address that an earlier answer gave. */
  to: string
  headers?: Record<string, string>
  body?: Body
  signal?: AbortSignal | undefined
}

/** Sends requests of one caller to one installation. Answers what succeeded; throws Refusal for the rest. */
export type Installation = { call(request: Request): Promise<Answer> }

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
    const document = parse(answer.text)
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

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The answer's JSON. Throws when it is not of that shape: then this is no Exhibit installation, or one of another age. */
export const readAs = <Schema extends TSchema>(schema: Schema, answer: Answer): Static<Schema> => {
  const document = parse(answer.text)
  if (Value.Check(schema, document)) return document
  throw new Failure('The answer is not one that an Exhibit installation gives here: check the address.')
}

export const jsonBody = (value: unknown): { headers: Record<string, string>; body: Body } => {
  const bytes = Buffer.from(JSON.stringify(value))
  return { headers: { 'content-type': 'application/json' }, body: { length: bytes.length, pieces: () => [bytes] } }
}

/** An installation's address as it was typed, without `/api/v1` and without a slash at its end. Throws Failure. */
export const readUrl = (text: string): string => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new Failure(`${text} is not an address such as https://exhibit.example.org.`)
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '').replace(/\/api\/v1$/, '')
}

/**
 * `base` is the installation's address. Of the addresses in its answers only the path is used, so that a token goes
 * to the installation that a dock was enrolled at and nowhere else.
 */
export const reach = (http: Http, base: string, caller: Caller): Installation => {
  const addressOf = (to: string): URL => {
    if (to.startsWith('/')) return new URL(`${base}/api/v1${to}`)
    if (!URL.canParse(to)) throw new Failure('The installation answered with an address that cannot be read.')
    const { pathname, search } = new URL(to)
    return new URL(`${pathname}${search}`, base)
  }

  const attempt = async ({ method, to, headers, body, signal }: Request): Promise<Answer> =>
    await http.send({
      method,
      url: addressOf(to),
      headers: { ...headers, authorization: `Bearer ${await caller.token()}` },
      body,
      signal,
    })

  const call = async (request: Request): Promise<Answer> => {
    const answer = await attempt(request)
    if (answer.status >= 200 && answer.status < 300) return answer
    const refusal = new Refusal(answer)
    if (refusal.code !== 'clock-skew' || refusal.serverTime === undefined || caller.correct === undefined) throw refusal
    caller.correct(refusal.serverTime)
    const again = await attempt(request)
    if (again.status >= 200 && again.status < 300) return again
    throw new Refusal(again)
  }
  return { call }
}
