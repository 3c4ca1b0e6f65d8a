import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { Failure } from '../failure.ts'
import type { Answer, Body, Http } from './http.ts'
import { parseJson, Refusal } from './refusal.ts'

/** Who calls: a bearer token, and what to do when the installation says that our clock is wrong. */
export type Caller = { token(): Promise<string>; correct?(serverTime: Date): void }

type Request = {
  method: string
  /** Below `/api/v1`, such as `/docks`; or an address that an earlier answer gave. */
  to: string
  headers?: Record<string, string>
  body?: Body
  signal?: AbortSignal | undefined
}

/** Sends requests of one caller to one installation. Answers what succeeded; throws Refusal for the rest. */
export type Installation = { call(request: Request): Promise<Answer> }

/** The answer's JSON. Throws when it is not of that shape: then this is no Exhibit installation, or one of another age. */
export const readAs = <Schema extends TSchema>(schema: Schema, answer: Answer): Static<Schema> => {
  const document = parseJson(answer.text)
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

const isSuccess = ({ status }: Answer): boolean => status >= 200 && status < 300

/** The installation's time, when our clock is why it refused. The answer to HEAD has no problem document, only `Date`. */
const timeThere = ({ method }: Request, answer: Answer): Date | undefined => {
  const { code, serverTime } = new Refusal(answer)
  if (code === 'clock-skew') return serverTime
  const date = Date.parse(answer.headers.date ?? '')
  return method === 'HEAD' && answer.status === 401 && !Number.isNaN(date) ? new Date(date) : undefined
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
    if (isSuccess(answer)) return answer
    const serverTime = timeThere(request, answer)
    if (serverTime === undefined || caller.correct === undefined) throw new Refusal(answer)
    caller.correct(serverTime)
    const again = await attempt(request)
    if (isSuccess(again)) return again
    throw new Refusal(again)
  }
  return { call }
}
