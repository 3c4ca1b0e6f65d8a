import http from 'node:http'
import https from 'node:https'
import tls from 'node:tls'
import { Failure } from '../failure.ts'

/** A body of known length that can be made again when a request has to be repeated. A piece is done with when the next is asked for. */
export type Body = { length: number; pieces(): AsyncIterable<Uint8Array> | Iterable<Uint8Array> }
type Call = {
  method: string
  url: URL
  headers: Record<string, string>
  body?: Body | undefined
  signal?: AbortSignal | undefined
}
export type Answer = { status: number; headers: http.IncomingHttpHeaders; text: string }
export type Http = { send(call: Call): Promise<Answer>; close(): void }

/** The installation was not reached, the connection broke, or it stood still for too long. Worth another try. */
export class ConnectionBroken extends Error {
  constructor(sentence: string, cause?: unknown) {
    super(sentence, { cause })
    this.name = 'ConnectionBroken'
  }
}

const longestAnswer = 8 * 1024 * 1024

const codeOf = (error: Error): string =>
  'code' in error && typeof error.code === 'string' ? error.code : error.message || error.name

const unreachable = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'])

const inWords = (error: Error, { origin }: URL): Error => {
  if (error instanceof ConnectionBroken) return error
  const inner = error instanceof AggregateError ? error.errors.find((each) => each instanceof Error) : undefined
  const code = codeOf(inner ?? error)
  if (/CERT|SELF_SIGNED|UNABLE_TO_/.test(code)) {
    return new Failure(`This machine does not trust the certificate of ${origin} (${code}).`, error)
  }
  if (unreachable.has(code)) return new ConnectionBroken(`${origin} cannot be reached (${code}).`, error)
  return new ConnectionBroken(`The connection to ${origin} broke (${code}).`, error)
}

/** Resolves when the bytes are with the kernel, or nobody wants them any more. */
const written = async (request: http.ClientRequest, piece: Uint8Array): Promise<void> =>
  await new Promise((resolve) => {
    request.once('close', resolve)
    request.write(piece, () => {
      request.off('close', resolve)
      resolve()
    })
  })

/** Hands the body over as fast as the connection takes it. Stops early when the answer is there before the end. */
const sendBody = async (request: http.ClientRequest, body: Body, answerMs: number): Promise<void> => {
  let answered = false
  request.once('response', () => {
    answered = true
  })
  for await (const piece of body.pieces()) {
    if (!answered && !request.destroyed) await written(request, piece)
    if (answered || request.destroyed) return
  }
  request.setTimeout(answerMs)
  request.end()
}

const readText = async (response: http.IncomingMessage): Promise<string> => {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of response) {
    pieces.push(piece)
    length += piece.length
    if (length > longestAnswer) throw new Failure('The installation sent an answer longer than any it should give.')
  }
  return Buffer.concat(pieces).toString('utf8')
}

/**
 * HTTP with connections that are kept, bodies streamed with back-pressure, and two patiences in milliseconds: for a
 * connection that moves nothing while a body is sent, and for the answer after that. TLS trusts what the system trusts.
 */
export const makeHttp = (stallMs = 60_000, answerMs = 180_000): Http => {
  const plain = new http.Agent({ keepAlive: true })
  let secure: https.Agent | undefined
  const secureAgent = (): https.Agent => {
    const ca = [...new Set([...tls.getCACertificates('default'), ...tls.getCACertificates('system')])]
    secure ??= new https.Agent({ keepAlive: true, ca })
    return secure
  }

  const begin = ({ method, url, headers, body }: Call): http.ClientRequest => {
    const all = {
      ...headers,
      ...(method === 'GET' || method === 'HEAD' ? {} : { 'content-length': body?.length ?? 0 }),
    }
    const options = { method, headers: all, timeout: body === undefined ? answerMs : stallMs }
    return url.protocol === 'https:'
      ? https.request(url, { ...options, agent: secureAgent() })
      : http.request(url, { ...options, agent: plain })
  }

  const send = async (call: Call): Promise<Answer> => {
    const { url, body, signal } = call
    signal?.throwIfAborted()
    const request = begin(call)
    const abort = () => request.destroy()
    signal?.addEventListener('abort', abort, { once: true })
    let ours: unknown
    try {
      const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
        request.on('response', resolve)
        request.on('error', reject)
        request.on('timeout', () =>
          request.destroy(new ConnectionBroken(`The connection to ${url.origin} stood still for too long.`)),
        )
        if (body === undefined) request.end()
        else
          sendBody(request, body, answerMs).catch((error: unknown) => {
            ours = error
            request.destroy()
            reject(error)
          })
      })
      const text = await readText(response)
      // The connection of a refusal that came before the whole body was sent cannot be used again.
      if (!request.writableEnded) request.destroy()
      return { status: response.statusCode ?? 0, headers: response.headers, text }
    } catch (error) {
      request.destroy()
      signal?.throwIfAborted()
      throw ours ?? (error instanceof Error && !(error instanceof Failure) ? inWords(error, url) : error)
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  const close = () => {
    plain.destroy()
    secure?.destroy()
  }
  return { send, close }
}
